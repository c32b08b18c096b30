// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// compareData says which objects hold other data, and which classes are others.
func (c *contrast) compareData() {
	old, now := c.old.policy, c.new.policy
	say := func(format string, values ...any) {
		c.found.Data = append(c.found.Data, fmt.Sprintf(format, values...))
	}
	for _, id := range union(old.Classes(), now.Classes()) {
		before, was := old.Catalog().Class(id)
		after, is := now.Catalog().Class(id)
		switch {
		case !was:
			say("class %s is new: sensitivity %d, within %s", id, after.Sensitivity, orNone(now.Catalog().Above(id)))
		case !is:
			say("class %s is gone", id)
		default:
			if before.Sensitivity != after.Sensitivity {
				say("class %s has sensitivity %d, and had %d", id, after.Sensitivity, before.Sensitivity)
			}
			if a, b := orNone(old.Catalog().Above(id)), orNone(now.Catalog().Above(id)); a != b {
				say("class %s is within %s, and was within %s", id, b, a)
			}
		}
	}
	c.compareResources(say)
	if string(old.Files()[catalogFile]) != string(now.Files()[catalogFile]) {
		c.note(catalogFile + " differs: what it makes of vendors' actions, kinds and scopes is not compared")
	}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "no other"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// compareResources finds the objects that hold other data.
func (c *contrast) compareResources(say func(format string, values ...any)) {
	old, now := c.old.policy, c.new.policy
	for _, field := range []string{"object", "name"} {
		before, after := resources(old, field), resources(now, field)
		for _, pattern := range union(keys(before), keys(after)) {
			a, b := orNone(before[pattern]), orNone(after[pattern])
			if field == "name" {
				if a != b {
					say("objects named %q hold %s by their name, and held %s", pattern, b, a)
				}
				continue
			}
			source, path, _ := strings.Cut(strings.ReplaceAll(pattern, "*", fresh), "/")
			kind, _, _ := strings.Cut(path, "/")
			e := &curfewv1.Event{Source: source, Resource: &curfewv1.Resource{Path: path, Kind: kind}}
			a, b = strings.Join(old.ClassesOf(e, catalog.Action{}), ", "), strings.Join(now.ClassesOf(e, catalog.Action{}), ", ")
			if a != b {
				say("%s holds %s, and held %s", pattern, b, a)
				c.objects = append(c.objects, e)
			}
		}
	}
}

// resources is the classes of each pattern of objects, or of names.
func resources(policy *judge.Policy, field string) map[string][]string {
	classes := map[string][]string{}
	for _, item := range items(policy.Files()[classesFile], classesFile, "resources") {
		if pattern := item.text(field); pattern != "" && !slices.Contains(classes[pattern], item.text("class")) {
			classes[pattern] = append(classes[pattern], item.text("class"))
		}
	}
	return classes
}

func keys[V any](of map[string]V) []string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	return names
}

// comparePeople says who is somebody else.
func (c *contrast) comparePeople() {
	say := func(format string, values ...any) {
		c.found.People = append(c.found.People, fmt.Sprintf(format, values...))
	}
	old, now := c.old.policy, c.new.policy
	for _, id := range union(old.People(), now.People()) {
		switch was, is := slices.Contains(old.People(), id), slices.Contains(now.People(), id); {
		case !was:
			say("person:%s is new", id)
		case !is:
			say("person:%s is gone", id)
		}
	}
	before, after := owners(old), owners(now)
	for _, account := range union(keys(before), keys(after)) {
		if a, b := before[account], after[account]; a != b {
			say("%s is %s, and was %s", account, orNobody(b), orNobody(a))
		}
	}
}

func orNobody(person string) string {
	if person == "" {
		return "nobody's"
	}
	return "person:" + person + "'s"
}

// owners is whose each account and address is by identities.yaml.
func owners(policy *judge.Policy) map[string]string {
	whose := map[string]string{}
	for _, person := range items(policy.Files()[identitiesFile], identitiesFile, "people") {
		for _, email := range person.texts("emails") {
			whose[strings.ToLower(email)] = person.text("id")
		}
		accounts, _ := person.fields["accounts"].(map[string]any)
		for source, ids := range accounts {
			for _, id := range texts(ids) {
				whose[source+"/"+id] = person.text("id")
			}
		}
	}
	return whose
}
