// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	source = "okta"
	// feed is the one log Okta has.
	feed = "system_log"
	// maxUUID bounds a uuid that is taken as it is; Okta's have 36 characters.
	maxUUID = 128
)

// logEvent is what is read of a LogEvent:
// https://developer.okta.com/docs/api/openapi/okta-management/management/tag/SystemLog/.
type logEvent struct {
	UUID      string   `json:"uuid"`
	Published string   `json:"published"`
	EventType string   `json:"eventType"`
	Actor     entity   `json:"actor"`
	Targets   []entity `json:"target"`
	Outcome   struct {
		Result string `json:"result"`
		Reason string `json:"reason"`
	} `json:"outcome"`
	Client struct {
		// For requests by OAuth, the id of the OAuth client.
		ID        string `json:"id"`
		IPAddress string `json:"ipAddress"`
		UserAgent struct {
			Raw string `json:"rawUserAgent"`
		} `json:"userAgent"`
		Place struct {
			Country string `json:"country"`
		} `json:"geographicalContext"`
	} `json:"client"`
	Request struct {
		IPChain []struct {
			IP string `json:"ip"`
		} `json:"ipChain"`
	} `json:"request"`
	Authentication struct {
		Provider string `json:"authenticationProvider"`
		Session  string `json:"externalSessionId"`
	} `json:"authenticationContext"`
	Debug struct {
		Data struct {
			// That consents and token grants name client and scopes by these keys is seen in published records, not
			// confirmed by Okta's documentation, which calls debugData free to change.
			ClientID         string          `json:"clientId"`
			GrantedScopes    json.RawMessage `json:"grantedScopes"`
			Scopes           json.RawMessage `json:"scopes"`
			RequestedScopes  json.RawMessage `json:"requestedScopes"`
			Factor           string          `json:"factor"`
			PrivilegeGranted string          `json:"privilegeGranted"`
			// Not confirmed.
			PrivilegeRevoked string `json:"privilegeRevoked"`
		} `json:"debugData"`
	} `json:"debugContext"`
}

// entity is an actor or a target.
type entity struct {
	ID          string `json:"id"`
	Type        string `json:"type"`
	AlternateID string `json:"alternateId"`
	DisplayName string `json:"displayName"`
	// Most often null, for which a pointer costs nothing.
	Detail  *json.RawMessage `json:"detailEntry"`
	Changes *struct {
		From json.RawMessage `json:"from"`
		To   json.RawMessage `json:"to"`
	} `json:"changeDetails"`
}

// decoding is one record on its way to an event.
type decoding struct {
	logEvent
	oddities []string
}

// Decode turns a LogEvent of the System Log into its one event. It is an event.Decode: the error, where there is one,
// is an *event.Unreadable, and it comes for records alone that are no JSON object.
func Decode(record []byte) ([]*curfewv1.Event, error) {
	var d decoding
	oddities, err := event.Unmarshal(record, &d.logEvent)
	if err != nil {
		return nil, err
	}
	d.oddities = oddities
	app := d.app()
	decoded := &curfewv1.Event{
		Id:       d.id(record),
		Source:   source,
		Feed:     feed,
		Action:   d.text("eventType", d.EventType),
		Time:     event.ParseTime(d.Published),
		Actor:    d.actor(),
		App:      app,
		Resource: d.resource(app),
		Outcome:  d.outcome(),
		Context:  d.context(),
		Changes:  d.changes(),
	}
	decoded.Links = d.links(decoded.Outcome)
	if decoded.Action == "" {
		d.odd("eventType: missing")
	}
	switch {
	case d.Published == "":
		d.odd("published: missing")
	case decoded.Time == nil:
		d.odd("published: not a time")
	}
	decoded.Oddities = d.oddities
	return []*curfewv1.Event{decoded}, nil
}

func (d *decoding) odd(oddity string) { d.oddities = append(d.oddities, oddity) }

// text is vendor text as it may stand in an event; a cut is named.
func (d *decoding) text(field, text string) string {
	clean := event.Clean(text)
	// All text here is valid UTF-8, so cleaning makes it no shorter in any other way.
	if len(clean) < len(text) {
		d.odd(field + ": longer than a field may be; cut")
	}
	return clean
}

