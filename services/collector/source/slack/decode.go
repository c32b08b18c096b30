// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	source = "slack"
	// maxID bounds an id that is taken as it is; those of the audit log have 36 characters, those of events 11 to 13.
	maxID = 128
)

// The feeds.
const (
	// audit is the Audit Logs API of an Enterprise organisation.
	audit = "audit"
	// integrationLogs is team.integrationLogs, accessLogs team.accessLogs.
	integrationLogs = "integration_logs"
	accessLogs      = "access_logs"
	// events is the Events API.
	events = "events"
)

// entry is what is read of an entry of the Audit Logs API:
// https://docs.slack.dev/reference/audit-logs-api/methods-actions-reference and, for the members of its objects,
// https://github.com/slackapi/java-slack-sdk/blob/main/json-logs/samples/audit/v1/logs.json.
type entry struct {
	ID         event.Scalar `json:"id"`
	DateCreate event.Scalar `json:"date_create"`
	Action     event.Scalar `json:"action"`
	Actor      struct {
		Type event.Scalar `json:"type"`
		User account      `json:"user"`
		account
	} `json:"actor"`
	Entity  entity `json:"entity"`
	Context struct {
		UserAgent event.Scalar `json:"ua"`
		IP        event.Scalar `json:"ip_address"`
		Session   event.Scalar `json:"session_id"`
		App       *object      `json:"app"`
	} `json:"context"`
	Details json.RawMessage `json:"details"`

	// What the records of the other feeds have and an entry does not.
	ChangeType event.Scalar    `json:"change_type"`
	DateFirst  event.Scalar    `json:"date_first"`
	DateLast   event.Scalar    `json:"date_last"`
	Type       event.Scalar    `json:"type"`
	Event      json.RawMessage `json:"event"`
}

// entity is what was acted on: its type and, under the type's name, the thing itself. Types that are not here are looked
// for when they come.
type entity struct {
	Type        event.Scalar `json:"type"`
	User        *object      `json:"user"`
	App         *object      `json:"app"`
	Workspace   *object      `json:"workspace"`
	Enterprise  *object      `json:"enterprise"`
	File        *object      `json:"file"`
	Channel     *object      `json:"channel"`
	Usergroup   *object      `json:"usergroup"`
	Role        *object      `json:"role"`
	AccountRole *object      `json:"account_type_role"`
	Workflow    *object      `json:"workflow"`
	WorkflowV2  *object      `json:"workflow_v2"`
	Canvas      *object      `json:"canvas"`
	List        *object      `json:"list"`
	Message     *object      `json:"message"`
}

// known is the thing and its type where it is one of those in entity.
func (e *entity) known() (string, *object) {
	for _, known := range [...]struct {
		name  string
		thing *object
	}{
		{"user", e.User}, {"app", e.App}, {"workspace", e.Workspace}, {"enterprise", e.Enterprise}, {"file", e.File},
		{"channel", e.Channel}, {"usergroup", e.Usergroup}, {"role", e.Role}, {"account_type_role", e.AccountRole},
		{"workflow", e.Workflow}, {"workflow_v2", e.WorkflowV2}, {"canvas", e.Canvas}, {"list", e.List}, {"message", e.Message},
	} {
		if known.thing != nil && (e.Type.Text == known.name || e.Type.Text == "") {
			return known.name, known.thing
		}
	}
	return "", nil
}

// account is a person as an entry names one.
type account struct {
	ID    event.Scalar `json:"id"`
	Name  event.Scalar `json:"name"`
	Email event.Scalar `json:"email"`
}

