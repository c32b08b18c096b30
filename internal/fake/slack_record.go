// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// slackDay is when things happened of which nothing else is said.
var slackDay = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)

// SlackUser is an account as the audit log names it.
type SlackUser struct {
	ID, Name, Email, Team string
}

// SlackPerson is an account of a person with a login such as anna.berg: Anna Berg, anna.berg@example.com, with an id made
// of the login.
func SlackPerson(login string) SlackUser {
	return SlackUser{ID: SlackID("W", login), Name: login, Email: login + "@example.com", Team: SlackID("T", "workspace")}
}

// SlackID is an id in Slack's form for something with a name: the same name has the same id.
func SlackID(prefix, name string) string {
	return strings.ToUpper(fmt.Sprintf("%s%x", prefix, sha256.Sum256([]byte(name)))[:11])
}

// SlackAudit builds an entry of the Audit Logs API. What is not set gets a value that a quiet organisation would show, so
// that the zero value is a sound record: a sign-in.
type SlackAudit struct {
	// Seed and Number make the id, and so the record's identity, where ID is empty.
	Seed, Number uint64
	// ID is the entry's own id.
	ID string
	// Action is "user_login" if empty.
	Action string
	// Time is when it happened, in whole seconds; 2026-03-02T08:00:00Z if zero.
	Time time.Time
	// Actor is who acted; an invented person if empty.
	Actor SlackUser
	// Kind and Entity are what was acted on, such as "file" and its members; the actor if empty, nothing if Kind is "-".
	Kind   string
	Entity map[string]any
	// Details are the entry's; none if nil.
	Details map[string]any
	// IP, UserAgent and Session are the client's; 192.0.2.30, a browser's and none if empty.
	IP, UserAgent, Session string
	// App is the application by which it was done; none if nil.
	App map[string]any
}

// RecordID is the entry's id.
func (e SlackAudit) RecordID() string {
	if e.ID != "" {
		return e.ID
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "slack %d %d", e.Seed, e.Number))
	return fmt.Sprintf("%x-%x-4%x-8%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])[:36]
}

// JSON is the entry.
func (e SlackAudit) JSON() json.RawMessage {
	if e.Actor == (SlackUser{}) {
		e.Actor = SlackPerson("anna.berg")
	}
	if e.Time.IsZero() {
		e.Time = slackDay
	}
	actor := slackUser(e.Actor)
	if e.Kind == "" {
		e.Kind, e.Entity = "user", actor
	}
	context := map[string]any{
		"location":   map[string]any{"type": "enterprise", "id": SlackID("E", "organisation"), "name": "Linden & Lark", "domain": "linden-lark"},
		"ua":         cmp.Or(e.UserAgent, "Mozilla/5.0 (X11; Linux x86_64) Invented/1.0"),
		"ip_address": cmp.Or(e.IP, "192.0.2.30"),
	}
	if e.Session != "" {
		context["session_id"] = e.Session
	}
	if e.App != nil {
		context["app"] = e.App
	}
	record := map[string]any{
		"id": e.RecordID(), "date_create": e.Time.Unix(), "action": cmp.Or(e.Action, "user_login"),
		"actor":   map[string]any{"type": "user", "user": actor},
		"context": context,
	}
	if e.Kind != "-" {
		record["entity"] = map[string]any{"type": e.Kind, e.Kind: e.Entity}
	}
	if e.Details != nil {
		record["details"] = e.Details
	}
	return slackJSON(record)
}

func slackUser(u SlackUser) map[string]any {
	return map[string]any{"id": u.ID, "name": u.Name, "email": u.Email, "team": u.Team}
}

// SlackIntegration builds a record of team.integrationLogs. What is not set gets a value that a quiet workspace would
// show.
type SlackIntegration struct {
	// Time is when it happened, in whole seconds; 2026-03-02T08:00:00Z if zero.
	Time time.Time
	// User is who did it; an invented person if empty.
	User SlackUser
	// Change is "added" if empty; Slack knows added, removed, enabled, disabled, expanded and updated.
	Change string
	// App and AppID are the application's name and id; an invented one's if empty.
	App, AppID string
	// Scope is what it may do, with commas in between.
	Scope string
	// Reason is why it was disabled.
	Reason string
}

