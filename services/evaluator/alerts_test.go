// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// serving is the API over the responders' bus and policy, and each of them as a caller.
func (r *responders) serving(names ...string) (conn *grpc.ClientConn, people map[string]context.Context) {
	r.Helper()
	conn, admin := dialAPI(r.T, r.bus, func(o *Options) { o.PolicyDir = r.api.PolicyDir })
	people = map[string]context.Context{"admin": admin}
	for _, name := range names {
		_, shown := makeToken(r.T, admin, conn, "person:"+name)
		people[name] = showing(r.T, shown)
	}
	return conn, people
}

// another is an alert about an app.
func (r *responders) another(detection, app string, severity curfewv1.Severity) *curfewv1.Alert {
	r.Helper()
	f := eveFinding("of-" + app)
	f.Detection, f.Severity, f.Decision.Subject, f.Event.Source = detection, severity, "app:okta/"+app, "okta"
	made := alert.Add(nil, f, time.Now())
	made.Deliveries = []*curfewv1.AlertDelivery{{Receiver: "slack", Episode: 1, Has: &curfewv1.Shown{Version: 1}, State: curfewv1.DeliveryState_DELIVERY_STATE_SENT}}
	if err := alert.NewBook(r.bus, "main").Create(r.Context(), time.Now(), made, "service:notifier", ""); err != nil {
		r.Fatal(err)
	}
	return made
}

