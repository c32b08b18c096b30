// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
)

// analystPolicy lets analysts export customers' data; nobody is one by it.
const analystPolicy = lowRow + analystRow + "p, role:banned, *, *, customer, export, deny\np, service:admin, *, curfew/api/*, *, *, allow\n"

const filesOfCustomers = "resources: [{object: \"google_workspace/file/*\", class: pii.contact}]\n"

// teamGrant is a grant of sam's that stands for his place in an okta group, in force.
func teamGrant(id string, from, until time.Time) *curfewv1.Grant {
	return &curfewv1.Grant{
		Id: id, Tenant: "main", Subject: "person:sam", Role: "role:analyst", State: active, From: timestamppb.New(from), ExpiresAt: timestamppb.New(until),
		Author: "person:ann", Reason: "quarterly numbers",
		Privileges: []*curfewv1.HeldPrivilege{{
			Privilege: &curfewv1.Privilege{Source: "okta", Kind: "group", Holder: "00u1", Resource: "00g1", HolderName: "sam@linden-lark.example.com", ResourceName: "Payments"},
			Stage:     stageHeld, Seen: timestamppb.New(from.Add(time.Second)),
		}},
	}
}

// over is a grant that was taken away in time.
func over(g *curfewv1.Grant) {
	g.State, g.EndedAt, g.Privileges[0].Stage = revoked, g.GetExpiresAt(), stageGone
	g.Privileges[0].Called, g.Privileges[0].Gone = g.GetEndedAt(), timestamppb.New(g.GetEndedAt().AsTime().Add(time.Second))
}

// joined is what the log of a group says of who is put into it.
func joined(holder, held string) *curfewv1.LinkChange {
	return &curfewv1.LinkChange{Kind: "memberships", Holder: holder, HolderType: "account", Held: held}
}

