// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const (
	done    = curfewv1.CommandState_COMMAND_STATE_DONE
	refused = curfewv1.CommandState_COMMAND_STATE_REFUSED
)

const respondersPolicy = `p, role:anyone, *, *, level:low, *, allow
p, service:admin, *, curfew/api/*, audit, *, allow
p, service:admin, *, curfew/api/*, admin, *, allow
p, role:responder, *, curfew/api/alerts*, audit, *, allow
p, role:responder, *, curfew/api/silences/*, admin, create, allow
p, role:responder, *, curfew/api/grants*, admin, administer, allow
p, role:lead, *, curfew/api/silences/*, admin, approve, allow
p, role:lead, *, curfew/api/requests/*, admin, approve, allow
p, role:helper, *, curfew/api/alerts*, audit, *, allow
p, role:support, *, *, customer, read, allow
g, person:ann, role:responder
g, person:ben, role:responder
g, person:ben, role:lead
g, person:cat, role:lead
g, person:hal, role:helper
`

// responders is people who act where alerts are shown, each by the Slack account U-<NAME>, and an alert about eve.
type responders struct {
	*testing.T
	bus   *bus.Bus
	api   *api
	okta  *shelf
	alert *curfewv1.Alert
	count int
}

func newResponders(t *testing.T) *responders {
	t.Helper()
	b := bustest.New(t)
	people := "directory: okta\npeople:\n"
	for _, name := range []string{"ann", "ben", "cat", "eve", "fay", "hal"} {
		people += fmt.Sprintf("  - {id: %s, emails: [%s@example.com], accounts: {okta: [00u%s], slack: [U-%s]}}\n", name, name, name, strings.ToUpper(name))
	}
	o := ago(t, b, map[string]string{
		"policy.csv": respondersPolicy, "identities.yaml": people,
		"grants.yaml": "roles: {role:support: {max: 8h, approvals: 2, privileges: [{source: okta, kind: group, resource: 00g1}]}}\n",
	})
	policies, err := openPolicies(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r := &responders{T: t, bus: b, api: newEvaluator(t, o, policies).newAPI(), okta: &shelf{t: t, bus: b, kind: "people"}}
	r.show("ann", "ben", "cat", "eve", "fay", "hal")
	r.open("finding-1")
	return r
}

// show is an inventory of the directory that shows these people and no other.
func (r *responders) show(names ...string) {
	r.Helper()
	var entries []*curfewv1.Entry
	for _, name := range names {
		entries = append(entries, person("00u"+name, name+"@example.com"))
	}
	r.okta.read(time.Now(), time.Now(), entries...)
}

// open adds a finding to the alert.
func (r *responders) open(id string) {
	r.Helper()
	r.change(func(was *curfewv1.Alert) *curfewv1.Alert { return alert.Add(was, eveFinding(id), time.Now()) })
}

func eveFinding(id string) *curfewv1.Finding {
	return &curfewv1.Finding{
		Format: 1, Id: id, Tenant: "main", Detection: "unauthorized_access", Title: "eve read customers", Severity: curfewv1.Severity_SEVERITY_HIGH,
		Event: &curfewv1.Event{Id: "e-" + id, Source: "google_workspace"},
		Decision: &curfewv1.Decision{
			Subject: "person:eve", Classes: []string{"customer"}, Act: "read", Source: "google_workspace", Object: "google_workspace/file/1",
			Verdict: curfewv1.Verdict_VERDICT_VIOLATION,
		},
		Context: &curfewv1.FindingContext{AllowingRoles: []string{"role:support", "role:lead"}},
	}
}

// change takes a step of the alert as the notifier would.
func (r *responders) change(f func(*curfewv1.Alert) *curfewv1.Alert) {
	r.Helper()
	entry, err := alert.NewBook(r.bus, "main").Change(r.Context(), alert.ID(eveFinding("")), "service:notifier", time.Now, func(was *curfewv1.Alert) (*curfewv1.Alert, string, bool) {
		next := f(was)
		return next, "", next != nil
	})
	if err != nil {
		r.Fatal(err)
	}
	r.alert = entry.Value
}

// now is the alert as it stands.
func (r *responders) now() *curfewv1.Alert {
	r.Helper()
	r.change(func(*curfewv1.Alert) *curfewv1.Alert { return nil })
	return r.alert
}

// click is a command about the alert as it stands, by a person's Slack account.
func (r *responders) click(who string, kind curfewv1.CommandKind, change func(*curfewv1.Command)) *curfewv1.Command {
	r.count++
	q := &curfewv1.Command{
		Id: fmt.Sprintf("c%d", r.count), Tenant: "main", Kind: kind, Time: timestamppb.Now(), Receiver: "slack", Ref: "C1/1",
		Actor: &curfewv1.CommandActor{System: "slack", Workspace: "T1", Id: "U-" + strings.ToUpper(who)}, AlertId: r.alert.GetId(), Episode: r.alert.GetEpisode(),
	}
	if change != nil {
		change(q)
	}
	return q
}

// lost carries a command out as an evaluator does that dies before it can say so.
func (r *responders) lost(q *curfewv1.Command) {
	r.Helper()
	if _, err := r.api.answerCommand(r.Context(), q, time.Now()); err != nil {
		r.Fatal(err)
	}
}

// take is what comes of a command: it is stored, handed over twice, and answered once.
func (r *responders) take(q *curfewv1.Command) *curfewv1.CommandStep {
	r.Helper()
	subject := bus.CommandSubject("main", q.GetId())
	asked := &curfewv1.CommandStep{Format: bus.Format, Command: q, State: curfewv1.CommandState_COMMAND_STATE_ASKED, Time: timestamppb.Now()}
	if _, err := r.bus.Append(r.Context(), subject, 0, asked); err != nil {
		r.Fatal(err)
	}
	m, err := r.bus.Last(r.Context(), subject)
	if err == nil {
		err = r.api.takeCommand(r.Context(), m)
	}
	logged := len(r.logged())
	if err == nil {
		err = r.api.takeCommand(r.Context(), m)
	}
	if again := len(r.logged()); err != nil || again != logged {
		r.Fatalf("the same command again: got %v, and %d calls in the log, want %d", err, again, logged)
	}
	var steps []*curfewv1.CommandStep
	if err := r.bus.Read(r.Context(), subject, bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.CommandStep)
		steps = append(steps, step)
		return m.Decode(step)
	}); err != nil {
		r.Fatal(err)
	}
	if len(steps) != 2 {
		r.Fatalf("%s: got %d steps, want asked and one outcome", q.GetKind(), len(steps))
	}
	return steps[1]
}

