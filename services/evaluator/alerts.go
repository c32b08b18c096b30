// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// onAlerts is what calls about alerts are about, with the detection behind it where it is one alert.
const onAlerts = "alerts"

// shortAlert is how many characters of an alert's id stand for it, where no other begins so.
const shortAlert = 8

const resolved = curfewv1.AlertState_ALERT_STATE_RESOLVED

func aboutAlert(a *curfewv1.Alert) string { return resource(onAlerts, a.GetFinding().GetDetection()) }

// ListAlerts returns alerts, the most severe first, and of those the newest.
func (a *api) ListAlerts(ctx context.Context, request *curfewv1.ListAlertsRequest) (*curfewv1.ListAlertsResponse, error) {
	if err := a.allow(ctx, "alerts.list", onAlerts, request); err != nil {
		return nil, err
	}
	entity := asEntity(request.GetEntity())
	alerts, err := a.alerts(ctx, func(one *curfewv1.Alert) bool {
		state := request.GetState()
		switch {
		case state != curfewv1.AlertState_ALERT_STATE_UNSPECIFIED && one.GetState() != state,
			state == curfewv1.AlertState_ALERT_STATE_UNSPECIFIED && one.GetState() == resolved && !request.GetResolved(),
			one.GetSeverity() < request.GetSeverity(),
			request.GetDetection() != "" && one.GetFinding().GetDetection() != request.GetDetection(),
			entity != "" && one.GetEntity() != entity,
			request.GetSource() != "" && one.GetFinding().GetEvent().GetSource() != request.GetSource():
			return false
		}
		return !request.GetUndelivered() || isUndelivered(one)
	})
	return &curfewv1.ListAlertsResponse{Alerts: alerts}, err
}

// asEntity is a subject, also where only a person's id is given.
func asEntity(name string) string {
	if name == "" || strings.Contains(name, ":") {
		return name
	}
	return "person:" + name
}

// isUndelivered is whether some receiver, or every one there is, does not have an alert as it was opened last.
func isUndelivered(a *curfewv1.Alert) bool {
	return len(a.GetDeliveries()) == 0 || slices.ContainsFunc(a.GetDeliveries(), func(d *curfewv1.AlertDelivery) bool {
		return d.GetEpisode() != a.GetEpisode() || d.GetHas() == nil
	})
}