func TestAlertsOverTheAPI(t *testing.T) {
	r := newResponders(t)
	app := r.another("unapproved_app", "0oa1", curfewv1.Severity_SEVERITY_CRITICAL)
	low := r.another("unclassified_kind", "0oa2", curfewv1.Severity_SEVERITY_LOW)
	conn, as := r.serving("ann", "ben", "fay")
	alerts := curfewv1.NewAlertServiceClient(conn)
	list := func(who string, q *curfewv1.ListAlertsRequest) string {
		t.Helper()
		answer, err := alerts.ListAlerts(as[who], q)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, a := range answer.GetAlerts() {
			ids = append(ids, map[string]string{r.alert.GetId(): "eve", app.GetId(): "app", low.GetId(): "low"}[a.GetId()])
		}
		return strings.Join(ids, " ")
	}
	for _, c := range []struct {
		name string
		q    *curfewv1.ListAlertsRequest
		want string
	}{
		{"all", &curfewv1.ListAlertsRequest{}, "app eve low"},
		{"severe", &curfewv1.ListAlertsRequest{Severity: curfewv1.Severity_SEVERITY_HIGH}, "app eve"},
		{"of a person", &curfewv1.ListAlertsRequest{Entity: "eve"}, "eve"},
		{"of an app", &curfewv1.ListAlertsRequest{Entity: "app:okta/0oa1"}, "app"},
		{"of a detection", &curfewv1.ListAlertsRequest{Detection: "unapproved_app"}, "app"},
		{"of a source", &curfewv1.ListAlertsRequest{Source: "okta"}, "app low"},
		{"undelivered", &curfewv1.ListAlertsRequest{Undelivered: true}, "eve"},
		{"in a state", &curfewv1.ListAlertsRequest{State: resolved}, ""},
	} {
		if got := list("ann", c.q); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	_, err := alerts.ListAlerts(as["fay"], &curfewv1.ListAlertsRequest{})
	said(t, "who may not", err, codes.PermissionDenied, "p, person:fay, *, curfew/api/alerts, audit, read, allow")
	_, err = alerts.AcknowledgeAlert(as["fay"], &curfewv1.AcknowledgeAlertRequest{Id: "none"})
	said(t, "who may not, of none", err, codes.PermissionDenied, "curfew/api/alerts")
	_, err = alerts.GetAlert(as["ann"], &curfewv1.GetAlertRequest{Id: "none"})
	said(t, "none", err, codes.NotFound, `there is no alert "none"`)
	_, err = alerts.GetAlert(as["ann"], &curfewv1.GetAlertRequest{})
	said(t, "no id", err, codes.InvalidArgument, "id is missing")

	took, err := alerts.AcknowledgeAlert(as["ann"], &curfewv1.AcknowledgeAlertRequest{Id: r.alert.GetId()[:8]})
	if err != nil || took.GetAlert().GetAssignee() != "person:ann" {
		t.Fatalf("got %v, %v", took, err)
	}
	_, err = alerts.ResolveAlert(as["ann"], &curfewv1.ResolveAlertRequest{Id: r.alert.GetId()})
	said(t, "no reason", err, codes.InvalidArgument, "the reason is missing")
	over, err := alerts.ResolveAlert(as["ben"], &curfewv1.ResolveAlertRequest{Id: r.alert.GetId(), Reason: "a test"})
	if err != nil || over.GetAlert().GetState() != resolved || over.GetAlert().GetResolver() != "person:ben" {
		t.Fatalf("got %v, %v", over, err)
	}
	_, err = alerts.AcknowledgeAlert(as["ann"], &curfewv1.AcknowledgeAlertRequest{Id: r.alert.GetId()})
	said(t, "resolved", err, codes.FailedPrecondition, "by person:ben: a test")
	again, err := alerts.ResolveAlert(as["ben"], &curfewv1.ResolveAlertRequest{Id: r.alert.GetId(), Reason: "a test"})
	if err != nil || again.GetAlert().GetVersion() != over.GetAlert().GetVersion() {
		t.Errorf("resolved twice: got %v, %v", again, err)
	}
	_, err = alerts.ResolveAlert(as["ben"], &curfewv1.ResolveAlertRequest{Id: r.alert.GetId(), Reason: "another"})
	said(t, "resolved with other words", err, codes.FailedPrecondition, "by person:ben: a test")
	_, err = alerts.ResolveAlert(as["ann"], &curfewv1.ResolveAlertRequest{Id: r.alert.GetId(), Reason: "a test"})
	said(t, "resolved by another", err, codes.FailedPrecondition, "by person:ben: a test")
	_, err = alerts.ResolveAlert(as["ann"], &curfewv1.ResolveAlertRequest{Id: r.alert.GetId(), Reason: strings.Repeat("x", 513)})
	said(t, "too long", err, codes.InvalidArgument, "the reason has 513 bytes, and may have 512 at most")
	_, err = alerts.GetAlert(as["ann"], &curfewv1.GetAlertRequest{Id: r.alert.GetId()[:7]})
	said(t, "too short", err, codes.NotFound, "to its first 8 characters at least")
	if got := list("ann", &curfewv1.ListAlertsRequest{}) + ", " + list("ann", &curfewv1.ListAlertsRequest{Resolved: true}); got != "app low, app eve low" {
		t.Errorf("got %q", got)
	}
	life, err := alerts.GetAlert(as["ann"], &curfewv1.GetAlertRequest{Id: r.alert.GetId()})
	if err != nil || len(life.GetSteps()) != 3 || life.GetSteps()[1].GetAuthor() != "person:ann" || life.GetSteps()[2].GetDetail() != "resolved: a test" || life.GetSteps()[2].GetAlert() != nil ||
		life.GetAlert().GetState() != resolved {
		t.Errorf("got %v, %v", life, err)
	}
}

func TestSilencesOverTheAPI(t *testing.T) {
	r := newResponders(t)
	conn, as := r.serving("ann", "ben", "cat", "eve", "fay")
	silences := curfewv1.NewSilenceServiceClient(conn)
	create := func(who string, change func(*curfewv1.CreateSilenceRequest)) (*curfewv1.Silence, error) {
		q := &curfewv1.CreateSilenceRequest{Match: &curfewv1.SilenceMatch{Source: "okta"}, Reason: "a migration", Duration: durationpb.New(time.Hour)}
		change(q)
		answer, err := silences.CreateSilence(as[who], q)
		return answer.GetSilence(), err
	}
	for _, c := range []struct {
		name   string
		change func(*curfewv1.CreateSilenceRequest)
		want   string
	}{
		{"everything", func(q *curfewv1.CreateSilenceRequest) { q.Match = nil }, "would cover every alert"},
		{"everything up to high", func(q *curfewv1.CreateSilenceRequest) {
			q.Match = &curfewv1.SilenceMatch{Severity: curfewv1.Severity_SEVERITY_HIGH}
		}, "would cover every alert"},
		{"without an end", func(q *curfewv1.CreateSilenceRequest) { q.Duration = nil }, "a silence has an end"},
		{"with two ends", func(q *curfewv1.CreateSilenceRequest) { q.Until = in(time.Hour) }, "a silence has an end"},
		{"too long", func(q *curfewv1.CreateSilenceRequest) { q.Duration = durationpb.New(31 * day) }, "may last 30d at most"},
		{"over", func(q *curfewv1.CreateSilenceRequest) { q.Duration, q.Until = nil, in(-time.Hour) }, "not after it begins"},
		{"begun", func(q *curfewv1.CreateSilenceRequest) { q.From = in(-time.Hour) }, "has passed"},
		{"no reason", func(q *curfewv1.CreateSilenceRequest) { q.Reason = " " }, "the reason is missing"},
		{"a mute of many", func(q *curfewv1.CreateSilenceRequest) { q.Kind = mute }, "one alert can be muted"},
		{"expected of many", func(q *curfewv1.CreateSilenceRequest) { q.Kind = expected }, "of an entity and a detection"},
		{"a kind to come", func(q *curfewv1.CreateSilenceRequest) { q.Kind = 99 }, "is not known"},
		{"too much text", func(q *curfewv1.CreateSilenceRequest) { q.Match.Entity = strings.Repeat("x", 600) }, "may have more than 512"},
		{"no such time", func(q *curfewv1.CreateSilenceRequest) {
			q.Duration, q.Until = nil, &timestamppb.Timestamp{Nanos: -1}
		}, "cannot be read"},
	} {
		_, err := create("ann", c.change)
		said(t, c.name, err, codes.InvalidArgument, c.want)
	}
	_, err := create("fay", func(*curfewv1.CreateSilenceRequest) {})
	said(t, "who may not", err, codes.PermissionDenied, "p, person:fay, *, curfew/api/silences/silence, admin, create, allow")
	plain, err := create("ann", func(*curfewv1.CreateSilenceRequest) {})
	if err != nil || !alert.InForce(plain, time.Now()) || plain.GetAuthor() != "person:ann" {
		t.Fatalf("got %v, %v", plain, err)
	}
	_, err = silences.ApproveSilence(as["cat"], &curfewv1.ApproveSilenceRequest{Id: plain.GetId()})
	said(t, "nothing to approve", err, codes.FailedPrecondition, "nobody's yes is missing")
	_, err = silences.EndSilence(as["fay"], &curfewv1.EndSilenceRequest{Id: plain.GetId()})
	said(t, "another's", err, codes.PermissionDenied, "curfew/api/silences/silence")
	for range 2 {
		ended, err := silences.EndSilence(as["ann"], &curfewv1.EndSilenceRequest{Id: plain.GetId()})
		if err != nil || ended.GetSilence().GetEnder() != "person:ann" || alert.InForce(ended.GetSilence(), time.Now()) {
			t.Errorf("one's own: got %v, %v", ended, err)
		}
	}
	wide, err := create("ann", func(q *curfewv1.CreateSilenceRequest) {
		q.Kind, q.Match = expected, &curfewv1.SilenceMatch{Entity: "eve", Detection: "unauthorized_access"}
	})
	if err != nil || wide.GetApprovalsNeeded() != 1 || wide.GetMatch().GetEntity() != "person:eve" {
		t.Fatalf("got %v, %v", wide, err)
	}
	_, err = silences.ApproveSilence(as["admin"], &curfewv1.ApproveSilenceRequest{Id: wide.GetId()})
	said(t, "a service", err, codes.PermissionDenied, "`curfew token create ida` makes one")
	yes, err := silences.ApproveSilence(as["cat"], &curfewv1.ApproveSilenceRequest{Id: wide.GetId(), Comment: "I know of it"})
	if err != nil || len(yes.GetSilence().GetApprovals()) != 1 || r.now().GetState() != resolved {
		t.Errorf("got %v, %v, and %v", yes, err, r.now().GetState())
	}
	left, err := silences.ListSilences(as["admin"], &curfewv1.ListSilencesRequest{})
	if err != nil || len(left.GetSilences()) != 1 || left.GetSilences()[0].GetId() != wide.GetId() {
		t.Errorf("got %v, %v", left, err)
	}
	if all, err := silences.ListSilences(as["admin"], &curfewv1.ListSilencesRequest{Ended: true}); err != nil || len(all.GetSilences()) != 2 {
		t.Errorf("got %v, %v", all, err)
	}
	_, err = silences.EndSilence(as["admin"], &curfewv1.EndSilenceRequest{Id: "s-none"})
	said(t, "none", err, codes.NotFound, `there is no silence "s-none"`)
}

// Who says yes to what is about themselves is no second person.
func TestNobodyApprovesWhatIsAboutThem(t *testing.T) {
	r := newResponders(t)
	f := eveFinding("of-ben")
	f.Decision.Subject = "person:ben"
	made := alert.Add(nil, f, time.Now())
	if err := alert.NewBook(r.bus, "main").Create(t.Context(), time.Now(), made, "service:notifier", ""); err != nil {
		t.Fatal(err)
	}
	r.want("proposed", r.take(r.click("ann", toExpect, func(q *curfewv1.Command) {
		q.AlertId, q.Reason, q.Duration = made.GetId(), "x", durationpb.New(time.Hour)
	})), done, "")
	r.want("about oneself", r.answerSilence("ben", toApprove, r.silences()[0].GetId()), refused, "it is about you")
}

// A silence of a later version is not taken for one that is known.
func TestASilenceOfALaterVersion(t *testing.T) {
	r := newResponders(t)
	content, err := proto.Marshal(&curfewv1.Silence{Format: bus.Format + 1, Id: "s-new"})
	if err == nil {
		_, err = r.bus.Create(t.Context(), bus.Silences, content, "main", "s-new")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.api.ListSilences(r.as("service:admin"), &curfewv1.ListSilencesRequest{})
	said(t, "a list", err, codes.DataLoss, "run a newer one")
	q := quiet(func(q *curfewv1.CreateSilenceRequest) { q.Match.Source = "okta" })
	if made, err := r.api.CreateSilence(r.as("service:admin"), q); err != nil || made.GetSilence() == nil {
		t.Errorf("one beside it: got %v, %v", made, err)
	}
}
