// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	source = "google_workspace"
	// unknownFeed is the feed of a record that does not say its application.
	unknownFeed = "unknown"
	// maxActs bounds the events made of one record. Google packs a handful; what a record has beyond this is named in
	// an oddity.
	maxActs = 1000
	// placeholderProfile is the profile id of every actor that is no Workspace user, so it names nobody:
	// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list.
	placeholderProfile = "105250506097979753968"
)

// activity is what is read of an Activity:
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list.
type activity struct {
	ID struct {
		Time            event.Scalar `json:"time"`
		UniqueQualifier event.Scalar `json:"uniqueQualifier"`
		ApplicationName event.Scalar `json:"applicationName"`
		CustomerID      event.Scalar `json:"customerId"`
	} `json:"id"`
	Actor struct {
		CallerType  event.Scalar `json:"callerType"`
		Email       event.Scalar `json:"email"`
		ProfileID   event.Scalar `json:"profileId"`
		Key         event.Scalar `json:"key"`
		Application struct {
			ClientID event.Scalar `json:"oauthClientId"`
			Name     event.Scalar `json:"applicationName"`
		} `json:"applicationInfo"`
	} `json:"actor"`
	IPAddress event.Scalar `json:"ipAddress"`
	Network   struct {
		RegionCode event.Scalar `json:"regionCode"`
	} `json:"networkInfo"`
	Events []act `json:"events"`
}

// act is one entry of events[].
type act struct {
	Name       event.Scalar `json:"name"`
	Parameters []parameter  `json:"parameters"`
}

// decoding is one record on its way to its events.
type decoding struct {
	activity
	feed     string
	time     *timestamppb.Timestamp
	oddities []string
}

// Decode turns one Activity into its events: one for each entry of events[], in its order, and one without an action
// where there is none. The feed is the record's applicationName. It is an event.Decode: the error, where there is one,
// is an *event.Unreadable, and it comes for records alone that are no JSON object.
func Decode(record []byte) ([]*curfewv1.Event, error) {
	var d decoding
	oddities, err := event.Unmarshal(record, &d.activity)
	if err != nil {
		return nil, err
	}
	d.oddities = oddities
	split := len(d.Events) == 0 && d.readSplit(record)
	d.readHead()
	key := d.key(record, split)
	acts := d.Events
	if len(acts) == 0 {
		d.odd("events: missing")
		acts = []act{{}}
	}
	if len(acts) > maxActs {
		d.odd(fmt.Sprintf("events: %d acts; those after the first %d stand in the raw record only", len(acts), maxActs))
		acts = acts[:maxActs]
	}
	events := make([]*curfewv1.Event, 0, len(acts))
	for i := range acts {
		part := 0
		if len(acts) > 1 {
			part = i + 1
		}
		decoded := d.event(&acts[i])
		decoded.Id = event.ID(source, key, part)
		decoded.Oddities, d.oddities = d.oddities, nil
		events = append(events, decoded)
	}
	return events, nil
}

// event is the event of one act. What is odd about it is left in d.oddities.
func (d *decoding) event(a *act) *curfewv1.Event {
	decoded := &curfewv1.Event{
		Source:  source,
		Feed:    d.feed,
		Action:  d.text("events.name", a.Name),
		Time:    d.time,
		Actor:   d.actor(),
		App:     d.actorApp(),
		Context: d.context(),
	}
	if decoded.Action == "" && len(d.Events) > 0 {
		d.odd("events.name: missing")
	}
	if name := a.long(); name != "" {
		d.odd("parameters." + name + ": longer than a field may be; cut")
	}
	if d.feed == "token" || d.feed == "admin" || d.feed == "drive" {
		decoded.App = cmp.Or(actApp(d.feed, decoded.Action, a), decoded.App)
	}
	decoded.Resource = d.resource(decoded.Action, a)
	decoded.Outcome = outcome(d.feed, decoded.Action, a)
	decoded.Changes = changes(d.feed, decoded.Action, a)
	decoded.Links = d.links(decoded.Action, a)
	if shown := secondFactor(a, decoded.Outcome); shown || a.find("user_agent") != nil {
		if decoded.Context == nil {
			decoded.Context = &curfewv1.Context{}
		}
		decoded.Context.Mfa = shown
		decoded.Context.UserAgent = a.text("user_agent")
	}
	return decoded
}

func (d *decoding) odd(oddity string) { d.oddities = append(d.oddities, oddity) }

// text is vendor text as it may stand in an event; what could not be kept is named.
func (d *decoding) text(field string, s event.Scalar) string {
	if s.Odd {
		d.odd(field + ": no text, number or boolean")
	}
	clean := event.Clean(s.Text)
	// All text here is valid UTF-8, so cleaning makes it no shorter in any other way.
	if len(clean) < len(s.Text) {
		d.odd(field + ": longer than a field may be; cut")
	}
	return clean
}

