// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/inventory"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// groupPolicy gives the analysts' right to a group of the directory.
const groupPolicy = `p, role:anyone, *, *, level:low, *, allow
p, role:analyst, *, *, customer, export, allow
p, service:admin, *, curfew/api/*, *, *, allow
g, group:okta/00g1, role:analyst
`

const groupPeople = `people:
  - {id: sam, emails: [sam@linden-lark.example.com], accounts: {okta: [00u1]}}
`

// shelf stores readings of one kind of thing as a collector does.
type shelf struct {
	t     *testing.T
	bus   *bus.Bus
	kind  string
	state inventory.State
	last  uint64
}

func (s *shelf) read(began, ended time.Time, entries ...*curfewv1.Entry) {
	s.t.Helper()
	seen := &curfewv1.Inventory{Entries: entries}
	record := &curfewv1.Inventory{
		Format: 1, Tenant: "main", Source: "okta", Kind: s.kind, Began: timestamppb.New(began), Ended: timestamppb.New(ended), Changes: s.state.Observe(seen),
	}
	record.Count, record.Digest = uint64(s.state.Len()), s.state.Digest()
	if s.last == 0 {
		content, err := s.state.Object()
		if err != nil {
			s.t.Fatal(err)
		}
		if record.Object, err = s.bus.PutObject(s.t.Context(), content); err != nil {
			s.t.Fatal(err)
		}
	}
	var err error
	if s.last, err = s.bus.Append(s.t.Context(), bus.InventorySubject("main", "okta", s.kind), s.last, record); err != nil {
		s.t.Fatal(err)
	}
}

func member(account string) *curfewv1.Entry {
	return &curfewv1.Entry{Key: "00g1/" + account, Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{
		Group: "00g1", Member: account, MemberType: "account", Level: "member",
	}}}
}

func person(account, email string) *curfewv1.Entry {
	return &curfewv1.Entry{Key: account, Thing: &curfewv1.Entry_Account{Account: &curfewv1.Account{Id: account, Login: email, Emails: []string{email}}}}
}

// ago is a policy in force since long ago, and an evaluator of it.
func ago(t *testing.T, b *bus.Bus, files map[string]string) Options {
	t.Helper()
	dir := t.TempDir()
	content := map[string][]byte{}
	for name, text := range files {
		writeFile(t, dir, name, text)
		content[name] = []byte(text)
	}
	o := options(t, b, "one")
	o.PolicyDir = dir
	policy, err := judge.ReadPolicy(dir, o.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	revision := &curfewv1.PolicyRevision{
		Format: 1, Number: 1, Digest: policy.Digest(), Author: "configuration", Reason: "long ago", From: timestamppb.New(time.Now().Add(-240 * time.Hour)), Files: policy.Files(),
	}
	value, err := proto.Marshal(revision)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), bus.Policies, value, "main", "1"); err != nil {
		t.Fatal(err)
	}
	return o
}

// act appends one export of customers' addresses at a time, and what it tells of links if anything.
func act(t *testing.T, b *bus.Bus, source, id string, at time.Time, links ...*curfewv1.LinkChange) {
	t.Helper()
	e := driveEvent("sam@linden-lark.example.com", "download", "export")
	e.Id, e.Time, e.Received, e.Links = id, timestamppb.New(at), timestamppb.Now(), links
	feed := "drive"
	if source == "okta" {
		e.Source, e.Feed, e.Action, e.Act, feed = "okta", "system_log", "group.user_membership.add", "administer", "system_log"
		e.Resource = &curfewv1.Resource{Path: "group/00g1", Kind: "group"}
	}
	subject := bus.EventSubject("main", source, feed)
	var last uint64
	if m, err := b.Last(t.Context(), subject); err == nil {
		last = m.Sequence
	}
	batch := &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: source, Feed: feed, Received: e.GetReceived(), Events: []*curfewv1.Event{e}}
	if _, err := b.Append(t.Context(), subject, last, batch); err != nil {
		t.Fatal(err)
	}
}

// verdictOf waits for the decision on an event.
func decisionOf(t *testing.T, b *bus.Bus, id string) *curfewv1.Decision {
	t.Helper()
	var found *curfewv1.Decision
	err := b.Follow(t.Context(), bus.All("decision"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		for _, d := range batch.GetDecisions() {
			if d.GetEventId() == id {
				found = d
				return errFound
			}
		}
		return nil
	})
	if found == nil {
		t.Fatal(err)
	}
	return found
}

var errFound = fmt.Errorf("found")