func (d *decoding) id(record []byte) string {
	uuid := strings.TrimSpace(d.UUID)
	if uuid != "" && len(uuid) <= maxUUID && event.Clean(uuid) == uuid {
		return event.ID(source, uuid, 0)
	}
	if uuid == "" {
		d.odd("uuid: missing")
	} else {
		d.odd("uuid: unusable")
	}
	// The whole record counts, but for its spacing: parts alone would make one of two sparse records.
	var compact bytes.Buffer
	if err := json.Compact(&compact, record); err != nil {
		return event.ID(source, event.ContentKey(source, feed, string(record)), 0)
	}
	return event.ID(source, event.ContentKey(source, feed, compact.String()), 0)
}

// named is text, or "" where Okta writes that it knows none.
func named(text string) string {
	if text == "unknown" {
		return ""
	}
	return text
}

// key is the most stable name of an entity: its id, else a person's login or another name.
func (e *entity) key() string {
	return cmp.Or(named(e.ID), named(e.AlternateID), named(e.DisplayName))
}

func (d *decoding) actor() *curfewv1.Actor {
	a := &d.Actor
	if a.key() == "" {
		return nil
	}
	actor := &curfewv1.Actor{
		Type: actorType(a.Type),
		Id:   d.text("actor.id", a.key()),
		Name: d.text("actor.displayName", named(a.DisplayName)),
	}
	if login := named(a.AlternateID); strings.Contains(login, "@") {
		actor.Email = d.text("actor.alternateId", login)
	} else if actor.Name == "" {
		actor.Name = d.text("actor.alternateId", login)
	}
	return actor
}

// actorType is what kind of subject Okta's type is. Only some types are documented; the others are seen in records.
func actorType(text string) curfewv1.ActorType {
	switch text {
	case "User":
		return curfewv1.ActorType_ACTOR_TYPE_PERSON
	case "PublicClientApp", "PublicClientAppEntity", "AppInstance", "OAuth2Client", "OAuthClient", "ServiceApp",
		"WorkloadIdentityPrincipal", "WorkloadPrincipal", "AIAgent":
		return curfewv1.ActorType_ACTOR_TYPE_APP
	case "SystemPrincipal":
		return curfewv1.ActorType_ACTOR_TYPE_SERVICE
	}
	return curfewv1.ActorType_ACTOR_TYPE_UNSPECIFIED
}

func (d *decoding) outcome() *curfewv1.Outcome {
	result, reason := d.Outcome.Result, d.text("outcome.reason", d.Outcome.Reason)
	if result == "" && reason == "" {
		return nil
	}
	status := curfewv1.OutcomeStatus_OUTCOME_STATUS_UNSPECIFIED
	switch result {
	case "SUCCESS", "ALLOW", "CHALLENGE", "SKIPPED":
		status = curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS
	case "FAILURE", "DENY", "RATE_LIMIT", "ABANDONED", "UNANSWERED":
		status = curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE
	}
	// The two statuses say less than Okta's word, except where it is one of them.
	if reason == "" && result != "SUCCESS" && result != "FAILURE" {
		reason = d.text("outcome.result", result)
	}
	return &curfewv1.Outcome{Status: status, Reason: reason}
}

func (d *decoding) context() *curfewv1.Context {
	address := d.Client.IPAddress
	if address == "" && len(d.Request.IPChain) > 0 {
		// The client comes first, then the proxies.
		address = d.Request.IPChain[0].IP
	}
	context := &curfewv1.Context{
		Ip:        event.IP(address),
		UserAgent: d.text("client.userAgent", d.Client.UserAgent.Raw),
		Country:   d.text("client.geographicalContext.country", d.Client.Place.Country),
		Session:   d.text("authenticationContext.externalSessionId", named(d.Authentication.Session)),
		Mfa:       d.mfa(),
	}
	if address != "" && context.Ip == "" {
		d.odd("client.ipAddress: not an address")
	}
	if context.Ip == "" && context.UserAgent == "" && context.Country == "" && context.Session == "" && !context.Mfa {
		return nil
	}
	return context
}

// mfa is whether the record shows that a second factor was given. A challenge or an enrolment shows none.
func (d *decoding) mfa() bool {
	if d.Outcome.Result != "SUCCESS" && d.Outcome.Result != "ALLOW" {
		return false
	}
	if d.EventType == "user.authentication.auth_via_mfa" || d.Authentication.Provider == "FACTOR_PROVIDER" {
		return true
	}
	factor := d.Debug.Data.Factor
	signingIn := strings.HasPrefix(d.EventType, "user.authentication.") || strings.HasPrefix(d.EventType, "user.session.") ||
		strings.HasPrefix(d.EventType, "policy.evaluate_sign_on")
	return signingIn && factor != "" && !strings.Contains(factor, "PASSWORD")
}
