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

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier/receiver/console"
)

// A Receiver is a place where alerts go. It is safe for concurrent use.
type Receiver interface {
	// Deliver hands one alert over. Nil means that it arrived. Repeated says that it may have arrived before. An error
	// makes it come again; it holds no secret.
	Deliver(ctx context.Context, alert *curfewv1.Alert, repeated bool) error
}

// A Noticer is a receiver that can also tell people of the grants that they asked for, hold or approved. It is safe for
// concurrent use.
type Noticer interface {
	// Notice hands one notice over, to the people that it names. Nil means that it arrived. An error makes it come again;
	// it holds no secret. The same id may come twice, after a crash.
	Notice(ctx context.Context, notice *curfewv1.Notice) error
}

// receivers is every place where alerts can go, by its name in the configuration file.
func receivers(out io.Writer) map[string]func(yamlfile.Section) (Receiver, error) {
	return map[string]func(yamlfile.Section) (Receiver, error){
		"console": use(func(c console.Config) (*console.Receiver, error) { return console.New(c, out) }),
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

// Open makes a receiver from its section of the configuration file. Out is where the console receiver writes.
func Open(name string, section yamlfile.Section, out io.Writer) (Receiver, error) {
	list := receivers(out)
	open, known := list[name]
	if !known {
		return nil, fmt.Errorf("no receiver is called %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(list)), ", "))
	}
	return open(section)
}