// alerts is the alerts that a caller wants, the most severe first, and of those the newest.
func (e *evaluator) alerts(ctx context.Context, wanted func(*curfewv1.Alert) bool) ([]*curfewv1.Alert, error) {
	newest := map[string]*curfewv1.Alert{}
	if err := e.Bus.Read(ctx, bus.All("alert", e.Tenant), bus.From{Newest: true}, func(m bus.Message) error {
		step := new(curfewv1.AlertStep)
		if err := m.Decode(step); err != nil { // one that cannot be read may not hide the others
			e.Log.Error("an alert is left out of a list: its newest step cannot be read", "sequence", m.Sequence, "error", err)
			e.Metrics.Unread("evaluator")
			return nil
		}
		if id := step.GetAlert().GetId(); id != "" { // an earlier version's step holds none
			newest[id] = step.GetAlert()
		}
		return nil
	}); err != nil {
		return nil, asStatus(err)
	}
	var found []*curfewv1.Alert
	for _, one := range newest {
		if wanted(one) {
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(a, b *curfewv1.Alert) int {
		return cmp.Or(cmp.Compare(b.GetSeverity(), a.GetSeverity()), b.GetNewest().AsTime().Compare(a.GetNewest().AsTime()), strings.Compare(a.GetId(), b.GetId()))
	})
	return found, nil
}

// alert is the one with an id, or with the one id that begins so.
func (e *evaluator) alert(ctx context.Context, id string) (*curfewv1.Alert, error) {
	if id == "" {
		return nil, invalid("the alert's id is missing; the list of alerts shows what there is")
	}
	entry, err := alert.NewBook(e.Bus, e.Tenant).Load(ctx, id)
	if errors.Is(err, bus.ErrNotFound) && len(id) >= shortAlert {
		whole, failed := e.wholeAlertID(ctx, id)
		if failed != nil {
			return nil, failed
		}
		if whole != "" {
			entry, err = alert.NewBook(e.Bus, e.Tenant).Load(ctx, whole)
		}
	}
	switch {
	case errors.Is(err, bus.ErrNotFound) && len(id) < shortAlert:
		return nil, status.Errorf(codes.NotFound, "there is no alert %q: an id can be cut, to its first %d characters at least, as the list of alerts shows them", id, shortAlert)
	case errors.Is(err, bus.ErrNotFound), err == nil && entry.Value.GetId() == "":
		return nil, status.Errorf(codes.NotFound, "there is no alert %q; the list of alerts, resolved ones too, shows what there is", id)
	case err != nil:
		return nil, asStatus(err)
	}
	return entry.Value, nil
}

// wholeAlertID is the id that begins so; "" where none does.
func (e *evaluator) wholeAlertID(ctx context.Context, begin string) (string, error) {
	subjects, err := e.Bus.Subjects(ctx, bus.All("alert", e.Tenant))
	if err != nil {
		return "", asStatus(err)
	}
	found := ""
	for subject := range subjects {
		if !strings.HasPrefix(subject, bus.AlertSubject(e.Tenant, begin)) {
			continue
		}
		if found != "" {
			return "", invalid("more than one alert's id begins with %q; write more of it", begin)
		}
		found = subject[strings.LastIndexByte(subject, '.')+1:] // an id is hexadecimal: a token as it is
	}
	return found, nil
}

// findAlert is the alert that a call is about, once the call is recorded and allowed. Of one that there is not only those
// learn who may make such a call about any.
func (a *api) findAlert(ctx context.Context, id, action string, request proto.Message) (*curfewv1.Alert, error) {
	found, err := a.alert(ctx, id)
	switch status.Code(err) {
	case codes.OK:
		return found, a.allow(ctx, action, aboutAlert(found), request)
	case codes.NotFound, codes.InvalidArgument:
		if denied := a.allow(ctx, action, onAlerts, request); denied != nil {
			return nil, denied
		}
	default:
	}
	return nil, a.refuse(ctx, action, onAlerts, request, err)
}

// GetAlert returns one alert with its life.
func (a *api) GetAlert(ctx context.Context, request *curfewv1.GetAlertRequest) (*curfewv1.GetAlertResponse, error) {
	found, err := a.findAlert(ctx, request.GetId(), "alerts.get", request)
	if err != nil {
		return nil, err
	}
	answer := &curfewv1.GetAlertResponse{Alert: found}
	err = a.Bus.Read(ctx, bus.AlertSubject(a.Tenant, found.GetId()), bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.AlertStep)
		if err := m.Decode(step); err != nil {
			return status.Error(codes.DataLoss, err.Error())
		}
		if step.GetAlert().GetId() != "" {
			answer.Alert = step.GetAlert()
			step.Alert = nil
			answer.Steps = append(answer.Steps, step)
		}
		return nil
	})
	return answer, asStatus(err)
}

// AcknowledgeAlert takes an alert on. Whoever has it changes nothing by it.
func (a *api) AcknowledgeAlert(ctx context.Context, request *curfewv1.AcknowledgeAlertRequest) (*curfewv1.AcknowledgeAlertResponse, error) {
	const action = "alerts.acknowledge"
	found, err := a.findAlert(ctx, request.GetId(), action, request)
	if err != nil {
		return nil, err
	}
	next, err := a.changeAlert(ctx, found.GetId(), acknowledge(callerOf(ctx)))
	if err != nil {
		return nil, a.refuse(ctx, action, aboutAlert(found), request, err)
	}
	return &curfewv1.AcknowledgeAlertResponse{Alert: next}, nil
}

// ResolveAlert says what an alert was. One that is resolved keeps what was said of it, and other words are refused.
func (a *api) ResolveAlert(ctx context.Context, request *curfewv1.ResolveAlertRequest) (*curfewv1.ResolveAlertResponse, error) {
	const action = "alerts.resolve"
	found, err := a.findAlert(ctx, request.GetId(), action, request)
	if err != nil {
		return nil, err
	}
	err = checkWhy(request.GetReason())
	var next *curfewv1.Alert
	if err == nil {
		next, err = a.changeAlert(ctx, found.GetId(), resolveOpen(callerOf(ctx), request.GetReason()))
	}
	if err != nil {
		return nil, a.refuse(ctx, action, aboutAlert(found), request, err)
	}
	return &curfewv1.ResolveAlertResponse{Alert: next}, nil
}

