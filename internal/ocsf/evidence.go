// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package ocsf

import (
	"net/netip"
	"regexp"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// evidence is the event and the decision that a finding rests on. It is empty where nothing is known that the schema wants
// of one.
func evidence(f *curfewv1.Finding) Object {
	e := f.GetEvent()
	o := Object{}
	o.set("actor", actor(e, f.GetDecision()))
	if operation := plain(e.GetAction()); operation != "" {
		o["api"] = Object{"operation": operation, "service": Object{"name": orUnknown(plain(e.GetSource()))}}
	}
	o.set("src_endpoint", endpoint(e.GetContext()))
	if agent := plain(e.GetContext().GetUserAgent()); agent != "" {
		o["http_request"] = Object{"user_agent": agent}
	}
	if r := resource(e, f.GetDecision()); len(r) > 0 {
		o["resources"] = []Object{r}
	}
	if len(o) == 1 && o["http_request"] != nil {
		return nil
	}
	return o
}

func actor(e *curfewv1.Event, d *curfewv1.Decision) Object {
	user := Object{}
	user.set("uid", plain(e.GetActor().GetId()))
	user.set("name", plain(e.GetActor().GetName()))
	email := plain(e.GetActor().GetEmail())
	if isEmail(email) {
		user["email_addr"] = email
	}
	if user["uid"] == nil && user["name"] == nil {
		user.set("uid", email)
	}
	if uid := plain(d.GetSubject()); len(user) > 0 && uid != "" {
		user["uid_alt"] = uid
	} else if uid != "" {
		user["uid"] = uid
	}
	o := Object{}
	o.set("user", user)
	o.set("app_uid", plain(e.GetApp().GetId()))
	o.set("app_name", plain(e.GetApp().GetName()))
	session := Object{}
	session.set("uid", plain(e.GetContext().GetSession()))
	if e.GetContext().GetMfa() {
		session["is_mfa"] = true
	}
	o.set("session", session)
	if len(o) == 0 {
		return nil
	}
	policy := Object{}
	policy.set("uid", plain(d.GetPolicyDigest()))
	policy.set("desc", plain(d.GetRow().GetText()))
	if verdict := verdict(d.GetVerdict()); verdict != "" && policy["uid"] != nil {
		o["authorizations"] = []Object{{"decision": verdict, "policy": policy}}
	}
	return o
}

// isEmail is whether the schema takes text as email_t: https://schema.ocsf.io/1.8.0/data_types.
func isEmail(text string) bool {
	return regexp.MustCompile("^[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-zA-Z0-9-]+[.][a-zA-Z0-9.-]+$").MatchString(text)
}

func verdict(v curfewv1.Verdict) string {
	switch v {
	case curfewv1.Verdict_VERDICT_ALLOWED:
		return "allowed"
	case curfewv1.Verdict_VERDICT_VIOLATION:
		return "violation"
	case curfewv1.Verdict_VERDICT_UNKNOWN:
		return "unknown"
	default:
		return ""
	}
}

func endpoint(c *curfewv1.Context) Object {
	o := Object{}
	if ip, err := netip.ParseAddr(c.GetIp()); err == nil {
		o["ip"] = ip.WithZone("").String()
	}
	if country := plain(c.GetCountry()); country != "" && len(o) > 0 {
		o["location"] = Object{"country": country}
	}
	return o
}

func resource(e *curfewv1.Event, d *curfewv1.Decision) Object {
	r := e.GetResource()
	o := Object{}
	o.set("uid", plain(r.GetPath()))
	o.set("name", plain(r.GetName()))
	if len(o) == 0 {
		return nil
	}
	o.set("type", plain(r.GetKind()))
	if owner := plain(r.GetOwner()); owner != "" {
		o["owner"] = Object{"uid": owner}
	}
	o.set("labels", some(d.GetClasses()))
	return o
}

// unmapped is what the schema has no place for.
func unmapped(alert *curfewv1.Alert, drawn card.Card) Object {
	f := alert.GetFinding()
	o := Object{}
	var changes []string
	for _, c := range drawn.Changes {
		changes = append(changes, c.String())
	}
	o.set("changes", changes)
	o.set("oauth_scopes", some(f.GetEvent().GetApp().GetScopes()))
	if more := len(f.GetEvent().GetApp().GetScopes()) - most; more > 0 {
		o["oauth_scopes_more"] = more
	}
	o.set("entity", plain(alert.GetEntity()))
	o.set("data_class", plain(alert.GetDataClass()))
	o.set("assignee", plain(alert.GetAssignee()))
	o.set("resolver", plain(alert.GetResolver()))
	o.set("grant_id", plain(f.GetGrantId()))
	o.set("history", drawn.History)
	o.set("reach", drawn.Reach)
	o.set("controls", some(f.GetControls()))
	return o
}

// some is the first of all.
func some(all []string) []string {
	var list []string
	for _, text := range all[:min(len(all), most)] {
		if text = plain(text); text != "" {
			list = append(list, text)
		}
	}
	return list
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}
