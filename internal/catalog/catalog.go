// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package catalog is what Curfew knows of every SaaS without being told: the data classes, which act each vendor
// action is, what class of data it touches, and what class a scope opens. It is data: YAML files, embedded.
package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/yamlfile"
)

//go:embed classes.yaml actions/*.yaml scopes/*.yaml
var files embed.FS

// Unclassified is the class of an object about whose data nothing is known.
const Unclassified = "unclassified"

// Acts are the acts that every vendor action is mapped to, and that policy rows name.
var acts = []string{"read", "search", "export", "create", "update", "delete", "share", "administer", "login", "consent"}

// Acts returns every act, in the order of the design.
func Acts() []string { return slices.Clone(acts) }

// Class is a data class.
type Class struct {
	// ID is its name, such as "pii.contact".
	ID string `yaml:"id"`
	// Sensitivity runs from 0 (public) to 5.
	Sensitivity int `yaml:"sensitivity"`
	// Parents are the classes it belongs to: a row about a parent is a row about it.
	Parents []string `yaml:"parents"`
	// Note says what is in it.
	Note string `yaml:"note"`
}

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

// Catalog answers from the embedded files. It is immutable, so safe for concurrent use.
type Catalog struct {
	classes map[string]Class
	order   []string
	sources map[string]*sourceActions
	scopes  map[string][]scope
}

type sourceActions struct {
	exact    map[string]Action
	prefixes []Action // longest first
	kinds    map[string]string
}

type actionsFile struct {
	Kinds   map[string]string `yaml:"kinds"`
	Actions []Action          `yaml:"actions"`
}

type scope struct {
	Match string `yaml:"scope"`
	Class string `yaml:"class"`
}

// Load reads the embedded files. An error means that the build is broken.
func Load() (*Catalog, error) {
	c := &Catalog{classes: map[string]Class{}, sources: map[string]*sourceActions{}, scopes: map[string][]scope{}}
	var classes []Class
	if err := decode("classes.yaml", &classes); err != nil {
		return nil, err
	}
	for _, class := range classes {
		if _, twice := c.classes[class.ID]; twice {
			return nil, fmt.Errorf("read classes.yaml: class %q is there twice", class.ID)
		}
		c.classes[class.ID] = class
		c.order = append(c.order, class.ID)
	}
	for _, class := range classes {
		if err := c.knows("classes.yaml", class.Parents...); err != nil {
			return nil, err
		}
	}
	if err := c.loadActions(); err != nil {
		return nil, err
	}
	return c, c.loadScopes()
}

func decode(name string, into any) error {
	content, err := files.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return yamlfile.Decode(name, content, into)
}

func (c *Catalog) knows(file string, classes ...string) error {
	for _, class := range classes {
		if _, known := c.classes[class]; !known {
			return fmt.Errorf("read %s: class %q is not in classes.yaml", file, class)
		}
	}
	return nil
}

func (c *Catalog) loadActions() error {
	names, err := fs.Glob(files, "actions/*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		var file actionsFile
		if err := decode(name, &file); err != nil {
			return err
		}
		source := &sourceActions{exact: map[string]Action{}, kinds: file.Kinds}
		for _, class := range file.Kinds {
			if err := c.knows(name, class); err != nil {
				return err
			}
		}
		for _, action := range file.Actions {
			if !slices.Contains(acts, action.Act) {
				return fmt.Errorf("read %s: action %q has act %q; an act is one of %s", name, action.Match, action.Act, strings.Join(acts, " "))
			}
			if action.Class != "" {
				if err := c.knows(name, action.Class); err != nil {
					return err
				}
			}
			if prefix, isPrefix := strings.CutSuffix(action.Match, "*"); isPrefix {
				action.Match = prefix
				source.prefixes = append(source.prefixes, action)
				continue
			}
			if _, twice := source.exact[action.Match]; twice {
				return fmt.Errorf("read %s: action %q is there twice", name, action.Match)
			}
			source.exact[action.Match] = action
		}
		slices.SortStableFunc(source.prefixes, func(a, b Action) int { return len(b.Match) - len(a.Match) })
		c.sources[strings.TrimSuffix(path.Base(name), ".yaml")] = source
	}
	return nil
}

func (c *Catalog) loadScopes() error {
	names, err := fs.Glob(files, "scopes/*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		var scopes []scope
		if err := decode(name, &scopes); err != nil {
			return err
		}
		for _, s := range scopes {
			if err := c.knows(name, s.Class); err != nil {
				return err
			}
		}
		c.scopes[strings.TrimSuffix(path.Base(name), ".yaml")] = scopes
	}
	return nil
}

// Action returns what is known of a source's action: by its exact name, else by the longest prefix, each first with
// and then without the feed in front. Known is false where the catalogue has no such action.
func (c *Catalog) Action(source, feed, name string) (action Action, known bool) {
	s := c.sources[source]
	if s == nil || name == "" {
		return Action{}, false
	}
	qualified := feed + "/" + name
	if action, known = s.exact[qualified]; known {
		return action, true
	}
	if action, known = s.exact[name]; known {
		return action, true
	}
	for _, prefix := range s.prefixes {
		if strings.HasPrefix(qualified, prefix.Match) || strings.HasPrefix(name, prefix.Match) {
			return prefix, true
		}
	}
	return Action{}, false
}

// Kind returns the class of data that a kind of resource of a source holds where nothing more is known.
func (c *Catalog) Kind(source, kind string) (class string, known bool) {
	s := c.sources[source]
	if s == nil {
		return "", false
	}
	class, known = s.kinds[kind]
	return class, known
}

// Scope returns the class of data that an OAuth scope or permission of a source opens. A scope listed with a "*" at its
// end stands for all that begin so; the first match counts.
func (c *Catalog) Scope(source, name string) (class string, known bool) {
	for _, s := range c.scopes[source] {
		if prefix, isPrefix := strings.CutSuffix(s.Match, "*"); s.Match == name || isPrefix && strings.HasPrefix(name, prefix) {
			return s.Class, true
		}
	}
	return "", false
}

// Classes returns every data class, in the file's order.
func (c *Catalog) Classes() []Class {
	classes := make([]Class, 0, len(c.order))
	for _, id := range c.order {
		classes = append(classes, c.classes[id])
	}
	return classes
}

// Sources returns the names of the sources whose actions are catalogued, sorted.
func (c *Catalog) Sources() []string {
	names := make([]string, 0, len(c.sources))
	for name := range c.sources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
