// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package receivertest

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func at(minute int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, 2, 9, minute, 3, 0, time.UTC))
}

// Post is a post of those alerts, with the id "post-1".
func Post(alerts ...*curfewv1.Alert) *curfewv1.Post {
	return &curfewv1.Post{Id: "post-1", Receiver: "test", Alerts: alerts}
}

// Alert is one that is open, with all that one can have.
func Alert() *curfewv1.Alert {
	return &curfewv1.Alert{
		Id: "f00dfeedf00dfeedf00dfeed", Tenant: "main", Episode: 2, State: curfewv1.AlertState_ALERT_STATE_OPEN, Version: 3,
		Entity: "person:ida", DataClass: "pii.contact", Severity: curfewv1.Severity_SEVERITY_CRITICAL,
		Count: 3, Opened: at(14), Newest: at(20), Findings: []string{"f1", "f2", "f3"}, Repeats: []string{"ida@example.com exported \"Orders\""},
		Finding: &curfewv1.Finding{
			Id: "f1", Tenant: "main", Detection: "unauthorized_access", Severity: curfewv1.Severity_SEVERITY_HIGH, Time: at(14),
			Title:     `ida@example.com shared file "Customers 2026" without the right to`,
			Reason:    "This is a violation: row 23 denies share of pii.contact.",
			NextSteps: []string{"Ask ida@example.com what it was for.", "Take the access away."},
			Controls:  []string{"NIST AC-3"},
			Event: &curfewv1.Event{
				Id: "google_workspace:1", Source: "google_workspace", Feed: "drive", Action: "change_user_access", Act: "share", Time: at(14), Received: at(15),
				Actor:    &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: "1", Name: "Ida", Email: "ida@example.com"},
				App:      &curfewv1.App{Id: "app-7", Name: "Nice Exporter", Scopes: []string{"drive"}},
				Resource: &curfewv1.Resource{Path: "file/1A", Kind: "file", Name: "Customers 2026", Owner: "ida@example.com"},
				Outcome:  &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS},
				Context:  &curfewv1.Context{Ip: "192.0.2.7", Country: "DE", UserAgent: "curl/8", Session: "s1", Mfa: true},
				Changes:  []*curfewv1.Change{{Field: "visibility", Before: "private", After: "people_with_link"}, {Field: "target", After: "eve@example.com"}},
				Raw:      []byte(`{"raw":"record"}`), RawDigest: strings.Repeat("cd", 32),
			},
			Decision: &curfewv1.Decision{
				EventId: "google_workspace:1", Subject: "person:ida", Act: "share", Verdict: curfewv1.Verdict_VERDICT_VIOLATION,
				Classes: []string{"pii.contact"}, PolicyDigest: strings.Repeat("ab", 32),
				Row: &curfewv1.Row{File: "policy.csv", Line: 23, Text: "p, role:anyone, *, *, customer, share, deny"},
			},
			Context: &curfewv1.FindingContext{
				History: []string{"90 days: shared 0 times before"}, Reach: []string{"pii.contact: 12 files"},
				AllowingRoles: []string{"role:support"}, Grants: []*curfewv1.HeldGrant{{Id: "g1", Text: "role:support: Okta group Support"}},
			},
		},
	}
}

// acknowledged is Alert, taken on.
func acknowledged() *curfewv1.Alert {
	a := Alert()
	a.State, a.Assignee, a.Acknowledged, a.Version = curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED, "person:bob", at(21), 4
	return a
}

// resolved is Alert, resolved.
func resolved() *curfewv1.Alert {
	a := acknowledged()
	a.State, a.Resolver, a.Resolved, a.Resolution, a.Version = curfewv1.AlertState_ALERT_STATE_RESOLVED, "person:bob", at(30), "a drill", 5
	return a
}

// numbered is alert with an id of its own.
func numbered(alert *curfewv1.Alert, number int) *curfewv1.Alert {
	alert.Id = fmt.Sprintf("%024x", number)
	return alert
}

// Hostile is an alert with text wherever somebody outside chooses it, and a hundred of what there can be several of.
func Hostile(text string) *curfewv1.Alert {
	a := Alert()
	f := a.GetFinding()
	f.Title, f.Reason, f.NextSteps = text, text, many(text)
	f.Event = &curfewv1.Event{
		Id: "okta:1", Source: "okta", Feed: "system_log", Action: text, Time: at(14), Raw: []byte(text), Oddities: many(text), Echo: text,
		Actor: &curfewv1.Actor{Name: text, Email: text, Id: text}, Resource: &curfewv1.Resource{Name: text, Path: text, Kind: text, Owner: text, Visibility: text},
		App:     &curfewv1.App{Id: text, Name: text, Scopes: many(text)},
		Context: &curfewv1.Context{UserAgent: text, Country: text, Ip: text, Session: text},
		Outcome: &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE, Reason: text},
	}
	for range 100 {
		f.Event.Changes = append(f.Event.Changes, &curfewv1.Change{Field: text, Before: text, After: text})
	}
	f.Decision.Subject, f.Decision.Person, f.Decision.Object = "unknown:"+text, text, text
	f.Context = &curfewv1.FindingContext{History: many(text), Reach: many(text), Grants: []*curfewv1.HeldGrant{{Id: "g", Text: text}}}
	a.Entity, a.Repeats = "unknown:"+text, many(text)
	a.Notes = []*curfewv1.AlertNote{{Number: 1, Text: text}}
	return a
}

func many(text string) []string {
	list := make([]string, 100)
	for i := range list {
		list[i] = text
	}
	return list
}

func reply() *curfewv1.Reply {
	return &curfewv1.Reply{Id: "reply-1", Ref: "ref-1", Lines: []string{"person:bob took it on.", "2 more findings.\u202e"}}
}

func notice() *curfewv1.Notice {
	return &curfewv1.Notice{Id: "notice-1", Tenant: "main", Kind: curfewv1.NoticeKind_NOTICE_KIND_ENDED, Grant: &curfewv1.Grant{Id: "g1"}, To: []string{"person:ida"}, Text: "it ended."}
}
