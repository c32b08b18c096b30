// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/event"
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
	// Untold are privileges that the inventory shows and the log does not tell as what somebody holds without a limit.
	Untold []*curfewv1.Privilege
	// Names are the inventory's ids of what the log calls by a name.
	Names map[string]string
}

// Links holds the source of c to one promise: what its log says that an act gave or took away is how its inventory differs
// from before, and where the log cannot say that it says nothing.
func Links(t *testing.T, c LinksCase) {
	for _, privilege := range c.Told {
		t.Run(privilege.GetKind(), func(t *testing.T) { c.follow(t, privilege, true) })
	}
	for _, privilege := range c.Untold {
		t.Run(privilege.GetKind()+" untold", func(t *testing.T) { c.follow(t, privilege, false) })
	}
}

// follow gives a privilege, takes it again, and compares each time what is told with what is shown.
func (c LinksCase) follow(t *testing.T, privilege *curfewv1.Privilege, told bool) {
	source := c.New(t, Options{URL: serve(t, c.Registry(token)), Token: token, PageSize: 5, Impatient: true})
	reader := &linkReader{t: t, c: c, source: source, cursors: map[string]string{}, seen: map[string]bool{}}
	reader.told()
	before := reader.shown()
	for _, change := range []struct {
		name string
		do   func() (*curfewv1.Provisioned, error)
	}{
		{"grant", func() (*curfewv1.Provisioned, error) { return source.Grant(t.Context(), privilege) }},
		{"revoke", func() (*curfewv1.Provisioned, error) { return source.Revoke(t.Context(), privilege, nil) }},
	} {
		if done, err := change.do(); err != nil || done.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
			t.Fatalf("%s: got %v, %v, want it done", change.name, done, err)
		}
		after := reader.shown()
		want := differing(before, after)
		if len(want) == 0 {
			t.Fatalf("%s: the inventory shows nothing of it", change.name)
		}
		if !told {
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
		inventory, err := r.source.Observe(r.t.Context(), kind)
		if err != nil || len(inventory.GetMissing()) > 0 {
			r.t.Fatalf("observe %s: got %v without %q", kind, err, inventory.GetMissing())
		}
		for _, entry := range inventory.GetEntries() {
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

// told is what the logs tell that they did not before, each link once: several logs may tell of one act.
func (r *linkReader) told() []heldLink {
	r.t.Helper()
	var links []heldLink
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
					links = append(links, heldLink{
						Kind: change.GetKind(), Holder: r.id(change.GetHolder()), HolderType: change.GetHolderType(),
						Held: r.id(change.GetHeld()), Removed: change.GetRemoved(),
					})
				}
			}
		}
	}
	return inOrder(links)
}

// id is the inventory's id of what the log calls by a name.
func (r *linkReader) id(name string) string {
	if id, known := r.c.Names[name]; known {
		return id
	}
	return name
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