// want checks what came of a command.
func (r *responders) want(what string, got *curfewv1.CommandStep, state curfewv1.CommandState, text string) {
	r.Helper()
	if got.GetState() != state || !strings.Contains(strings.ToLower(got.GetText()), strings.ToLower(text)) || got.GetTime() == nil {
		r.Errorf("%s: got %s %q, want %s with %q", what, got.GetState(), got.GetText(), state, text)
	}
}

// give is a grant of role:support to somebody that is active.
func (r *responders) give(who string) *curfewv1.Grant {
	r.Helper()
	now := time.Now()
	g := grant.Approved(&curfewv1.Grant{Id: "g-" + who, Tenant: "main", Subject: "person:" + who, Role: "role:support", Duration: durationpb.New(time.Hour), Author: "person:cat"}, now)
	g.State = curfewv1.GrantState_GRANT_STATE_ACTIVE
	g.Privileges = []*curfewv1.HeldPrivilege{{Privilege: &curfewv1.Privilege{Source: "okta", Kind: "group", Resource: "00g1", Holder: "00u" + who}, Stage: curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD}}
	if err := grant.NewBook(r.bus, "main").Create(r.Context(), now, g, "person:cat", ""); err != nil {
		r.Fatal(err)
	}
	return g
}

// logged is the actions of the API's lane, each with who and how it went.
func (r *responders) logged() (all []string) {
	r.Helper()
	if err := r.bus.Read(r.Context(), bus.EventSubject("main", judge.Self, apiFeed), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		err := m.Decode(batch)
		for _, e := range batch.GetEvents() {
			all = append(all, fmt.Sprintf("%s %s on %s: %s", e.GetActor().GetId(), e.GetAction(), e.GetResource().GetName(), e.GetOutcome().GetReason()))
		}
		return err
	}); err != nil {
		r.Fatal(err)
	}
	return all
}

// as is a call of the API by somebody.
func (r *responders) as(subject string) context.Context {
	return context.WithValue(r.Context(), callerKey{}, asCaller(subject))
}
