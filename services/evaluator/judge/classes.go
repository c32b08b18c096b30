// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// sensitive is the sensitivity from which access is denied unless a row allows it.
const sensitive = 3

// classes is the data classes, catalogue's and user's, and which object holds which.
type classes struct {
	byID      map[string]catalog.Class
	above     map[string]map[string]bool // a class and all it belongs to, its level and "*" among them
	resources []resourceClass
	catalog   *catalog.Catalog
}

// resourceClass says that the objects of a pattern hold data of a class.
type resourceClass struct {
	Object string `yaml:"object"`
	Name   string `yaml:"name"`
	Class  string `yaml:"class"`
}

type classesYAML struct {
	Classes   []catalog.Class `yaml:"classes"`
	Resources []resourceClass `yaml:"resources"`
}

func readClasses(content []byte, cat *catalog.Catalog) (*classes, error) {
	var file classesYAML
	if err := yamlfile.Decode(classesFile, content, &file); err != nil {
		return nil, err
	}
	c := &classes{byID: map[string]catalog.Class{}, above: map[string]map[string]bool{}, resources: file.Resources, catalog: cat}
	for _, class := range append(cat.Classes(), file.Classes...) {
		if class.ID == "" || strings.ContainsAny(class.ID, ":*, ") {
			return nil, fmt.Errorf("read %s: class id %q must be a name without spaces, \":\", \",\" and \"*\"", classesFile, class.ID)
		}
		if class.Sensitivity < 0 || class.Sensitivity > 5 {
			return nil, fmt.Errorf("read %s: class %q has sensitivity %d; it runs from 0 (public) to 5", classesFile, class.ID, class.Sensitivity)
		}
		c.byID[class.ID] = class
	}
	for id := range c.byID {
		c.above[id] = map[string]bool{"*": true}
		if err := c.climb(id, c.above[id]); err != nil {
			return nil, err
		}
		level := "level:low"
		if c.byID[id].Sensitivity >= sensitive {
			level = "level:high"
		}
		c.above[id][level] = true
	}
	for i, r := range file.Resources {
		if _, known := c.byID[r.Class]; !known {
			return nil, fmt.Errorf("read %s: resource %d: class %q is not known; it is neither in the catalogue nor under classes", classesFile, i+1, r.Class)
		}
		if (r.Object == "") == (r.Name == "") {
			return nil, fmt.Errorf("read %s: resource %d: give either object or name, a pattern in which * stands for anything", classesFile, i+1)
		}
	}
	return c, nil
}

func (c *classes) climb(id string, above map[string]bool) error {
	if above[id] {
		return nil
	}
	class, known := c.byID[id]
	if !known {
		return fmt.Errorf("read %s: parent class %q is not known", classesFile, id)
	}
	above[id] = true
	for _, parent := range class.Parents {
		if err := c.climb(parent, above); err != nil {
			return err
		}
	}
	return nil
}

// within is whether class is, or belongs to, other.
func (c *classes) within(class, other string) bool { return c.above[class][other] }

// sensitivity of a class.
func (c *classes) sensitivity(class string) int { return c.byID[class].Sensitivity }

// of returns the classes of data that an event touches, most sensitive first. What the user says of the object comes
// before what the catalogue says of the action (but for administration and consent, where both count), and that before
// what it says of the kind of resource; what an app is given is what its scopes open.
func (c *classes) of(e *curfewv1.Event, object string, action catalog.Action) []string {
	var found []string
	add := func(class string) {
		if !slices.Contains(found, class) {
			found = append(found, class)
		}
	}
	for _, r := range c.resources {
		if r.Object != "" && matches(r.Object, object) || r.Name != "" && e.GetResource().GetName() != "" && matches(r.Name, e.GetResource().GetName()) {
			add(r.Class)
		}
	}
	if action.App {
		for _, scope := range e.GetApp().GetScopes() {
			class, known := c.catalog.Scope(e.GetSource(), scope)
			if !known {
				class = catalog.Unclassified
			}
			add(class)
		}
	}
	// Whoever names an object must not thereby lower what it means to change who may do what.
	if action.Class != "" && (len(found) == 0 || action.Act == "administer" || action.Act == "consent") {
		add(action.Class)
	}
	if len(found) == 0 {
		if class, known := c.catalog.Kind(e.GetSource(), e.GetResource().GetKind()); known {
			add(class)
		}
	}
	if len(found) == 0 {
		add(catalog.Unclassified)
	}
	slices.SortFunc(found, func(a, b string) int {
		return cmp.Or(c.sensitivity(b)-c.sensitivity(a), strings.Compare(a, b))
	})
	return found
}

// matches is whether text fits pattern, in which each "*" stands for any run of characters.
func matches(pattern, text string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text, rest = text[at+len(part):], next
	}
}
