// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/yamlfile"
)

// Class is a data class.
type Class struct {
	// ID is its name, such as "pii.contact".
	ID string
	// Sensitivity runs from 0 (public) to 5.
	Sensitivity int
	// Parents are the classes it belongs to: a row about a parent is a row about it.
	Parents []string
	// Note says what is in it.
	Note string
}

// classYAML is a class as a file has it. What it leaves out is not 0, which would be public.
type classYAML struct {
	ID          string   `yaml:"id"`
	Sensitivity *int     `yaml:"sensitivity"`
	Parents     []string `yaml:"parents"`
	Note        string   `yaml:"note"`
}

// WithClasses returns a catalogue that has the classes of a file as well, each item one in the shape of the embedded
// classes.yaml. A class that is there already can be given a higher sensitivity and more parents, and none lower: rows
// that others wrote about it rest on it. An error is one line with file, line and what to write.
func (c *Catalog) WithClasses(file string, items []yamlfile.Section) (*Catalog, error) {
	with := &Catalog{classes: maps.Clone(c.classes), order: slices.Clone(c.order), sources: c.sources}
	if with.classes == nil {
		with.classes = map[string]Class{}
	}
	seen := map[string]bool{}
	if err := each(file, items, func(entry classYAML) error {
		if seen[entry.ID] {
			return fmt.Errorf("class %q is there twice", entry.ID)
		}
		seen[entry.ID] = true
		return with.addClass(entry)
	}); err != nil {
		return nil, err
	}
	// A parent may stand behind its child.
	return with, each(file, items, func(entry classYAML) error {
		if err := with.knows(entry.Parents...); err != nil {
			return err
		}
		if slices.Contains(with.Above(entry.ID), entry.ID) {
			return fmt.Errorf("class %q belongs to itself through its parents; take one of them out", entry.ID)
		}
		return nil
	})
}

func (c *Catalog) addClass(entry classYAML) error {
	if entry.ID == "" || strings.ContainsAny(entry.ID, ":*, ") {
		return fmt.Errorf("class id %q must be a name without spaces, \":\", \",\" and \"*\"", entry.ID)
	}
	class, there := c.classes[entry.ID]
	switch level := entry.Sensitivity; {
	case level == nil && !there:
		return fmt.Errorf("class %q has no sensitivity; write one, from 0 (public) to 5", entry.ID)
	case level == nil:
	case *level < 0 || *level > 5:
		return fmt.Errorf("class %q has sensitivity %d; it runs from 0 (public) to 5", entry.ID, *level)
	case there && *level < class.Sensitivity:
		return fmt.Errorf("class %q is the catalogue's, of sensitivity %d, and cannot be lowered to %d; leave sensitivity out, or give the objects a class of your own",
			entry.ID, class.Sensitivity, *level)
	default:
		class.Sensitivity = *level
	}
	if !there {
		c.order = append(c.order, entry.ID)
	}
	class.ID, class.Parents = entry.ID, slices.Concat(class.Parents, entry.Parents)
	if entry.Note != "" {
		class.Note = entry.Note
	}
	c.classes[entry.ID] = class
	return nil
}

// knows returns an error for the first class that there is not.
func (c *Catalog) knows(classes ...string) error {
	for _, class := range classes {
		if _, known := c.classes[class]; !known {
			return fmt.Errorf("class %q is not known; it is neither in the catalogue nor under classes in classes.yaml", class)
		}
	}
	return nil
}

// Class returns a data class by its id.
func (c *Catalog) Class(id string) (class Class, known bool) {
	class, known = c.classes[id]
	return class, known
}

// Classes returns every data class: the catalogue's in its order, then the user's in theirs.
func (c *Catalog) Classes() []Class {
	classes := make([]Class, 0, len(c.order))
	for _, id := range c.order {
		classes = append(classes, c.classes[id])
	}
	return classes
}

// Above returns every class that a class belongs to, through however many parents.
func (c *Catalog) Above(id string) []string {
	var above []string
	for _, parent := range c.classes[id].Parents {
		if !slices.Contains(above, parent) {
			above = append(above, parent)
		}
	}
	for i := 0; i < len(above); i++ {
		for _, parent := range c.classes[above[i]].Parents {
			if !slices.Contains(above, parent) {
				above = append(above, parent)
			}
		}
	}
	return above
}
