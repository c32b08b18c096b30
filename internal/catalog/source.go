// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/yamlfile"
)

// Action is what the catalogue knows of one vendor action.
type Action struct {
	// Match is the vendor's name of the action, "<feed>/<name>" where names are unique within a feed only. A "*" at its
	// end matches any rest.
	Match string `yaml:"action"`
	// Act is one of Acts.
	Act string `yaml:"act"`
	// Class is the class of data that the action touches whatever its resource; empty where the resource says.
	Class string `yaml:"class"`
	// App is whether the right judged is the application's and not the person's: the app takes a scope or acts by one.
	App bool `yaml:"app"`
}

type scope struct {
	Match string `yaml:"scope"`
	Class string `yaml:"class"`
}

// sourceYAML is one source's part of a file.
type sourceYAML struct {
	Kinds   map[string]yamlfile.Section `yaml:"kinds"`
	Actions []yamlfile.Section          `yaml:"actions"`
	Scopes  []yamlfile.Section          `yaml:"scopes"`
}

// source is what one file says of a source, on top of what another says.
type source struct {
	exact    map[string]Action
	prefixes []Action // longest first
	kinds    map[string]string
	scopes   []scope
	below    *source
}

// read checks a source's entries; what is wrong with one is said with its line.
func (c *Catalog) read(file string, entries sourceYAML) (*source, error) {
	s := &source{exact: map[string]Action{}, kinds: map[string]string{}}
	for _, kind := range slices.Sorted(maps.Keys(entries.Kinds)) {
		if err := each(file, []yamlfile.Section{entries.Kinds[kind]}, func(class string) error {
			s.kinds[kind] = class
			return c.knows(class)
		}); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	if err := each(file, entries.Actions, func(action Action) error {
		if seen[action.Match] {
			return fmt.Errorf("action %q is there twice", action.Match)
		}
		seen[action.Match] = true
		return c.addAction(s, action)
	}); err != nil {
		return nil, err
	}
	slices.SortStableFunc(s.prefixes, func(a, b Action) int { return len(b.Match) - len(a.Match) })
	return s, each(file, entries.Scopes, func(entry scope) error {
		if entry.Match == "" {
			return errors.New("a scope needs its name: scope: NAME")
		}
		s.scopes = append(s.scopes, entry)
		return c.knows(entry.Class)
	})
}

func (c *Catalog) addAction(s *source, action Action) error {
	if action.Match == "" {
		return errors.New("an action needs the vendor's name of it: action: NAME")
	}
	if !slices.Contains(acts, action.Act) {
		return fmt.Errorf("action %q has act %q; an act is one of %s", action.Match, action.Act, strings.Join(acts, " "))
	}
	if action.Class != "" {
		if err := c.knows(action.Class); err != nil {
			return err
		}
	}
	if prefix, isPrefix := strings.CutSuffix(action.Match, "*"); isPrefix {
		action.Match = prefix
		s.prefixes = append(s.prefixes, action)
		return nil
	}
	s.exact[action.Match] = action
	return nil
}

// action finds an action by its name with and without the feed.
func (s *source) action(qualified, name string) (action Action, known bool) {
	for layer := s; layer != nil; layer = layer.below {
		if action, known = layer.exact[qualified]; known {
			return action, true
		}
		if action, known = layer.exact[name]; known {
			return action, true
		}
	}
	for layer := s; layer != nil; layer = layer.below {
		for _, prefix := range layer.prefixes {
			if strings.HasPrefix(qualified, prefix.Match) || strings.HasPrefix(name, prefix.Match) {
				if !known || len(prefix.Match) > len(action.Match) {
					action, known = prefix, true
				}
				break
			}
		}
	}
	return action, known
}

// scope is the class of the first entry that a scope's name fits, and how long that entry is; -1 where none does.
func (s *source) scope(name string) (class string, length int) {
	for _, entry := range s.scopes {
		if entry.Match == name {
			return entry.Class, math.MaxInt
		}
		if prefix, isPrefix := strings.CutSuffix(entry.Match, "*"); isPrefix && strings.HasPrefix(name, prefix) {
			return entry.Class, len(prefix)
		}
	}
	return "", -1
}

// each decodes the items of a list one by one and hands them on; what take refuses gets file and line.
func each[T any](file string, items []yamlfile.Section, take func(item T) error) error {
	for _, section := range items {
		if section.Line() == 0 {
			return fmt.Errorf("read %s: an entry is empty; write it out or delete it", file)
		}
		var item T
		if err := section.Named(file).Decode(&item); err != nil {
			return err
		}
		if err := take(item); err != nil {
			return fmt.Errorf("read %s: line %d: %w", file, section.Line(), err)
		}
	}
	return nil
}
