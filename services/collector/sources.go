// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/source/github"
	"github.com/curfewhq/curfew/services/collector/source/googleworkspace"
	"github.com/curfewhq/curfew/services/collector/source/m365"
	"github.com/curfewhq/curfew/services/collector/source/okta"
	"github.com/curfewhq/curfew/services/collector/source/slack"
)

// A Source reads the access events of one SaaS. It is used by one goroutine for each feed.
type Source interface {
	// Feeds are the logs that can be polled, each on its own. The list does not change.
	Feeds() []string
	// Horizon is how far before the newest event of a feed a read may begin again: repeats within it are left out.
	Horizon(feed string) time.Duration
	// Poll returns what the feed gave behind cursor, "" at the very first: events and dead letters made by event.Append,
	// the cursor to go on from, the time that is covered now unless there is more at once. It waits out the vendor's rate
	// limit itself. An error says nothing was read; it holds no secret.
	Poll(ctx context.Context, feed, cursor string) (*curfewv1.EventBatch, error)
}

// A Listener is a Source that takes webhooks as well.
type Listener interface {
	// Webhooks are the feeds that webhooks bring events to, nil where the configuration asks for none. A feed that Feeds
	// names too is also polled: its webhooks are for speed, and what they leave out is read.
	Webhooks() []string
	// MaxWebhook bounds the body of a delivery in bytes.
	MaxWebhook() int64
	// Receive believes a delivery or does not, before it parses it: the error is a *vendorhttp.Unbelieved, or says that
	// our own secret cannot be read. What is believed and cannot be parsed is accepted with the whole body as its record.
	Receive(delivery vendorhttp.Delivery) (*vendorhttp.Accepted, error)
}

// A Resender is a Listener whose deliveries say not when they were sent, so that the vendor, or whoever caught one, can
// send it again much later.
type Resender interface {
	Listener
	// Resent is for how long a delivery is remembered: one that comes again within it is the same, or a replay.
	Resent() time.Duration
}

// A Subscriber is a Listener whose webhooks end unless they are asked for anew.
type Subscriber interface {
	Listener
	// Subscribe asks the vendor to send a feed's webhooks to an address, and returns when that ends. What was subscribed
	// earlier goes on until its own end: the same event may come twice.
	Subscribe(ctx context.Context, feed, address string) (until time.Time, err error)
}

// An Observer is a Source that can be asked for all that there is.
type Observer interface {
	// Kinds is what can be asked for, of "people", "groups", "memberships", "roles", "apps" and "tokens".
	Kinds() []string
	// Observe reads everything of one kind: source, kind, began, ended, entries and, where a part could not be read, what
	// is missing. An error says that nothing was read; it holds no secret.
	Observe(ctx context.Context, kind string) (*curfewv1.Inventory, error)
}

// A Provisioner is a Source whose privileges can be given and taken. It may be killed within any of the three and asked
// again: what was done stays done once. A privilege of a kind that it does not have, or without holder or resource, is
// an error. No error holds a secret.
type Provisioner interface {
	// Privileges is every kind of privilege there is.
	Privileges() []string
	// Read asks the vendor whether the privilege is held, in the holder's own right. An error says that it could not be
	// learnt.
	Read(ctx context.Context, privilege *curfewv1.Privilege) (*curfewv1.PrivilegeState, error)
	// Grant makes the holder have the privilege at its level. ALREADY says that it was so before. After an error it may
	// be so or not.
	Grant(ctx context.Context, privilege *curfewv1.Privilege) (*curfewv1.Provisioned, error)
	// Revoke makes it what it was before: prior is what Read said before Grant; absent where it is nil. What prior shows at
	// the same level is left alone (ALREADY), at another level is put back. After an error it may be so or not.
	Revoke(ctx context.Context, privilege *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error)
	// EndSessions ends the holder's sessions and tokens as far as the vendor's API can. TASK says what a person has to do.
	EndSessions(ctx context.Context, holder string) (*curfewv1.Provisioned, error)
}

