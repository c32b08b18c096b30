// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
)

const late = `{"id": "g-1", "tenant": "main", "subject": "person:sam", "role": "role:payments", "state": "GRANT_STATE_REVOKING",
 "from": "2026-11-02T09:00:00Z", "expiresAt": "2026-11-02T10:00:00Z", "pages": 1, "privileges": [
 {"privilege": {"source": "okta", "kind": "group", "holder": "00u1", "resource": "00g1", "holderName": "sam@example.com", "resourceName": "Payments"},
  "stage": "PRIVILEGE_STAGE_TAKING", "seen": "2026-11-02T09:00:02Z", "attempts": 7, "trouble": "okta does not answer"},
 {"privilege": {"source": "github", "kind": "team", "holder": "7", "resource": "8"}, "stage": "PRIVILEGE_STAGE_GONE"}]}`

// Each page is a finding of its own that says who still has what, since when, why, and what to do; the third wakes people.
func TestEachPageIsAFinding(t *testing.T) {
	g := readGrant(t, []byte(late))
	ids := map[string]bool{}
	for page, want := range map[uint32]curfewv1.Severity{
		1: curfewv1.Severity_SEVERITY_HIGH, 2: curfewv1.Severity_SEVERITY_HIGH, 3: curfewv1.Severity_SEVERITY_CRITICAL, 9: curfewv1.Severity_SEVERITY_CRITICAL,
	} {
		g.Pages = page
		first, again := detection.AskGrant(g), detection.AskGrant(g)
		if len(first) != 1 || !proto.Equal(first[0], again[0]) {
			t.Fatalf("page %d: got %v and %v, want the same one finding", page, first, again)
		}
		f := first[0]
		ids[f.GetId()] = true
		if f.GetSeverity() != want || f.GetGrantId() != "g-1" || f.GetTenant() != "main" || f.GetDetection() != "revocation_overdue" || f.GetFormat() != 1 || len(f.GetControls()) == 0 {
			t.Errorf("page %d: got %v", page, f)
		}
		all := f.GetTitle() + f.GetReason() + strings.Join(f.GetNextSteps(), " ")
		for _, said := range []string{"person:sam (sam@example.com)", `okta group "Payments"`, "since 2026-11-02T09:00:02Z", "okta does not answer", "curfew grant show g-1"} {
			if !strings.Contains(all, said) {
				t.Errorf("page %d does not say %q: %s", page, said, all)
			}
		}
		if strings.Contains(all, "github") {
			t.Errorf("page %d names what is gone: %s", page, all)
		}
	}
	if len(ids) != 4 {
		t.Errorf("got %d ids for four pages", len(ids))
	}
}

// Two privileges, two tenants and two grants are not one finding.
func TestFindingsAboutGrantsAreToldApart(t *testing.T) {
	ids := map[string]bool{}
	for _, change := range []func(*curfewv1.Grant){
		func(*curfewv1.Grant) {},
		func(g *curfewv1.Grant) { g.Id = "g-2" },
		func(g *curfewv1.Grant) { g.Tenant = "other" },
		func(g *curfewv1.Grant) { g.Privileges = g.GetPrivileges()[:1] },
	} {
		g := readGrant(t, []byte(late))
		g.Pages, g.State = 0, curfewv1.GrantState_GRANT_STATE_UNVERIFIED
		for _, held := range g.GetPrivileges() {
			held.Stage, held.Trouble = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN, "it is still there"
		}
		change(g)
		for _, f := range detection.AskGrant(g) {
			ids[f.GetId()] = true
		}
	}
	if len(ids) != 6 {
		t.Errorf("got %d ids, want 6: two privileges of three grants", len(ids))
	}
}

func ended() detection.Ended {
	return detection.Ended{ID: "g-1", Subject: "person:sam", Role: "role:analyst", End: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)}
}

func used(after time.Duration, outcome curfewv1.OutcomeStatus) detection.Input {
	return detection.Input{
		Event: &curfewv1.Event{
			Id: "okta:1", Tenant: "main", Source: "okta", Raw: []byte("{}"), Actor: &curfewv1.Actor{Email: "sam@example.com"},
			Time: timestamppb.New(ended().End.Add(after)), Resource: &curfewv1.Resource{Kind: "file", Name: "Customers"},
		},
		Decision: &curfewv1.Decision{Subject: "person:sam", Act: "export", Verdict: curfewv1.Verdict_VERDICT_VIOLATION, Reason: "no row allows it", Outcome: outcome},
	}
}

func TestUsed(t *testing.T) {
	const ok, failed = curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS, curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE
	for _, c := range []struct {
		after    time.Duration
		outcome  curfewv1.OutcomeStatus
		title    string
		severity curfewv1.Severity
	}{
		{12 * time.Second, ok, `sam@example.com exported file "Customers" 12s after the end of grant g-1`, curfewv1.Severity_SEVERITY_HIGH},
		{0, ok, "less than a second after", curfewv1.Severity_SEVERITY_HIGH},
		{72 * time.Hour, ok, "3 days after", curfewv1.Severity_SEVERITY_HIGH},
		{time.Minute, failed, "tried to export", curfewv1.Severity_SEVERITY_MEDIUM},
	} {
		in := used(c.after, c.outcome)
		f := detection.Used(in, ended())
		if !strings.Contains(f.GetTitle(), c.title) || f.GetSeverity() != c.severity {
			t.Errorf("%v after: got %v %q, want %v %q", c.after, f.GetSeverity(), f.GetTitle(), c.severity, c.title)
		}
		if f.GetGrantId() != "g-1" || f.GetDecision() != in.Decision || f.GetEvent().GetRaw() != nil || len(f.GetNextSteps()) == 0 {
			t.Errorf("got %v", f)
		}
		if other := used(c.after, c.outcome); detection.Used(other, ended()).GetId() != f.GetId() {
			t.Error("the same event has two ids")
		}
	}
}

func TestAgain(t *testing.T) {
	in := used(time.Minute, curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS)
	in.Event.Action = "group.user_membership.add"
	for actor, want := range map[*curfewv1.Actor]string{
		{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Email: "ida@example.com"}:       "ida@example.com gave it",
		{Type: curfewv1.ActorType_ACTOR_TYPE_SERVICE, Name: "Active Directory Sync"}: "the service Active Directory Sync gave it",
		{Type: curfewv1.ActorType_ACTOR_TYPE_APP, Name: "Workday"}:                   "the app Workday gave it",
	} {
		in.Event.Actor = actor
		f := detection.Again(in, ended(), `okta group "Payments"`)
		if !strings.Contains(f.GetTitle(), want) || !strings.Contains(f.GetTitle(), `person:sam got okta group "Payments" again 1m0s after grant g-1 ended`) {
			t.Errorf("got %q, want %q", f.GetTitle(), want)
		}
		if f.GetSeverity() != curfewv1.Severity_SEVERITY_HIGH || f.GetGrantId() != "g-1" || f.GetEvent().GetRaw() != nil || len(f.GetNextSteps()) == 0 {
			t.Errorf("got %v", f)
		}
	}
}