// Decode turns a record of any feed into its one event: an entry of the Audit Logs API, of team.integrationLogs or of
// team.accessLogs, and the envelope of an event of the Events API; which of them it is shows in its fields. It is an
// event.Decode: the error, where there is one, is an *event.Unreadable, and it comes for records alone that are no JSON
// object.
func Decode(record []byte) ([]*curfewv1.Event, error) {
	var d auditing
	oddities, err := event.Unmarshal(record, &d.entry)
	if err != nil {
		return nil, err
	}
	d.oddities = oddities
	if d.Action.Text == "" {
		switch {
		case len(d.Event) > 0 && d.Event[0] == '{' || isEnvelope(d.Type.Text):
			return DecodeEvent(record)
		case d.ChangeType.Text != "":
			return decodeIntegration(record)
		case d.DateFirst.Text != "" || d.DateLast.Text != "":
			return decodeAccess(record)
		}
		for _, f := range []field{{"type", d.Type}, {"change_type", d.ChangeType}, {"date_first", d.DateFirst}, {"date_last", d.DateLast}} {
			if f.value.Odd {
				d.odd(f.name + ": no text, number or boolean")
			}
		}
		d.odd("action: missing")
	}
	decoded := d.event(record)
	decoded.Id = d.id(record)
	decoded.Oddities = d.oddities
	return []*curfewv1.Event{decoded}, nil
}

// auditing is one entry of the audit log on its way to an event.
type auditing struct {
	decoding
	entry
	action string
	// kind and object are what was acted on; kind is empty where nothing was.
	kind    string
	object  object
	details details
}

func (d *auditing) event(record []byte) *curfewv1.Event {
	d.action = d.text("action", d.Action)
	d.readEntity(record)
	if len(d.Details) > 0 && d.Details[0] == '{' {
		// The record has been shown to be JSON, and no field of details can be wrong.
		_ = json.Unmarshal(d.Details, &d.details)
	} else if len(d.Details) > 0 && d.Details[0] != 'n' && !bytes.Equal(d.Details, []byte("[]")) && !bytes.Equal(d.Details, []byte(`""`)) {
		d.odd("details: no object") // PHP writes an object without members as a list.
	}
	decoded := &curfewv1.Event{
		Source: source,
		Feed:   audit,
		Action: d.action,
		Time:   d.when(field{"date_create", d.DateCreate}),
		Actor:  d.actor(),
		App:    d.app(),
	}
	decoded.Resource = d.resource(decoded.App)
	decoded.Outcome = d.outcome()
	decoded.Context = d.context()
	d.changes()
	decoded.Changes = d.changed
	decoded.Links = d.links(decoded.Outcome)
	decoded.Echo = d.echo(decoded)
	return decoded
}

// id is the entry's own, else from its whole content whatever its spacing and the order of its fields: parts alone would
// make one of two sparse entries.
func (d *auditing) id(record []byte) string {
	return d.recordID("id", d.ID, func() string { return contentKey(audit, record) })
}

// recordID is the id of an event from the vendor's, or from a key where it has none that can be used.
func (d *decoding) recordID(name string, id event.Scalar, key func() string) string {
	text := strings.TrimSpace(id.Text)
	if text != "" && len(text) <= maxID && event.Clean(text) == text {
		return event.ID(source, text, 0)
	}
	if text == "" && !id.Odd {
		d.odd(name + ": missing")
	} else {
		d.odd(name + ": unusable")
	}
	return event.ID(source, key(), 0)
}

// readEntity finds what was acted on.
func (d *auditing) readEntity(record []byte) {
	name := d.text("entity.type", d.Entity.Type)
	known, thing := d.Entity.known()
	if thing != nil {
		d.kind, d.object = known, *thing
		return
	}
	if name == "" && !bytes.Contains(record, []byte(`"entity"`)) {
		return
	}
	// A type of its own, or one that is written otherwise than the member: then the first member that is an object is it.
	var other struct {
		Entity map[string]json.RawMessage `json:"entity"`
	}
	// What is odd about the record is known.
	_ = json.Unmarshal(record, &other)
	raw := other.Entity[name]
	if len(raw) == 0 || raw[0] != '{' {
		for _, member := range slices.Sorted(maps.Keys(other.Entity)) {
			if value := other.Entity[member]; len(value) > 0 && value[0] == '{' {
				name, raw = cmp.Or(name, member), value
				break
			}
		}
	}
	if name == "" {
		if len(other.Entity) > 0 {
			d.odd("entity: neither type nor object")
		}
		return
	}
	d.kind = kindOf(name)
	_ = json.Unmarshal(raw, &d.object)
}

