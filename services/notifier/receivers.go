// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier/receiver/console"
	"github.com/curfewhq/curfew/services/notifier/receiver/email"
	"github.com/curfewhq/curfew/services/notifier/receiver/pagerduty"
	"github.com/curfewhq/curfew/services/notifier/receiver/slack"
	"github.com/curfewhq/curfew/services/notifier/receiver/splunk"
	"github.com/curfewhq/curfew/services/notifier/receiver/teams"
	"github.com/curfewhq/curfew/services/notifier/receiver/ticket"
	"github.com/curfewhq/curfew/services/notifier/receiver/webhook"
)

// A Receiver is a place where alerts go. It is safe for concurrent use. None of its errors, nor of its abilities', holds a
// secret; one that is a *delivery.Refused says that nothing arrived, any other leaves that open. It never tries again by
// itself, and none of its calls takes longer than ctx allows.
type Receiver interface {
	// Post hands over one message. Nil means that it arrived, and ref is where it stands, in the receiver's own words; "" =
	// it cannot be pointed at.
	Post(ctx context.Context, post *curfewv1.Post) (ref string, err error)
}

// An Editor is a receiver that can show a message anew.
type Editor interface {
	// Edit makes the message at ref show what post does. Nil means that it does. Twice is as good as once.
	Edit(ctx context.Context, ref string, post *curfewv1.Post) error
}

// A Replier is a receiver that can say something behind a message.
type Replier interface {
	// Reply says something behind the message at its ref. Nil means that it stands there.
	Reply(ctx context.Context, reply *curfewv1.Reply) error
}

// A Finder is a receiver that can be asked whether a message arrived.
type Finder interface {
	// Find looks for the post or reply with that id, behind the message at thread where that is not "", handed over at since
	// or later. Found means that it stands there, at ref. An error means that it is not known.
	Find(ctx context.Context, thread, id string, since time.Time) (ref string, found bool, err error)
}

// A Noticer is a receiver that can also tell people of what they asked for, hold or approved, and ask them. It is safe for
// concurrent use.
type Noticer interface {
	// Notice hands one notice over, to the people that it names. Nil means that it arrived. An error makes it come again;
	// it holds no secret. The same id may come twice, after a crash.
	Notice(ctx context.Context, notice *curfewv1.Notice) error
}

// A Listener is a receiver in which people can ask for something. Several processes may listen at once.
type Listener interface {
	// Listen hands every click to take, verified to come from the receiver, until ctx ends, whose error it returns. It
	// answers the receiver only once take returned: nil means that the command is on disk. The same click may come twice,
	// with the same id.
	Listen(ctx context.Context, take func(context.Context, *curfewv1.Command) error) error
	// Answer tells whoever clicked what came of it. Nil means that it was handed over. Twice does no harm.
	Answer(ctx context.Context, step *curfewv1.CommandStep) error
}

// A Looker is a receiver in which people can ask for an alert's details.
type Looker interface {
	// LookUp sets where it finds an alert. It is called before Listen, with a function that is safe for concurrent use.
	LookUp(alert func(ctx context.Context, id string) (*curfewv1.Alert, error))
}

// A Reporter is a receiver that can say what keeps clicks from coming in.
type Reporter interface {
	// Report sets who is told; the errors hold no secret. It is called before Listen, with a function that is safe for
	// concurrent use.
	Report(trouble func(error))
}

// A Single is a receiver whose messages show one alert each.
type Single interface {
	// Single says so.
	Single()
}

// Paced is a receiver that takes no more than so much at once. Without it a receiver takes 20 messages, and two a second
// thereafter.
type Paced interface {
	// Pace is how fast it takes posts, replies and notices together, and how fast edits.
	Pace() (posts, edits delivery.Pace)
}

// A Checker is a receiver that can say whether what it is handed would arrive, without handing it anything.
type Checker interface {
	// Check asks. Nil means yes; an error says what a person has to change, and holds no secret.
	Check(ctx context.Context) error
}

// receivers is every kind of place where alerts can go, by its name in the configuration file.
func receivers(out io.Writer) map[string]func(yamlfile.Section) (Receiver, error) {
	return map[string]func(yamlfile.Section) (Receiver, error){
		"console":   use(func(c console.Config) (*console.Receiver, error) { return console.New(c, out) }),
		"email":     use(email.New),
		"pagerduty": use(pagerduty.New),
		"slack":     use(slack.New),
		"splunk":    use(splunk.New),
		"teams":     use(teams.New),
		"ticket":    use(ticket.New),
		"webhook":   use(webhook.New),
	}
}

// use makes a constructor that takes its own Config one that reads it from its section of the file.
func use[C any, R Receiver](construct func(C) (R, error)) func(yamlfile.Section) (Receiver, error) {
	return func(section yamlfile.Section) (Receiver, error) {
		var plugin C
		if err := section.Decode(&plugin); err != nil {
			return nil, err
		}
		if err := config.CheckSecrets(&plugin, section.Dir()); err != nil {
			return nil, err
		}
		return construct(plugin)
	}
}

// Open makes a receiver of a kind from its section of the configuration file. Out is where the console receiver writes.
func Open(kind string, section yamlfile.Section, out io.Writer) (Receiver, error) {
	list := receivers(out)
	open, known := list[kind]
	if !known {
		return nil, fmt.Errorf("no kind of receiver is called %q; there are %s", kind, strings.Join(slices.Sorted(maps.Keys(list)), ", "))
	}
	return open(section)
}
