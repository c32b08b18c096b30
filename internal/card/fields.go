// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package card

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// fields is what is known of an alert, each thing by its name.
func fields(alert *curfewv1.Alert) []Field {
	f := alert.GetFinding()
	e, d := f.GetEvent(), f.GetDecision()
	list := []Field{{Name: "About", Value: about(alert)}}
	if e != nil {
		list = []Field{
			{Name: "Who", Value: who(e.GetActor(), d)},
			{Name: "What", Value: what(e, d)},
			{Name: "On", Value: named(e.GetResource().GetName(), e.GetResource().GetPath())},
			{Name: "Data", Value: some(d.GetClasses(), most)},
		}
	}
	list = append(list, when(f)...)
	list = append(list,
		Field{Name: "From", Value: from(e.GetContext())},
		Field{Name: "App", Value: named(e.GetApp().GetName(), e.GetApp().GetId())},
		Field{Name: "Scopes", Value: some(e.GetApp().GetScopes(), most)},
		Field{Name: "Grant", Value: grantText(f)},
	)
	if alert.GetCount() > 1 {
		list = append(list, Field{Name: "Newest", Value: fmt.Sprintf("finding %d of this alert,", alert.GetCount()), Time: stamp(alert.GetNewest())})
	}
	return slices.DeleteFunc(list, func(f Field) bool { return f.Value == "" && f.Time.IsZero() })
}

// Whether is what a person needs to tell whether an alert is about what they did themselves: what, on what, when, from where
// and by which app. Where nobody says from where, it says that.
func Whether(alert *curfewv1.Alert) []Field {
	list := slices.DeleteFunc(fields(alert), func(f Field) bool {
		return !slices.Contains([]string{"What", "On", "When", "From", "App"}, f.Name)
	})
	if !slices.ContainsFunc(list, func(f Field) bool { return f.Name == "From" }) {
		list = append(list, Field{Name: "From", Value: "not recorded"})
	}
	return list
}

// about is what an alert is about where no event names an actor.
func about(alert *curfewv1.Alert) string {
	text := Plain(alert.GetEntity(), whole)
	if class := Plain(alert.GetDataClass(), title); class != "" {
		text = strings.TrimSpace(text + " (" + class + ")")
	}
	return text
}

func who(actor *curfewv1.Actor, d *curfewv1.Decision) string {
	var names []string
	for _, n := range []string{actor.GetName(), actor.GetEmail()} {
		if n = Plain(n, whole); n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) == 0 && actor.GetId() != "" {
		names = append(names, Plain(actor.GetId(), whole))
	}
	person := name(d.GetSubject())
	if d.GetPerson() != "" {
		person = name(d.GetPerson()) + " for " + person
	}
	return strings.TrimSpace(strings.Join(names, " ") + " (" + person + ")")
}

func what(e *curfewv1.Event, d *curfewv1.Decision) string {
	act := d.GetAct()
	if act == "" {
		act = e.GetAct()
	}
	text := fmt.Sprintf("%s (%s in %s)", orUnknown(Plain(act, title)), orUnknown(Plain(e.GetAction(), title)), orUnknown(Plain(e.GetSource(), title)))
	if e.GetOutcome().GetStatus() != curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		return text
	}
	text += ", refused there"
	if reason := Plain(e.GetOutcome().GetReason(), title); reason != "" {
		text += ": " + reason
	}
	return text
}

// when is the time of what a finding is about, or when it was received where nobody says.
func when(f *curfewv1.Finding) []Field {
	for _, t := range []time.Time{stamp(f.GetEvent().GetTime()), stamp(f.GetTime())} {
		if !t.IsZero() {
			return []Field{{Name: "When", Time: t}}
		}
	}
	if received := stamp(f.GetEvent().GetReceived()); !received.IsZero() {
		return []Field{{Name: "When", Value: "unknown; received", Time: received}}
	}
	return []Field{{Name: "When", Value: "unknown"}}
}

func from(c *curfewv1.Context) string {
	parts := []string{Plain(c.GetIp(), title), Plain(c.GetCountry(), title), Plain(c.GetUserAgent(), title)}
	if c.GetMfa() {
		parts = append(parts, "second factor seen")
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// named is a name with the id behind it: anybody can choose a name.
func named(name, id string) string {
	name, id = Plain(name, whole), Plain(id, whole)
	switch {
	case name == "" || name == id:
		return id
	case id == "":
		return name
	}
	return name + " (" + id + ")"
}

// grantText is the grant that a finding is about, with what it stands for where that is known.
func grantText(f *curfewv1.Finding) string {
	id := Plain(f.GetGrantId(), title)
	if id == "" {
		return ""
	}
	for _, held := range f.GetContext().GetGrants() {
		if held.GetId() == f.GetGrantId() && held.GetText() != "" {
			return id + ": " + Plain(held.GetText(), whole)
		}
	}
	return id
}

// stamp is a moment of the contract; zero where it is absent or none.
func stamp(t *timestamppb.Timestamp) time.Time {
	if !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}
