// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package catalog is what Curfew knows of every SaaS without being told: the data classes, which act each vendor
// action is, what class of data it touches, and what class a scope opens. It is data: YAML files, embedded, and those by
// which a user adds to them.
package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/yamlfile"
)

//go:embed classes.yaml actions/*.yaml scopes/*.yaml
var files embed.FS

// Unclassified is the class of an object about whose data nothing is known.
const Unclassified = "unclassified"

// self is the source of Curfew's own API calls.
const self = "curfew"

// Acts are the acts that every vendor action is mapped to, and that policy rows name.
var acts = []string{"read", "search", "export", "create", "update", "delete", "share", "administer", "login", "consent", "approve"}

// Acts returns every act, in the order of the design.
func Acts() []string { return slices.Clone(acts) }

// Catalog answers from the embedded files and what a user added. It is immutable, so safe for concurrent use.
type Catalog struct {
	classes map[string]Class
	order   []string
	sources map[string]*source
}

// Load reads the embedded files. An error means that the build is broken.
func Load() (*Catalog, error) {
	var classes []yamlfile.Section
	if err := decode("classes.yaml", &classes); err != nil {
		return nil, err
	}
	c, err := new(Catalog).WithClasses("classes.yaml", classes)
	if err != nil {
		return nil, err
	}
	c.sources = map[string]*source{}
	names, err := fs.Glob(files, "actions/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var actions struct {
			Kinds   map[string]yamlfile.Section `yaml:"kinds"`
			Actions []yamlfile.Section          `yaml:"actions"`
		}
		if err := decode(name, &actions); err != nil {
			return nil, err
		}
		if err := c.add(name, strings.TrimSuffix(path.Base(name), ".yaml"), sourceYAML{Kinds: actions.Kinds, Actions: actions.Actions}); err != nil {
			return nil, err
		}
	}
	return c, c.loadScopes()
}

func (c *Catalog) loadScopes() error {
	names, err := fs.Glob(files, "scopes/*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		var scopes []yamlfile.Section
		if err := decode(name, &scopes); err != nil {
			return err
		}
		if err := c.add(name, strings.TrimSuffix(path.Base(name), ".yaml"), sourceYAML{Scopes: scopes}); err != nil {
			return err
		}
	}
	return nil
}

func decode(name string, into any) error {
	content, err := files.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return yamlfile.Decode(name, content, into)
}

// Extend returns a catalogue in which the entries of a user's file come first: of two that fit the longer counts, a whole
// name being longer than any "...*", and the user's where they are as long. Sources that the catalogue does not have are
// taken as well: Sources of both tell which. An error is one line with file, line and what to write.
func (c *Catalog) Extend(file string, content []byte) (*Catalog, error) {
	var extension struct {
		Sources map[string]sourceYAML `yaml:"sources"`
	}
	if err := yamlfile.Decode(file, content, &extension); err != nil {
		return nil, err
	}
	extended := &Catalog{classes: c.classes, order: c.order, sources: maps.Clone(c.sources)}
	for _, name := range slices.Sorted(maps.Keys(extension.Sources)) {
		if name == self {
			return nil, fmt.Errorf("read %s: source %q is Curfew's own API; what its calls are cannot be changed", file, name)
		}
		if err := extended.add(file, name, extension.Sources[name]); err != nil {
			return nil, err
		}
	}
	return extended, nil
}

// add puts a source's entries on top of those it has.
func (c *Catalog) add(file, name string, entries sourceYAML) error {
	s, err := c.read(file, entries)
	if err != nil {
		return err
	}
	s.below = c.sources[name]
	c.sources[name] = s
	return nil
}

// Action returns what is known of a source's action: by its exact name, else by the longest prefix, each first with
// and then without the feed in front. Known is false where the catalogue has no such action.
func (c *Catalog) Action(source, feed, name string) (action Action, known bool) {
	s := c.sources[source]
	if s == nil || name == "" {
		return Action{}, false
	}
	return s.action(feed+"/"+name, name)
}

// Kind returns the class of data that a kind of resource of a source holds where nothing more is known.
func (c *Catalog) Kind(source, kind string) (class string, known bool) {
	for s := c.sources[source]; s != nil; s = s.below {
		if class, known = s.kinds[kind]; known {
			return class, true
		}
	}
	return "", false
}

// Scope returns the class of data that an OAuth scope or permission of a source opens. A scope listed with a "*" at its
// end stands for all that begin so; the first match of a file counts.
func (c *Catalog) Scope(source, name string) (class string, known bool) {
	longest := -1
	for s := c.sources[source]; s != nil; s = s.below {
		if found, length := s.scope(name); length > longest {
			class, longest = found, length
		}
	}
	return class, longest >= 0
}

// Sources returns the names of the sources of which anything is catalogued, sorted.
func (c *Catalog) Sources() []string { return slices.Sorted(maps.Keys(c.sources)) }