// kindOf is the first part of a resource's path for a type of entity. Slack's types are words_like_this.
func kindOf(name string) string {
	var word strings.Builder
	for i := 0; i < len(name) && word.Len() < 40; i++ {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_':
			word.WriteByte(c)
		case 'A' <= c && c <= 'Z':
			word.WriteByte(c + 'a' - 'A')
		default:
			word.WriteByte('_')
		}
	}
	if word.Len() == 0 {
		return "entity"
	}
	return word.String()
}

// resource is the entity; where there is none it is the app that the details name.
func (d *auditing) resource(app *curfewv1.App) *curfewv1.Resource {
	o := &d.object
	ids := []string{d.text("entity.id", o.ID)}
	if d.kind == "message" && ids[0] == "" {
		// A message has no id; its channel and its time name it.
		ids = []string{d.text("entity.channel", o.Channel), d.text("entity.timestamp", o.Timestamp)}
	}
	name := d.text("entity.name", o.label())
	if ids[0] == "" {
		// An entity without an id is named, if by anything, by its name.
		ids[0] = name
	}
	if d.kind == "" || ids[0] == "" {
		if app.GetId() != "" {
			return &curfewv1.Resource{Path: event.Path("app", app.GetId()), Kind: "app", Name: app.GetName()}
		}
		if d.kind == "" {
			return nil
		}
		return &curfewv1.Resource{Path: d.kind, Kind: d.kind}
	}
	return &curfewv1.Resource{
		Path: event.Path(d.kind, ids...), Kind: d.kind, Name: name, Visibility: d.text("entity.privacy", o.Privacy),
	}
}

// actor is who acted: of the memberships of another, who put them in or took them out.
func (d *auditing) actor() *curfewv1.Actor {
	a := &d.Actor
	if of, moves := memberships[d.action]; moves {
		by := d.details.Inviter.get().account()
		if of.removed {
			by = d.details.Kicker.get().account()
		}
		switch way := d.details.Way.Text; {
		case by.ID.Text != "":
			return d.account("details", "user", by.ID, by.Name, by.Email)
		case d.target() == "" && (way == "INVITED" || way == "KICKED"):
			d.odd("details: not said who did it")
			return nil
		}
	}
	return d.account("actor", a.Type.Text, first(a.User.ID, a.ID), first(a.User.Name, a.Name), first(a.User.Email, a.Email))
}

// account is an actor. Slack's documentation has entries by users alone; other types are not confirmed.
func (d *decoding) account(where, kind string, id, name, email event.Scalar) *curfewv1.Actor {
	actor := &curfewv1.Actor{Name: d.text(where+".name", name)}
	if strings.Contains(email.Text, "@") {
		actor.Email = d.text(where+".email", email)
	}
	actor.Id = cmp.Or(d.text(where+".id", id), actor.Email, actor.Name)
	switch {
	case actor.Id == "":
		return nil
	case actor.Id == slackbot:
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_SERVICE
	case kind == "app" || kind == "bot":
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_APP
	case kind == "user" || kind == "":
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_PERSON
	}
	return actor
}

// slackbot is the account by which Slack itself acts.
const slackbot = "USLACKBOT"

func (d *auditing) context() *curfewv1.Context {
	c := &d.Context
	context := &curfewv1.Context{
		Ip:        event.IP(c.IP.Text),
		UserAgent: d.text("context.ua", c.UserAgent),
		Session:   d.text("context.session_id", c.Session),
	}
	if c.IP.Odd || c.IP.Text != "" && context.Ip == "" {
		d.odd("context.ip_address: not an address")
	}
	if context.Ip == "" && context.UserAgent == "" && context.Session == "" {
		return nil
	}
	return context
}