// A Checker is a Source that can say what its configuration lets it do.
type Checker interface {
	// Check asks the vendor, and changes nothing. There is an answer for each ability, whatever goes wrong; none holds a
	// secret.
	Check(ctx context.Context) []*curfewv1.Check
}

// plugin is one entry of the list of sources.
type plugin struct {
	decode  event.Decode
	formats map[string]event.Decode // further formats of its records, by their name for `curfew eval`
	open    func(yamlfile.Section) (Source, error)
}

// sources is every SaaS that can be read, by its name in the configuration file and in `curfew eval --source`.
func sources() map[string]plugin {
	return map[string]plugin{
		"github": {
			decode: github.Decode, formats: map[string]event.Decode{"github_webhook": github.DecodeWebhook}, open: use(github.New),
		},
		"google_workspace": {decode: googleworkspace.Decode, open: use(googleworkspace.New)},
		"m365": {
			decode: m365.Decode, formats: map[string]event.Decode{"m365_graph": m365.DecodeGraph}, open: use(m365.New),
		},
		"okta":  {decode: okta.Decode, open: use(okta.New)},
		"slack": {decode: slack.Decode, formats: map[string]event.Decode{"slack_events": slack.DecodeEvent}, open: use(slack.New)},
	}
}

// use makes a constructor that takes its own Config one that reads it from its section of the file.
func use[C any, S Source](construct func(C) (S, error)) func(yamlfile.Section) (Source, error) {
	return func(section yamlfile.Section) (Source, error) {
		var plugin C
		if err := section.Decode(&plugin); err != nil {
			return nil, err
		}
		if err := config.CheckSecrets(&plugin, section.Dir()); err != nil {
			return nil, err
		}
		source, err := construct(plugin)
		if err != nil {
			return nil, err
		}
		return source, nil
	}
}

// Names returns the name of every source, sorted.
func Names() []string { return slices.Sorted(maps.Keys(sources())) }

// decoders is every format of records there is, by name.
func decoders() map[string]event.Decode {
	all := map[string]event.Decode{}
	for name, plugin := range sources() {
		all[name] = plugin.decode
		maps.Copy(all, plugin.formats)
	}
	return all
}

// Formats returns the name of every format of records that Decoder knows, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(decoders())) }

// Decoder returns how records of a format are decoded: a source's own, which has the source's name, or a further one. An
// unknown name is an error that lists the known ones.
func Decoder(format string) (event.Decode, error) {
	decode, known := decoders()[format]
	if !known {
		return nil, fmt.Errorf("no source is called %q; there are %s", format, strings.Join(Formats(), ", "))
	}
	return decode, nil
}

func unknownSource(name string) error {
	return fmt.Errorf("no source is called %q; there are %s", name, strings.Join(Names(), ", "))
}

// Configured is a source ready to be polled.
type Configured struct {
	Source Source
	// Decode is how its records are decoded.
	Decode event.Decode
	// Interval is the pause between two polls of a feed that has nothing more to give.
	Interval time.Duration
	// Inventory is the pause between two inventories; 0 takes none.
	Inventory time.Duration
}

// DefaultInterval is the pause between two polls where none is configured.
const DefaultInterval = 15 * time.Second

// Pauses are how long a source is left alone.
type Pauses struct {
	// Interval is Configured.Interval; DefaultInterval if zero.
	Interval time.Duration
	// Inventory is Configured.Inventory; DefaultInventory if zero, and none is taken if it is below zero.
	Inventory time.Duration
}

// Open makes a source from its section of the configuration file. An error says what is missing and where.
func Open(name string, section yamlfile.Section, pauses Pauses) (Configured, error) {
	plugin, known := sources()[name]
	if !known {
		return Configured{}, unknownSource(name)
	}
	source, err := plugin.open(section)
	if err != nil {
		return Configured{}, err
	}
	return Configured{
		Source: source, Decode: plugin.decode, Interval: cmp.Or(pauses.Interval, DefaultInterval),
		Inventory: max(0, cmp.Or(pauses.Inventory, DefaultInventory)),
	}, nil
}