// move is what a person makes of an alert; nil where there is nothing left to do.
type move func(a *curfewv1.Alert, now time.Time) (next *curfewv1.Alert, detail string, err error)

func acknowledge(by caller) move {
	return func(a *curfewv1.Alert, now time.Time) (*curfewv1.Alert, string, error) {
		if a.GetState() == resolved {
			return nil, "", sayResolved(a)
		}
		if a.GetEntity() == by.subject {
			return nil, "", sayOwn()
		}
		return alert.Acknowledge(a, by.subject, now), "taken on", nil
	}
}

func resolve(by caller, what string) move {
	return func(a *curfewv1.Alert, now time.Time) (*curfewv1.Alert, string, error) {
		if a.GetEntity() == by.subject {
			return nil, "", sayOwn()
		}
		return alert.Resolve(a, by.subject, what, now), "resolved: " + what, nil
	}
}

// sayOwn refuses who an alert is about: nobody makes go away what they did.
func sayOwn() error {
	return status.Error(codes.PermissionDenied, "the alert is about you: somebody else has to look at it")
}

// resolveOpen is resolve of an alert that is open, or that the caller resolved with the same words: nobody's words are lost
// without their hearing of it.
func resolveOpen(by caller, what string) move {
	return func(a *curfewv1.Alert, now time.Time) (*curfewv1.Alert, string, error) {
		if a.GetState() == resolved && (a.GetResolver() != by.subject || a.GetResolution() != what) {
			return nil, "", sayResolved(a)
		}
		return resolve(by, what)(a, now)
	}
}

// checkWhy refuses a reason that is missing or too long.
func checkWhy(reason string) error {
	return cmp.Or(checkLength("the reason", reason), checkReason(reason))
}

// checkLength refuses what somebody says that is too long.
func checkLength(name, text string) error {
	if len(text) > maxGrantText {
		return invalid("%s has %d bytes, and may have %d at most", name, len(text), maxGrantText)
	}
	return nil
}

// sayResolved refuses what can be done only about an alert that is open.
func sayResolved(a *curfewv1.Alert) error {
	return status.Errorf(codes.FailedPrecondition, "it was resolved at %s by %s: %s", alert.Moment(a.GetResolved().AsTime()), a.GetResolver(), a.GetResolution())
}

// changeAlert stores what a person makes of an alert behind the step that is newest, and again behind any that came first.
// What a command asks for is stored once, and with it that it was carried out.
func (a *api) changeAlert(ctx context.Context, id string, take move) (*curfewv1.Alert, error) {
	var refused error
	by := callerOf(ctx)
	entry, err := alert.NewBook(a.Bus, a.Tenant).Change(ctx, id, by.subject, time.Now, func(newest *curfewv1.Alert) (*curfewv1.Alert, string, bool) {
		if refused = nil; slices.Contains(newest.GetCommands(), by.command) {
			return nil, "", false
		}
		next, detail, err := take(newest, time.Now())
		if err != nil || next == nil {
			refused = err
			return nil, "", false
		}
		if by.command != "" {
			next = alert.Did(next, by.command)
		}
		return next, detail, true
	})
	switch {
	case refused != nil:
		return nil, refused
	case err != nil:
		return nil, asStatus(err)
	}
	return entry.Value, nil
}

// noteOn says on an alert what was done elsewhere; an alert that is not there any more is told nothing.
func (a *api) noteOn(ctx context.Context, id, text string, revoked ...string) error {
	if id == "" {
		return nil
	}
	_, err := a.changeAlert(ctx, id, func(newest *curfewv1.Alert, now time.Time) (*curfewv1.Alert, string, error) {
		if newest.GetId() == "" {
			return nil, "", nil
		}
		return alert.Revoked(newest, callerOf(ctx).subject, text, revoked, now), text, nil
	})
	return err
}
