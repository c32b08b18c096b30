// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
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
	Classes   []yamlfile.Section `yaml:"classes"`
	Resources []yamlfile.Section `yaml:"resources"`
}

// readClasses reads classes.yaml, and catalog.yaml, which may speak of its classes.
func readClasses(content, extension []byte, cat *catalog.Catalog) (*classes, error) {
	var file classesYAML
	if err := yamlfile.Decode(classesFile, content, &file); err != nil {
		return nil, err
	}
	cat, err := cat.WithClasses(classesFile, file.Classes)
	if err != nil {
		return nil, err
	}
	if cat, err = cat.Extend(catalogFile, extension); err != nil {
		return nil, err
	}
	c := &classes{byID: map[string]catalog.Class{}, above: map[string]map[string]bool{}, catalog: cat}
	for _, class := range cat.Classes() {
		c.byID[class.ID] = class
		level := "level:low"
		if class.Sensitivity >= sensitive {
			level = "level:high"
		}
		above := map[string]bool{"*": true, class.ID: true, level: true}
		for _, parent := range cat.Above(class.ID) {
			above[parent] = true
		}
		c.above[class.ID] = above
	}
	for _, section := range file.Resources {
		var r resourceClass
		if err := section.Named(classesFile).Decode(&r); err != nil {
			return nil, err
		}
		if err := c.addResource(r); err != nil {
			return nil, fmt.Errorf("read %s: line %d: %w", classesFile, section.Line(), err)
		}
	}
	return c, nil
}

func (c *classes) addResource(r resourceClass) error {
	if _, known := c.byID[r.Class]; !known {
		return fmt.Errorf("class %q is not known; it is neither in the catalogue nor under classes", r.Class)
	}
	if (r.Object == "") == (r.Name == "") {
		return errors.New("a resource needs either object or name, a pattern in which * stands for anything")
	}
	c.resources = append(c.resources, r)
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
		if r.fits(object, e.GetResource().GetName()) {
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
	if action.Class != "" && (len(found) == 0 || action.Act == "administer" || action.Act == "approve" || action.Act == "consent") {
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

func (r resourceClass) fits(object, name string) bool {
	return r.Object != "" && matches(r.Object, object) || r.Name != "" && name != "" && matches(r.Name, name)
}

// Gaps is what of an event nobody has said what data it is about, where that leaves it unclassified: scopes that an app
// took, or its action, or the kind of its resource.
func (j *Judge) Gaps(e *curfewv1.Event) []detection.Gap {
	at, _ := placeTime(e)
	policy, _ := j.Policies(at)
	c := policy.classes
	action, _ := c.catalog.Action(e.GetSource(), e.GetFeed(), e.GetAction())
	var gaps []detection.Gap
	if action.App {
		for _, scope := range e.GetApp().GetScopes() {
			if class, known := c.catalog.Scope(e.GetSource(), scope); !known || class == catalog.Unclassified {
				gaps = append(gaps, detection.Gap{What: "scope", Name: scope})
			}
		}
	}
	kind := e.GetResource().GetKind()
	class, known := c.catalog.Kind(e.GetSource(), kind)
	switch {
	case len(gaps) > 0:
	case slices.ContainsFunc(c.resources, func(r resourceClass) bool { return r.fits(Object(e), e.GetResource().GetName()) }):
	case action.Class == catalog.Unclassified || action.Class == "" && kind == "":
		gaps = append(gaps, detection.Gap{What: "action", Name: e.GetAction()})
	case action.Class == "" && (!known || class == catalog.Unclassified):
		gaps = append(gaps, detection.Gap{What: "kind", Name: kind})
	}
	return gaps
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
