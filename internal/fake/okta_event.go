// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// OktaEvent builds a LogEvent as Okta's System Log returns it. What is not set gets a value that a quiet org would
// show, so that the zero value is a sound record.
type OktaEvent struct {
	// Seed and Number make the uuid, and so the record's identity, where UUID is empty.
	Seed, Number uint64
	// UUID is the record's own id.
	UUID string
	// Type is the eventType; "user.session.start" if empty.
	Type string
	// Published is when it happened; 2026-03-02T08:00:00Z if zero.
	Published time.Time
	// Actor is who acted; an invented person if empty.
	Actor OktaEntity
	// Targets are what was acted on.
	Targets []OktaEntity
	// Result and Reason are the outcome; "SUCCESS" if Result is empty.
	Result, Reason string
	// IP is the client's address; 192.0.2.10 if empty.
	IP string
	// UserAgent is the client's; a browser's if empty.
	UserAgent string
	// Country is where the address is said to be; "Germany" if empty.
	Country string
	// Session is the external session id; made from the actor if empty.
	Session string
	// Factor is the second factor used, such as "OKTA_VERIFY_PUSH"; empty for none.
	Factor string
	// Debug is added to debugContext.debugData.
	Debug map[string]string
}

// OktaEntity is an actor or a target of a LogEvent.
type OktaEntity struct {
	// ID is Okta's id, such as "00u1ab2c3".
	ID string
	// Type is Okta's type, such as "User", "AppInstance" or "UserGroup"; "User" if empty.
	Type string
	// AlternateID is the login of a person; "unknown" if empty.
	AlternateID string
	// DisplayName is the name people see.
	DisplayName string
	// Detail is the detailEntry.
	Detail map[string]string
	// From and To are the changeDetails.
	From, To map[string]any
}

// OktaPerson is a person of the org: anna.berg becomes Anna Berg, anna.berg@example.com, with an id made of the login.
func OktaPerson(login string) OktaEntity {
	words := strings.Split(login, ".")
	for i, word := range words {
		if word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return OktaEntity{ID: OktaID("00u", login), Type: "User", AlternateID: login + "@example.com", DisplayName: strings.Join(words, " ")}
}

// OktaID is an id in Okta's form for something with a name: the same name has the same id.
func OktaID(prefix, name string) string {
	return fmt.Sprintf("%s%x", prefix, sha256.Sum256([]byte(name)))[:20]
}

// ID is the record's uuid.
func (e OktaEvent) ID() string {
	if e.UUID != "" {
		return e.UUID
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "okta %d %d", e.Seed, e.Number))
	return fmt.Sprintf("%x-%x-11ef-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:14])
}

// JSON is the record. It is the same for the same e.
func (e OktaEvent) JSON() json.RawMessage {
	if e.Actor.ID == "" && e.Actor.Type == "" {
		e.Actor = OktaPerson("anna.berg")
	}
	if e.Published.IsZero() {
		e.Published = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)
	}
	e.Type = cmp.Or(e.Type, "user.session.start")
	e.IP = cmp.Or(e.IP, "192.0.2.10")
	place := map[string]any{
		"city": nil, "state": nil, "country": cmp.Or(e.Country, "Germany"), "postalCode": nil, "geolocation": nil,
	}
	debug := map[string]string{"requestId": "req-" + e.ID()[:8], "requestUri": "/invented", "url": "/invented?"}
	authentication := map[string]any{
		"authenticationProvider": nil, "credentialProvider": nil, "credentialType": nil, "issuer": nil, "interface": nil,
		"authenticationStep": 0, "externalSessionId": cmp.Or(e.Session, OktaID("trs", e.Actor.ID)),
	}
	if e.Factor != "" {
		debug["factor"] = e.Factor
		authentication["authenticationProvider"] = "FACTOR_PROVIDER"
	}
	for key, value := range e.Debug {
		debug[key] = value
	}
	var targets []any
	for _, target := range e.Targets {
		targets = append(targets, target.json())
	}
	record, err := json.Marshal(map[string]any{
		"uuid": e.ID(), "published": e.Published.UTC().Format("2006-01-02T15:04:05.000Z"), "eventType": e.Type,
		"version": "0", "severity": "INFO", "displayMessage": "Invented: " + e.Type, "legacyEventType": nil,
		"actor": e.Actor.json(),
		"client": map[string]any{
			"userAgent": map[string]any{
				"rawUserAgent": cmp.Or(e.UserAgent, "Mozilla/5.0 (X11; Linux x86_64) Invented/1.0"), "os": "Linux", "browser": "UNKNOWN",
			},
			"zone": "null", "device": "Computer", "id": nil, "ipAddress": e.IP, "geographicalContext": place,
		},
		"device": nil, "authenticationContext": authentication,
		"outcome":         map[string]any{"result": cmp.Or(e.Result, "SUCCESS"), "reason": oktaNull(e.Reason)},
		"securityContext": map[string]any{"asNumber": nil, "asOrg": nil, "isp": nil, "domain": nil, "isProxy": false},
		"debugContext":    map[string]any{"debugData": debug},
		"transaction":     map[string]any{"type": "WEB", "id": "tx-" + e.ID()[:8], "detail": map[string]any{}},
		"request":         map[string]any{"ipChain": []any{map[string]any{"ip": e.IP, "geographicalContext": place, "version": "V4", "source": nil}}},
		"target":          targets,
	})
	if err != nil {
		panic(err) // From and To alone could do it, and only a programmer sets them.
	}
	return record
}

func (e OktaEntity) json() map[string]any {
	entity := map[string]any{
		"id": e.ID, "type": cmp.Or(e.Type, "User"), "alternateId": cmp.Or(e.AlternateID, "unknown"),
		"displayName": e.DisplayName, "detailEntry": nil,
	}
	if e.Detail != nil {
		entity["detailEntry"] = e.Detail
	}
	if e.From != nil || e.To != nil {
		entity["changeDetails"] = map[string]any{"from": e.From, "to": e.To}
	}
	return entity
}

func oktaNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// OktaDelivery builds a delivery of an event hook: https://developer.okta.com/docs/concepts/event-hooks/.
type OktaDelivery struct {
	// EventID is its eventId.
	EventID string
	// At is when it was sent.
	At time.Time
	// Secret is the hook's authentication field.
	Secret string
	// Records are the LogEvents in it, byte for byte.
	Records [][]byte
}

// Delivery is it as it comes in.
func (d OktaDelivery) Delivery() vendorhttp.Delivery {
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Authorization": {d.Secret}}
	// Put together by hand: encoding/json would take out the spaces within records.
	body := fmt.Sprintf(`{"eventType":"com.okta.event_hook","eventTypeVersion":"1.0","cloudEventsVersion":"0.1","source":%q,"eventId":%q,"data":{"events":[%s]},"eventTime":%q,"contentType":"application/json"}`,
		"https://invented.example.com/api/v1/eventHooks/who1", d.EventID, bytes.Join(d.Records, []byte(",")), d.At.UTC().Format("2006-01-02T15:04:05.000Z"))
	return vendorhttp.Delivery{Method: http.MethodPost, Header: header, Body: []byte(body), Received: d.At}
}