// readHead reads feed and time.
func (d *decoding) readHead() {
	d.feed = d.text("id.applicationName", d.ID.ApplicationName)
	if d.feed == "" {
		d.odd("id.applicationName: missing")
		d.feed = unknownFeed
	}
	if text := d.text("id.time", d.ID.Time); text == "" {
		d.odd("id.time: missing")
	} else if d.time = event.ParseTime(text); d.time == nil {
		d.odd("id.time: not a time")
	}
	for _, field := range [...]struct {
		name  string
		value event.Scalar
	}{
		{"id.uniqueQualifier", d.ID.UniqueQualifier}, {"id.customerId", d.ID.CustomerID},
		{"actor.email", d.Actor.Email}, {"actor.profileId", d.Actor.ProfileID}, {"actor.key", d.Actor.Key},
		{"actor.callerType", d.Actor.CallerType}, {"ipAddress", d.IPAddress},
	} {
		if field.value.Odd {
			d.odd(field.name + ": no text, number or boolean")
		}
	}
	if ip := d.IPAddress.Text; ip != "" && event.IP(ip) == "" {
		d.odd("ipAddress: not an address")
	}
}

// readSplit reads events as one object, which is what log shippers make of it when they split a record by its acts,
// and reports whether it was one.
func (d *decoding) readSplit(record []byte) bool {
	var alone struct {
		Events json.RawMessage `json:"events"`
	}
	// The record has been read once; what is odd about it is known.
	_ = json.Unmarshal(record, &alone)
	if len(alone.Events) == 0 || alone.Events[0] != '{' {
		return false
	}
	d.Events = make([]act, 1)
	_ = json.Unmarshal(alone.Events, &d.Events[0])
	d.oddities = slices.DeleteFunc(d.oddities, func(oddity string) bool {
		return strings.HasPrefix(oddity, "events: a JSON object")
	})
	return true
}

// key is the record's key. uniqueQualifier is not unique: the records of one sign-in share it together with the time,
// so the names of the acts and the actor belong to the key. Where a part of the key is missing, it is the content; so
// it is for a split record, whose halves share every part.
func (d *decoding) key(record []byte, split bool) string {
	id := &d.ID
	if split || id.CustomerID.Text == "" || id.ApplicationName.Text == "" || id.Time.Text == "" ||
		id.UniqueQualifier.Text == "" || len(d.Events) == 0 {
		return contentKey(record)
	}
	parts := make([]string, 0, 7+len(d.Events))
	parts = append(parts, id.CustomerID.Text, id.ApplicationName.Text, id.Time.Text, id.UniqueQualifier.Text,
		d.Actor.ProfileID.Text, d.Actor.Email.Text, d.Actor.Key.Text)
	head := len(parts)
	for i := range d.Events {
		parts = append(parts, d.Events[i].Name.Text)
	}
	slices.Sort(parts[head:])
	return event.ContentKey(parts...)
}

// contentKey hashes what the record says, whatever its spacing and the order of its fields; etag is left out, since it
// is not confirmed to be the same at every read.
func contentKey(record []byte) string {
	var fields map[string]json.RawMessage
	// Decode has shown the record to be an object.
	_ = json.Unmarshal(record, &fields)
	delete(fields, "etag")
	parts := make([]string, 0, 2*len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var compact bytes.Buffer
		_ = json.Compact(&compact, fields[name])
		parts = append(parts, name, compact.String())
	}
	return event.ContentKey(parts...)
}

func (d *decoding) actor() *curfewv1.Actor {
	a := &d.Actor
	email, profile, key := event.Clean(a.Email.Text), event.Clean(a.ProfileID.Text), event.Clean(a.Key.Text)
	if profile == placeholderProfile {
		profile = ""
	}
	actor := &curfewv1.Actor{Id: cmp.Or(profile, key, email), Email: email}
	switch {
	case actor.GetId() == "" && d.actorApp() == nil:
		return nil
	case actor.GetId() == "":
		app := d.actorApp()
		return &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_APP, Id: app.GetId(), Name: app.GetName()}
	case a.CallerType.Text == "KEY" || strings.HasSuffix(email, ".gserviceaccount.com"):
		// A robot account or the system itself; its key has no e-mail.
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_SERVICE
		actor.Name = key
	case email != "" || profile != "":
		// Most applications leave callerType out. That an account with an e-mail or a profile is a person's is not
		// confirmed; service accounts are told by their domain.
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_PERSON
	}
	return actor
}

// actorApp is the application that acted, by itself or for the actor.
func (d *decoding) actorApp() *curfewv1.App {
	info := &d.Actor.Application
	return newApp(event.Clean(info.ClientID.Text), event.Clean(info.Name.Text), nil)
}

func (d *decoding) context() *curfewv1.Context {
	ip, country := event.IP(d.IPAddress.Text), event.Clean(d.Network.RegionCode.Text)
	if ip == "" && country == "" {
		return nil
	}
	return &curfewv1.Context{Ip: ip, Country: country}
}

// newApp is the app of an id, or of a name where the record has no id; nil where it has neither.
func newApp(id, name string, scopes []string) *curfewv1.App {
	if id == "" && name == "" {
		return nil
	}
	return &curfewv1.App{Id: cmp.Or(id, name), Name: name, Scopes: scopes}
}