// JSON is the record.
func (i SlackIntegration) JSON() json.RawMessage {
	at, user, app := i.Time, cmp.Or(i.User, SlackPerson("anna.berg")), cmp.Or(i.App, "Invented Polls")
	if at.IsZero() {
		at = slackDay
	}
	record := map[string]any{
		"app_id": cmp.Or(i.AppID, SlackID("A", app)), "app_type": app, "user_id": user.ID, "user_name": user.Name,
		// A number in quotes, as Slack writes it.
		"date": fmt.Sprint(at.Unix()), "change_type": cmp.Or(i.Change, "added"), "scope": cmp.Or(i.Scope, "commands,chat:write"),
	}
	if i.Reason != "" {
		record["reason"] = i.Reason
	}
	return slackJSON(record)
}

// SlackLogin builds a record of team.accessLogs: how often an account came from one address with one client. What is not
// set gets a value that a quiet workspace would show.
type SlackLogin struct {
	// User is whose it is; an invented person if empty.
	User SlackUser
	// First and Last are the first and the last access, in whole seconds; 2026-03-02T08:00:00Z and First if zero.
	First, Last time.Time
	// Count is how many there were; 1 if 0.
	Count int
	// IP and UserAgent are the client's; 192.0.2.30 and a browser's if empty.
	IP, UserAgent string
}

func (l SlackLogin) whole() SlackLogin {
	if l.User == (SlackUser{}) {
		l.User = SlackPerson("anna.berg")
	}
	if l.First.IsZero() {
		l.First = slackDay
	}
	if l.Last.IsZero() {
		l.Last = l.First
	}
	l.Count = max(l.Count, 1)
	l.IP = cmp.Or(l.IP, "192.0.2.30")
	l.UserAgent = cmp.Or(l.UserAgent, "Mozilla/5.0 (X11; Linux x86_64) Invented/1.0")
	return l
}

// JSON is the record.
func (l SlackLogin) JSON() json.RawMessage {
	l = l.whole()
	return slackJSON(map[string]any{
		"user_id": l.User.ID, "username": l.User.Name, "date_first": l.First.Unix(), "date_last": l.Last.Unix(), "count": l.Count,
		"ip": l.IP, "user_agent": l.UserAgent, "isp": "Invented Net", "country": "DE", "region": "BE",
	})
}

// SlackEvent builds an event of the Events API in its envelope.
type SlackEvent struct {
	// Seed and Number make the event_id, and so the event's identity, where ID is empty.
	Seed, Number uint64
	// ID is the event_id.
	ID string
	// Type is "team_join" if empty.
	Type string
	// Time is when it was; 2026-03-02T08:00:00Z if zero.
	Time time.Time
	// App is the id of the app that it is sent to; an invented one's if empty.
	App string
	// Fields are the event's, besides type and event_ts.
	Fields map[string]any
}

// RecordID is the event_id.
func (e SlackEvent) RecordID() string {
	return cmp.Or(e.ID, SlackID("Ev", fmt.Sprintf("event %d %d", e.Seed, e.Number)))
}

// JSON is the envelope with the event in it.
func (e SlackEvent) JSON() json.RawMessage {
	if e.Time.IsZero() {
		e.Time = slackDay
	}
	inner := map[string]any{"type": cmp.Or(e.Type, "team_join"), "event_ts": fmt.Sprintf("%d.%06d", e.Time.Unix(), e.Time.Nanosecond()/1000)}
	maps.Copy(inner, e.Fields)
	team := SlackID("T", "workspace")
	return slackJSON(map[string]any{
		"token": "invented-verification-token", "team_id": team, "api_app_id": cmp.Or(e.App, SlackID("A", "curfew")),
		"event": inner, "type": "event_callback", "event_id": e.RecordID(), "event_time": e.Time.Unix(),
		"authorizations": []any{map[string]any{
			"enterprise_id": nil, "team_id": team, "user_id": SlackID("U", "curfew"), "is_bot": true, "is_enterprise_install": false,
		}},
		"is_ext_shared_channel": false,
	})
}

func slackJSON(record map[string]any) json.RawMessage {
	text, err := json.Marshal(record)
	if err != nil {
		panic(err) // Only a programmer sets what could do it.
	}
	return text
}
