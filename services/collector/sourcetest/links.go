// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Teller is a source that reads a log, shows what there is and changes it.
type Teller interface {
	Source
	Observer
	Provisioner
}

// LinksCase is a source under test whose log tells of memberships and roles that its inventory shows too.
type LinksCase struct {
	// New makes a source that knows nothing but its configuration.
	New func(t *testing.T, options Options) Teller
	// Registry makes a vendor that wants the token, has no faults, and writes to its log what requests change.
	Registry func(token string) Registry
	// Feeds are the logs that tell.
	Feeds []string
	// Told are privileges of which the log names both ends. None is held at first.
	Told []*curfewv1.Privilege
	// Given are those of which it tells that they are given, and not that they are taken away: the holder may hold the same
	// otherwise still.
	Given []*curfewv1.Privilege
	// Untold are privileges that the inventory shows and the log does not tell as what somebody holds without a limit.
	Untold []*curfewv1.Privilege
	// Roles are the inventory's ids of roles that the log calls by a name.
	Roles map[string]string
}

// Links holds the source of c to one promise: what its log says that an act gave or took away is how its inventory differs
// from before, and where the log cannot say that it says nothing. What the log calls an account or a group, id or name,
// the inventory shows of exactly one.
func Links(t *testing.T, c LinksCase) {
	for _, privilege := range c.Told {
		t.Run(privilege.GetKind(), func(t *testing.T) { c.follow(t, privilege, true, true) })
	}
	for _, privilege := range c.Given {
		t.Run(privilege.GetKind()+" given", func(t *testing.T) { c.follow(t, privilege, true, false) })
	}
	for _, privilege := range c.Untold {
		t.Run(privilege.GetKind()+" untold", func(t *testing.T) { c.follow(t, privilege, false, false) })
	}
}

// follow gives a privilege, takes it again, and compares each time what is told with what is shown.
func (c LinksCase) follow(t *testing.T, privilege *curfewv1.Privilege, given, taken bool) {
	source := c.New(t, Options{URL: serve(t, c.Registry(token)), Token: token, PageSize: 5, Impatient: true})
	reader := &linkReader{t: t, c: c, source: source, cursors: map[string]string{}, seen: map[string]bool{}}
	reader.told()
	before := reader.shown()
	for _, change := range []struct {
		name string
		told bool
		do   func() (*curfewv1.Provisioned, error)
	}{
		{"grant", given, func() (*curfewv1.Provisioned, error) { return source.Grant(t.Context(), privilege) }},
		{"revoke", taken, func() (*curfewv1.Provisioned, error) { return source.Revoke(t.Context(), privilege, nil) }},
	} {
		if done, err := change.do(); err != nil || done.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
			t.Fatalf("%s: got %v, %v, want it done", change.name, done, err)
		}
		after := reader.shown()
		want := differing(before, after)
		if len(want) == 0 {
			t.Fatalf("%s: the inventory shows nothing of it", change.name)
		}
		if !change.told {
			want = nil
		}
		if diff := cmp.Diff(want, reader.told()); diff != "" {
			t.Errorf("%s: what the inventory shows (-) and what the log tells (+) differ:\n%s", change.name, diff)
		}
		before = after
	}
}

// heldLink is that a holder holds something, on something where scope is not "", or does so no more.
type heldLink struct {
	Kind, Holder, HolderType, Held, Scope string
	Removed                               bool
}

// differing is what is there after and was not before, and what was and is not, in order.
func differing(before, after map[heldLink]bool) []heldLink {
	var differ []heldLink
	for link := range after {
		if !before[link] {
			differ = append(differ, link)
		}
	}
	for link := range before {
		if !after[link] {
			link.Removed = true
			differ = append(differ, link)
		}
	}
	return inOrder(differ)
}

func inOrder(links []heldLink) []heldLink {
	slices.SortFunc(links, func(a, b heldLink) int {
		return strings.Compare(a.Kind+a.Holder+a.Held+a.Scope, b.Kind+b.Holder+b.Held+b.Scope)
	})
	return slices.Compact(links)
}

// linkReader reads logs and inventories as the collector does.
type linkReader struct {
	t       *testing.T
	c       LinksCase
	source  Teller
	cursors map[string]string
	seen    map[string]bool
}