// changedOf waits for the finding that an event would be judged otherwise now.
func changedOf(t *testing.T, b *bus.Bus, id string) *curfewv1.Finding {
	t.Helper()
	var found *curfewv1.Finding
	err := b.Follow(t.Context(), bus.All("finding"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return err
		}
		if f.GetDetection() == detection.ChangedJudgement && f.GetEvent().GetId() == id {
			found = f
			return errFound
		}
		return nil
	})
	if found == nil {
		t.Fatal(err)
	}
	return found
}

const (
	unknown   = curfewv1.Verdict_VERDICT_UNKNOWN
	allowed   = curfewv1.Verdict_VERDICT_ALLOWED
	violation = curfewv1.Verdict_VERDICT_VIOLATION
)

// Whoever is put into a group has its rights from the moment the group's own log says, also where that is learnt from the
// same batch, from an inventory later, or too late: then the decision stays and a finding tells.
func TestMembershipsCountFromTheirOwnTime(t *testing.T) {
	b := bustest.New(t)
	o := ago(t, b, map[string]string{"policy.csv": groupPolicy, "identities.yaml": groupPeople, "classes.yaml": "resources: [{object: \"google_workspace/file/*\", class: pii.contact}]\n"})
	now := time.Now().Truncate(time.Second)
	hours := func(n float64) time.Time { return now.Add(time.Duration(n * float64(time.Hour))) }
	people, members := &shelf{t: t, bus: b, kind: "people"}, &shelf{t: t, bus: b, kind: "memberships"}
	people.read(hours(-10), hours(-10), person("00u1", "sam@linden-lark.example.com"))
	members.read(hours(-10), hours(-10))
	members.read(hours(-8), hours(-8))
	start(t, o)

	act(t, b, "google_workspace", "google_workspace:before", hours(-11))
	if d := decisionOf(t, b, "google_workspace:before"); d.GetVerdict() != unknown || !strings.Contains(d.GetReason(), "no whole inventory of okta memberships") {
		t.Errorf("before the first whole inventory: got %v because %q", d.GetVerdict(), d.GetReason())
	}
	act(t, b, "google_workspace", "google_workspace:outside", hours(-9))
	if d := decisionOf(t, b, "google_workspace:outside"); d.GetVerdict() != violation {
		t.Errorf("in no group: got %v because %q", d.GetVerdict(), d.GetReason())
	}
	act(t, b, "google_workspace", "google_workspace:bracket", hours(-7))
	if d := decisionOf(t, b, "google_workspace:bracket"); d.GetVerdict() != violation {
		t.Errorf("as far as was known then in no group: got %v because %q", d.GetVerdict(), d.GetReason())
	}
	members.read(hours(-6), hours(-6), member("00u1"))
	if f := changedOf(t, b, "google_workspace:bracket"); f.GetDecision().GetVerdict() != unknown {
		t.Errorf("between two readings that bracket a change: got %v", f.GetDecision())
	}
	act(t, b, "google_workspace", "google_workspace:bracket again", hours(-7))
	if d := decisionOf(t, b, "google_workspace:bracket again"); d.GetVerdict() != unknown || !strings.Contains(d.GetReason(), "okta memberships") {
		t.Errorf("in the bracket: got %v because %q", d.GetVerdict(), d.GetReason())
	}
	act(t, b, "google_workspace", "google_workspace:inside", hours(-5))
	if d := decisionOf(t, b, "google_workspace:inside"); d.GetVerdict() != allowed || len(d.GetLinks()) != 3 || d.GetLinks()[1].GetHeld() != "group:okta/00g1" {
		t.Errorf("in the group: got %v because %q by %v", d.GetVerdict(), d.GetReason(), d.GetLinks())
	}
	// The group's own log says at last when it was: within the bracket.
	add := &curfewv1.LinkChange{Kind: "memberships", Holder: "00u1", HolderType: "account", Held: "00g1"}
	act(t, b, "okta", "okta:add", hours(-7.5), add)
	if f := changedOf(t, b, "google_workspace:bracket again"); f.GetDecision().GetVerdict() != allowed {
		t.Errorf("the log says since when: got %v", f.GetDecision())
	}
	if d := decisionOf(t, b, "google_workspace:bracket"); d.GetVerdict() != violation {
		t.Error("what was decided stays")
	}
	// Taken out, and what was done six minutes later.
	remove := proto.CloneOf(add)
	remove.Removed = true
	act(t, b, "okta", "okta:remove", hours(-1), remove)
	decisionOf(t, b, "okta:remove") // its lane has told
	act(t, b, "google_workspace", "google_workspace:after", hours(-0.9))
	if d := decisionOf(t, b, "google_workspace:after"); d.GetVerdict() != violation {
		t.Errorf("after the removal: got %v because %q by %v", d.GetVerdict(), d.GetReason(), d.GetLinks())
	}
}