// afterEnd is the findings about an event that are about an ended grant. It waits for the event's decision, before which
// they are on disk.
func afterEnd(t *testing.T, b *bus.Bus, event string) (found []*curfewv1.Finding) {
	t.Helper()
	decisionOf(t, b, event)
	err := b.Read(t.Context(), bus.All("finding"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return err
		}
		if f.GetEvent().GetId() == event && f.GetGrantId() != "" {
			found = append(found, f)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// expect checks that an event has one finding of a detection about a grant, or none where grant is "".
func expect(t *testing.T, b *bus.Bus, event, detection, grant string) {
	t.Helper()
	found := afterEnd(t, b, event)
	if grant == "" && len(found) > 0 || grant != "" && (len(found) != 1 || found[0].GetDetection() != detection || found[0].GetGrantId() != grant) {
		t.Errorf("%s: got %v, want %q about %q", event, found, detection, grant)
	}
}

func TestUseAfterTheEndOfAGrant(t *testing.T) {
	b := bustest.New(t)
	o := ago(t, b, map[string]string{"policy.csv": analystPolicy, "identities.yaml": groupPeople, "classes.yaml": filesOfCustomers})
	now := time.Now().Truncate(time.Second)
	hours := func(n float64) time.Time { return now.Add(time.Duration(n * float64(time.Hour))) }
	early := teamGrant("g-early", hours(-50), hours(-10)) // ended before its time
	walk(t, b, early, func(g *curfewv1.Grant) {
		over(g)
		g.EndedAt = timestamppb.New(hours(-40))
	})
	walk(t, b, teamGrant("g-last", hours(-20), hours(-15)), over)
	walk(t, b, teamGrant("g-other", hours(-14), hours(-13)), func(g *curfewv1.Grant) { g.Role = "role:useless" }, over)
	walk(t, b, teamGrant("g-banned", hours(-14), hours(-13)), func(g *curfewv1.Grant) { g.Role = "role:banned" }, over)
	walk(t, b, teamGrant("g-void", hours(-12), hours(-11)), to(curfewv1.GrantState_GRANT_STATE_FAILED, 0))
	walk(t, b, teamGrant("g-now", hours(-2), hours(-1)), func(*curfewv1.Grant) {})
	start(t, o)
	for _, c := range []struct {
		name  string
		at    time.Time
		grant string
	}{
		{"a moment after", hours(-1).Add(time.Second), "g-now"},
		{"a moment before, late", hours(-1).Add(-time.Second), ""},
		{"before any", hours(-60), ""},
		{"after the early end", hours(-39), "g-early"},
		{"of two the last that ended", hours(-10.5), "g-last"},
		{"within the last, late", hours(-16), ""},
	} {
		id := "google_workspace:" + c.name
		act(t, b, "google_workspace", id, c.at)
		expect(t, b, id, detection.UsedAfterEnd, c.grant)
	}
}

// What was allowed then by something else than the grant is no use of the grant.
func TestUseOfWhatTheGrantDidNotGive(t *testing.T) {
	b := bustest.New(t)
	o := options(t, b, "one")
	o.PolicyDir = ""
	end := time.Now().Add(-time.Hour).Truncate(time.Second)
	storePolicies(t, &o, map[time.Duration]string{-3 * time.Hour: lowRow, -time.Minute: lowRow + personRow, time.Minute: lowRow}, end)
	walk(t, b, teamGrant("g-1", end.Add(-time.Hour), end), over)
	start(t, o)
	act(t, b, "google_workspace", "google_workspace:1", end.Add(10*time.Minute))
	if d := decisionOf(t, b, "google_workspace:1"); d.GetVerdict() != violation {
		t.Fatalf("this shows little: %v", d)
	}
	expect(t, b, "google_workspace:1", "", "")
}

// What ended 31 days ago is not told of, and what lies 29 days back is; whose grant it was not has nothing to do with it.
func TestUseLongAfterTheEndOfAGrant(t *testing.T) {
	b := bustest.New(t)
	o := options(t, b, "one")
	o.PolicyDir = ""
	end := time.Now().Add(-35 * 24 * time.Hour).Truncate(time.Second)
	storePolicies(t, &o, map[time.Duration]string{-3 * time.Hour: lowRow, -time.Minute: lowRow + analystRow, time.Minute: lowRow}, end)
	walk(t, b, teamGrant("g-1", end.Add(-time.Hour), end), over)
	start(t, o)
	for days, grant := range map[int]string{29: "g-1", 31: ""} {
		id := fmt.Sprint("google_workspace:", days)
		act(t, b, "google_workspace", id, end.Add(time.Duration(days)*24*time.Hour))
		expect(t, b, id, detection.UsedAfterEnd, grant)
	}
	ann := driveEvent("ann@linden-lark.example.com", "download", "export")
	ann.Id = "google_workspace:ann"
	if _, err := b.Append(t.Context(), bus.EventSubject("main", "google_workspace", "other"), 0, &curfewv1.EventBatch{
		Format: 1, Tenant: "main", Source: "google_workspace", Feed: "other", Received: ann.GetReceived(), Events: []*curfewv1.Event{ann},
	}); err != nil {
		t.Fatal(err)
	}
	expect(t, b, ann.GetId(), detection.UsedAfterEnd, "")
}

func TestGivenAgainAfterTheEndOfAGrant(t *testing.T) {
	b := bustest.New(t)
	o := ago(t, b, map[string]string{"policy.csv": analystPolicy, "identities.yaml": groupPeople})
	now := time.Now().Truncate(time.Second)
	hours := func(n float64) time.Time { return now.Add(time.Duration(n * float64(time.Hour))) }
	walk(t, b, teamGrant("g-1", hours(-40), hours(-30)), func(*curfewv1.Grant) {}, over)
	walk(t, b, teamGrant("g-2", hours(-20), hours(-10)), func(*curfewv1.Grant) {}, over)
	walk(t, b, teamGrant("g-long", hours(-22), hours(-18)), func(*curfewv1.Grant) {}, func(g *curfewv1.Grant) {
		over(g)
		g.Privileges[0].Stage = stageLeft
	})
	other := func(id string, change func(*curfewv1.HeldPrivilege)) {
		walk(t, b, teamGrant(id, hours(-8), hours(-4)), func(g *curfewv1.Grant) {
			g.Privileges[0].Privilege.Holder, g.Privileges[0].Privilege.HolderName = "00u-"+id, ""
			over(g)
			change(g.GetPrivileges()[0])
		})
	}
	other("g-prior", func(h *curfewv1.HeldPrivilege) {
		h.Prior = &curfewv1.PrivilegeState{Presence: curfewv1.Presence_PRESENCE_PRESENT}
	})
	other("g-giving", func(h *curfewv1.HeldPrivilege) { h.Stage, h.Seen, h.Called, h.Gone = stageGiving, nil, nil, nil })
	other("g-never", func(h *curfewv1.HeldPrivilege) { h.Stage, h.Seen = 0, nil })
	other("g-taking", func(h *curfewv1.HeldPrivilege) { h.Stage, h.Called, h.Gone = stageTaking, nil, nil })
	other("g-seen-late", func(h *curfewv1.HeldPrivilege) { h.Seen = timestamppb.New(hours(-4).Add(3 * time.Second)) })
	other("g-role", func(h *curfewv1.HeldPrivilege) { h.Privilege.Kind, h.Privilege.Resource = "admin_role", "HELP" })
	// A live grant of the one that g-2 was about comes first, and ends before now.
	start(t, o)
	removed := joined("00u1", "00g1")
	removed.Removed = true
	role := &curfewv1.LinkChange{Kind: "roles", Holder: "00u-g-role", HolderType: "account", Held: "HELP"}
	group := joined("00u1", "00g1")
	group.HolderType = "group"
	for _, c := range []struct {
		name  string
		at    time.Time
		link  *curfewv1.LinkChange
		grant string
	}{
		{"between the two", hours(-25), joined("00u1", "00g1"), "g-1"},
		{"by names", hours(-25), joined("Sam@linden-lark.example.com", "payments"), "g-1"},
		{"our own giving", hours(-20).Add(time.Second), joined("00u1", "00g1"), ""},
		{"our own giving by a vendor's slow clock", hours(-22).Add(-2 * time.Second), joined("00u1", "00g1"), ""},
		{"while another wants it", hours(-17), joined("00u1", "00g1"), ""},
		{"stamped before the end, late", hours(-10).Add(-time.Second), joined("00u1", "00g1"), ""},
		{"a second after the end", hours(-10).Add(time.Second), joined("00u1", "00g1"), "g-2"},
		{"hours after", hours(-3), joined("00u1", "00g1"), "g-2"},
		{"taken away", hours(-3), removed, ""},
		{"another group", hours(-3), joined("00u1", "00g2"), ""},
		{"somebody else", hours(-3), joined("00u2", "00g1"), ""},
		{"a group", hours(-3), group, ""},
		{"was there before", hours(-3), joined("00u-g-prior", "00g1"), ""},
		{"our own giving that nobody saw the end of", hours(-3), joined("00u-g-giving", "00g1"), ""},
		{"never given", hours(-3), joined("00u-g-never", "00g1"), ""},
		{"being taken", hours(-3), joined("00u-g-taking", "00g1"), "g-taking"},
		{"our own giving at the end", hours(-4).Add(2 * time.Second), joined("00u-g-seen-late", "00g1"), ""},
		{"after our own giving at the end", hours(-4).Add(time.Minute), joined("00u-g-seen-late", "00g1"), "g-seen-late"},
		{"a role", hours(-3), role, "g-role"},
		{"a group that is called as a role", hours(-3), joined("00u-g-role", "HELP"), ""},
	} {
		id := "okta:" + c.name
		act(t, b, "okta", id, c.at, c.link)
		expect(t, b, id, detection.GrantedAgain, c.grant)
	}
}

// Where a log calls people and groups by names that the grant does not know, the inventories say who is meant.
func TestGivenAgainByOtherNames(t *testing.T) {
	b := bustest.New(t)
	o := ago(t, b, map[string]string{"policy.csv": analystPolicy, "identities.yaml": groupPeople})
	now := time.Now().Truncate(time.Second)
	people, groups := &shelf{t: t, bus: b, kind: "people"}, &shelf{t: t, bus: b, kind: "groups"}
	people.read(now.Add(-9*time.Hour), now.Add(-9*time.Hour), person("00u1", "sam@linden-lark.example.com"))
	groups.read(now.Add(-9*time.Hour), now.Add(-9*time.Hour), &curfewv1.Entry{Key: "00g1", Thing: &curfewv1.Entry_Group{
		Group: &curfewv1.Group{Id: "00g1", Name: "payments@linden-lark.example.com"},
	}})
	walk(t, b, teamGrant("g-1", now.Add(-8*time.Hour), now.Add(-7*time.Hour)), func(g *curfewv1.Grant) {
		over(g)
		g.Privileges[0].Privilege.HolderName, g.Privileges[0].Privilege.ResourceName = "", ""
	})
	start(t, o)
	act(t, b, "okta", "okta:named", now.Add(-time.Hour), joined("sam@linden-lark.example.com", "payments@linden-lark.example.com"))
	expect(t, b, "okta:named", detection.GrantedAgain, "g-1")
}

// A grant that comes while an earlier one of the same has ended makes its own giving no finding, however they overlap, and
// neither does the end of the first while the second lasts.
func TestOverlappingGrantsAreQuiet(t *testing.T) {
	b := bustest.New(t)
	o := ago(t, b, map[string]string{"policy.csv": analystPolicy, "identities.yaml": groupPeople})
	now := time.Now().Truncate(time.Second)
	first := walk(t, b, teamGrant("g-1", now.Add(-2*time.Hour), now.Add(-time.Hour)), func(*curfewv1.Grant) {})
	second := walk(t, b, teamGrant("g-2", now.Add(-90*time.Minute), now.Add(time.Hour)), func(*curfewv1.Grant) {})
	walk(t, b, first, over, func(g *curfewv1.Grant) { g.Privileges[0].Stage = stageTaken })
	start(t, o)
	act(t, b, "okta", "okta:1", now.Add(-30*time.Minute), joined("00u1", "00g1"))
	expect(t, b, "okta:1", "", "")
	walk(t, b, second, func(g *curfewv1.Grant) {
		over(g)
		g.EndedAt = timestamppb.New(now.Add(-20 * time.Minute))
	})
	act(t, b, "okta", "okta:2", now.Add(-10*time.Minute), joined("00u1", "00g1"))
	expect(t, b, "okta:2", detection.GrantedAgain, "g-2")
}

// Four replicas tell of ended grants while grants come and end; whoever looks again by a batch's basis finds the same.
func TestTheSameBasisGivesTheSameFindingsAboutEndedGrants(t *testing.T) {
	b := bustest.New(t)
	o := ago(t, b, map[string]string{"policy.csv": analystPolicy, "identities.yaml": groupPeople, "classes.yaml": filesOfCustomers})
	now := time.Now().Truncate(time.Second)
	for i := range 4 {
		o.Holder = fmt.Sprint("replica ", i)
		start(t, o)
	}
	const rounds = 12
	for round := range rounds {
		when := now.Add(time.Duration(round-rounds) * 10 * time.Minute)
		walk(t, b, teamGrant(fmt.Sprint("g-", round), when.Add(-5*time.Minute), when), func(*curfewv1.Grant) {}, over)
		act(t, b, "okta", fmt.Sprint("okta:", round), when.Add(time.Minute), joined("00u1", "00g1"))
		act(t, b, "google_workspace", fmt.Sprint("google_workspace:", round), when.Add(2*time.Minute))
	}
	for round := range rounds {
		decisionOf(t, b, fmt.Sprint("okta:", round))
		decisionOf(t, b, fmt.Sprint("google_workspace:", round))
	}
	was := map[string][]byte{}
	if err := b.Read(t.Context(), bus.All("finding"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return err
		}
		if f.GetGrantId() != "" && f.GetEvent() != nil {
			f.Context.History = nil // it rests on derived state, and on no basis
			was[f.GetId()] = encoded(t, f)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(was) != 2*rounds {
		t.Fatalf("this shows little: %d findings", len(was))
	}
	policies, err := openPolicies(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	again := 0
	if err := b.Read(t.Context(), bus.All("decision"), bus.From{}, func(m bus.Message) error {
		for _, f := range foundAgain(t, b, policies, m) {
			if again++; !bytes.Equal(was[f.GetId()], encoded(t, f)) {
				t.Errorf("found again by the same basis: got %v", f)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if again != len(was) {
		t.Errorf("found %d again, want %d", again, len(was))
	}
}

// foundAgain is what is found about ended grants by a batch of decisions' basis alone.
func foundAgain(t *testing.T, b *bus.Bus, policies *policies, m bus.Message) (found []*curfewv1.Finding) {
	t.Helper()
	decided, batch := new(curfewv1.DecisionBatch), new(curfewv1.EventBatch)
	if err := m.Decode(decided); err != nil {
		t.Fatal(err)
	}
	stored, err := b.At(t.Context(), bus.All("event"), decided.GetEventSequence())
	if err == nil {
		err = stored.Decode(batch)
	}
	if err != nil {
		t.Fatal(err)
	}
	by := &picture{Judge: at(t, b, policies, decided.GetBasis()), grants: viewAt(t, b, decided.GetBasis())}
	for _, e := range batch.GetEvents() {
		_, findings := by.evaluate(e)
		found = append(found, slices.DeleteFunc(findings, func(f *curfewv1.Finding) bool { return f.GetGrantId() == "" })...)
	}
	return found
}

// viewAt is what the steps up to a basis say of grants.
func viewAt(t *testing.T, b *bus.Bus, basis *curfewv1.Basis) *grantView {
	t.Helper()
	fold := newGrantFold()
	if err := b.Read(t.Context(), bus.All("grant"), bus.From{}, func(m bus.Message) error {
		step, err := readStep(m)
		if err == nil && m.Sequence <= basis.GetGrantsSequence() {
			fold.take(step)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return fold.now()
}

// What ended long ago goes, and a view that was handed out stays as it was.
func TestAGrantFoldForgets(t *testing.T) {
	fold := newGrantFold()
	views := map[int]*grantView{}
	for day := range 200 {
		when := morning.Add(time.Duration(day) * 24 * time.Hour)
		g := teamGrant(fmt.Sprint("g-", day), when.Add(-time.Hour), when)
		for _, change := range []func(*curfewv1.Grant){func(*curfewv1.Grant) {}, over} {
			change(g)
			fold.take(&curfewv1.GrantStep{Grant: g, Time: timestamppb.New(when)})
		}
		views[day] = fold.now()
	}
	if kept := len(fold.grants); kept < 60 || kept > 62 {
		t.Errorf("got %d grants of 200 days, want those of 60", kept)
	}
	held := views[50].at("account:okta/00u1")
	if len(held) != 51 || !slices.ContainsFunc(held, func(s stood) bool { return s.grant == "g-0" }) || views[50].count != 102 {
		t.Errorf("the view of day 50 has changed: %d", len(held))
	}
}