// shown is what the inventories show of who holds what.
func (r *linkReader) shown() map[heldLink]bool {
	r.t.Helper()
	links := map[heldLink]bool{}
	for _, kind := range []string{"memberships", "roles"} {
		for _, entry := range r.entries(kind) {
			if m := entry.GetMembership(); m != nil && !m.GetPending() {
				links[heldLink{Kind: kind, Holder: m.GetMember(), HolderType: m.GetMemberType(), Held: m.GetGroup()}] = true
			}
			if a := entry.GetAssignment(); a != nil && !a.GetPending() {
				links[heldLink{Kind: kind, Holder: a.GetHolder(), HolderType: a.GetHolderType(), Held: a.GetRole(), Scope: a.GetScope()}] = true
			}
		}
	}
	return links
}

// entries are all that the inventory shows of a kind.
func (r *linkReader) entries(kind string) []*curfewv1.Entry {
	r.t.Helper()
	inventory, err := r.source.Observe(r.t.Context(), kind)
	if err != nil || len(inventory.GetMissing()) > 0 {
		r.t.Fatalf("observe %s: got %v without %q", kind, err, inventory.GetMissing())
	}
	return inventory.GetEntries()
}

// told is what the logs tell that they did not before, each link once: several logs may tell of one act.
func (r *linkReader) told() []heldLink {
	r.t.Helper()
	var links []heldLink
	known := directoryOf(slices.Concat(r.entries("people"), r.entries("groups")))
	for _, feed := range r.c.Feeds {
		for more := true; more; {
			batch, err := r.source.Poll(r.t.Context(), feed, r.cursors[feed])
			if err != nil {
				r.t.Fatalf("poll %s: %v", feed, err)
			}
			r.cursors[feed], more = batch.GetCursor(), batch.GetMore()
			for _, e := range batch.GetEvents() {
				if r.seen[e.GetId()] {
					continue
				}
				r.seen[e.GetId()] = true
				for _, change := range e.GetLinks() {
					link := heldLink{
						Kind: change.GetKind(), Holder: known.meant(change.GetHolderType(), change.GetHolder()), HolderType: change.GetHolderType(),
						Held: change.GetHeld(), Removed: change.GetRemoved(),
					}
					if link.Kind == "memberships" {
						link.Held = known.meant("group", link.Held)
					} else if id, named := r.c.Roles[link.Held]; named {
						link.Held = id
					}
					links = append(links, link)
				}
			}
		}
	}
	return inOrder(links)
}

// directory is whom and what a log may mean: ids of accounts and groups by type and id, or by type and folded name.
type directory struct {
	ids   map[[2]string]bool
	names map[[2]string][]string
}

// directoryOf is what people and groups come to.
func directoryOf(entries []*curfewv1.Entry) directory {
	d := directory{map[[2]string]bool{}, map[[2]string][]string{}}
	add := func(kind, id string, names ...string) {
		d.ids[[2]string{kind, id}] = true
		for _, name := range names {
			key := [2]string{kind, temporal.FoldEmail(name)}
			if !slices.Contains(d.names[key], id) {
				d.names[key] = append(d.names[key], id)
			}
		}
	}
	for _, entry := range entries {
		if a := entry.GetAccount(); a != nil {
			add("account", a.GetId(), append(a.GetEmails(), a.GetLogin())...)
		}
		if g := entry.GetGroup(); g != nil {
			add("group", g.GetId(), append(g.GetAliases(), g.GetName())...)
		}
	}
	return d
}

// meant is the id that the log's id or name means, or that it means none or several. Apps go by their ids.
func (d directory) meant(kind, name string) string {
	if kind == "app" || d.ids[[2]string{kind, name}] {
		return name
	}
	ids := d.names[[2]string{kind, temporal.FoldEmail(name)}]
	if len(ids) != 1 {
		return fmt.Sprintf("%s, which means %q", name, ids)
	}
	return ids[0]
}

// soundLinks wants every link of an event to be one that an inventory could show, and an act that failed to have none.
func soundLinks(where string, e *curfewv1.Event, report report) {
	if len(e.GetLinks()) > 0 && e.GetOutcome().GetStatus() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		report("%s: an act that took no effect gives or takes %v", where, e.GetLinks())
	}
	size := 0
	for _, link := range e.GetLinks() {
		size += len(link.GetHolder()) + len(link.GetHeld())
		if !slices.Contains([]string{"memberships", "roles"}, link.GetKind()) || !slices.Contains([]string{"account", "group", "app"}, link.GetHolderType()) {
			report("%s: the link %v is of no kind or no type", where, link)
		}
		for _, end := range []string{link.GetHolder(), link.GetHeld()} {
			if end == "" || event.Clean(end) != end {
				report("%s: the link %v has an end that is empty or not clean", where, link)
			}
		}
	}
	if size > 1<<20 {
		report("%s: the links are %d bytes, more than fits the bus", where, size)
	}
}
