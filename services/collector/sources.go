// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/source/github"
	"github.com/curfewhq/curfew/services/collector/source/googleworkspace"
	"github.com/curfewhq/curfew/services/collector/source/okta"
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

// plugin is one entry of the list of sources.
type plugin struct {
	decode event.Decode
	open   func(yamlfile.Section) (Source, error) // nil: records are judged from files only
}

// sources is every SaaS that can be read, by its name in the configuration file and in `curfew eval --source`.
func sources() map[string]plugin {
	return map[string]plugin{
		"github":           {decode: github.Decode},
		"google_workspace": {decode: googleworkspace.Decode, open: use(googleworkspace.New)},
		"okta":             {decode: okta.Decode, open: use(okta.New)},
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
func Names() []string {
	names := make([]string, 0, 8)
	for name := range sources() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Decoder returns how a source's records are decoded. An unknown name is an error that lists the known ones.
func Decoder(name string) (event.Decode, error) {
	plugin, known := sources()[name]
	if !known {
		return nil, unknownSource(name)
	}
	return plugin.decode, nil
}

func unknownSource(name string) error {
	return fmt.Errorf("no source is called %q; there are %s", name, strings.Join(Names(), ", "))
}

// Configured is a source ready to be polled.
type Configured struct {
	Source Source
	// Interval is the pause between two polls of a feed that has nothing more to give.
	Interval time.Duration
}

// DefaultInterval is the pause between two polls where none is configured.
const DefaultInterval = 15 * time.Second

// Open makes a source from its section of the configuration file. An error says what is missing and where.
func Open(name string, section yamlfile.Section, interval time.Duration) (Configured, error) {
	plugin, known := sources()[name]
	if !known {
		return Configured{}, unknownSource(name)
	}
	if plugin.open == nil {
		return Configured{}, fmt.Errorf("source %q cannot be polled yet; judge its records with: curfew eval --source %s FILE", name, name)
	}
	if interval <= 0 {
		interval = DefaultInterval
	}
	source, err := plugin.open(section)
	if err != nil {
		return Configured{}, err
	}
	return Configured{Source: source, Interval: interval}, nil
}
