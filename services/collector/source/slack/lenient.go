// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxTexts and maxTextBytes bound a list of texts, and the changes of an event: it has to fit the bus whatever its record
// holds.
const (
	maxTexts     = 1000
	maxTextBytes = 64 << 10
)

// texts is a list of texts in any of the forms in which Slack writes one: a list of texts, a list of objects that have a
// name or an id, or one text with commas or spaces between them.
type texts struct {
	list []string
	// cut is set where there were more than can be kept.
	cut bool
}

// UnmarshalJSON never fails, as an event.Scalar's: an error would end the reading of the whole record.
func (t *texts) UnmarshalJSON(value []byte) error {
	if len(value) == 0 {
		return nil
	}
	*t = texts{}
	size := 0
	add := func(text string) {
		if text == "" || t.cut {
			return
		}
		text = event.Clean(text)
		if size += len(text); size > maxTextBytes || len(t.list) == maxTexts {
			t.cut = true
			return
		}
		t.list = append(t.list, text)
	}
	switch value[0] {
	case '"':
		var text string
		_ = json.Unmarshal(value, &text)
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
			add(word)
		}
	case '[':
		var list []named
		_ = json.Unmarshal(value, &list)
		for i := range list {
			add(list[i].text)
		}
	}
	return nil
}

// named is a text, or an object's name or id.
type named struct{ text string }

// UnmarshalJSON never fails, as an event.Scalar's.
func (n *named) UnmarshalJSON(value []byte) error {
	var text, id event.Scalar
	if len(value) > 0 && value[0] == '{' {
		_ = json.Unmarshal(value, &struct {
			Name *event.Scalar `json:"name"`
			ID   *event.Scalar `json:"id"`
		}{&text, &id})
	} else {
		_ = text.UnmarshalJSON(value)
	}
	n.text = first(text, id).Text
	return nil
}

// joined is the list as one text.
func (t *texts) joined() string { return strings.Join(t.list, ",") }

// object is what an entry of the audit log is about. A thing of one type has some of these members.
type object struct {
	ID    event.Scalar `json:"id"`
	Name  event.Scalar `json:"name"`
	Title event.Scalar `json:"title"`
	// Of a workspace or an organisation.
	Domain event.Scalar `json:"domain"`
	// Of a channel.
	Privacy event.Scalar `json:"privacy"`
	// Of a message, which has no id.
	Channel   event.Scalar `json:"channel"`
	Timestamp event.Scalar `json:"timestamp"`
	// Of an app, or of a workflow that belongs to one.
	Scopes    texts        `json:"scopes"`
	ScopesBot texts        `json:"scopes_bot"`
	AppID     event.Scalar `json:"app_id"`
}

// label is the name that people see.
func (o *object) label() event.Scalar { return first(o.Title, o.Name, o.Domain) }

// thing is anything that Slack names: an object with an id and what else may stand in it, or the id alone.
type thing struct{ members }

// members are a thing's. They are a type of their own so that encoding/json can read them within thing.UnmarshalJSON.
type members struct {
	ID       event.Scalar `json:"id"`
	Name     event.Scalar `json:"name"`
	RealName event.Scalar `json:"real_name"`
	Handle   event.Scalar `json:"handle"`
	Email    event.Scalar `json:"email"`
	Title    event.Scalar `json:"title"`
	Profile  struct {
		Email    event.Scalar `json:"email"`
		RealName event.Scalar `json:"real_name"`
	} `json:"profile"`
	IsBot     event.Scalar `json:"is_bot"`
	IsPrivate event.Scalar `json:"is_private"`
	// To which app it belongs.
	AppID event.Scalar `json:"app_id"`
	// Who made and changed it.
	Creator   event.Scalar `json:"creator"`
	CreatedBy event.Scalar `json:"created_by"`
	UpdatedBy event.Scalar `json:"updated_by"`

	// Whose members they are, where that is written one level down.
	User *account `json:"user"`
}

// UnmarshalJSON never fails, as an event.Scalar's.
func (t *thing) UnmarshalJSON(value []byte) error {
	if len(value) == 0 {
		return nil
	}
	if value[0] != '{' {
		return t.ID.UnmarshalJSON(value)
	}
	// The record has been shown to be JSON: a field of another type alone can be wrong, and stays empty.
	_ = json.Unmarshal(value, &t.members)
	return nil
}

// get is the members of a thing that may not be there.
func (t *thing) get() *members {
	if t == nil {
		return &members{}
	}
	return &t.members
}

// person is the name of an account, email its address.
func (m *members) person() event.Scalar { return first(m.Name, m.RealName, m.Profile.RealName) }
func (m *members) email() event.Scalar  { return first(m.Email, m.Profile.Email) }

// privacy is that of a channel that says only whether it is private.
func (m *members) privacy() event.Scalar {
	if m.IsPrivate.Text == "true" {
		return event.Scalar{Text: "private"}
	}
	return event.Scalar{}
}

// account is a person, who may stand one level down; who is the id.
func (m *members) account() account {
	if m.User != nil && m.User.ID.Text != "" {
		return *m.User
	}
	return account{m.ID, m.person(), m.email()}
}
func (m *members) who() string { return m.account().ID.Text }

// first is the first scalar that has text.
func first(scalars ...event.Scalar) event.Scalar {
	for _, s := range scalars {
		if s.Text != "" {
			return s
		}
	}
	return event.Scalar{}
}

// plain is a JSON value as text: a string as what it says, null as nothing, the others as JSON.
func plain(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		return text
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil {
		return ""
	}
	return strings.ToValidUTF8(compact.String(), "\uFFFD")
}

// parseTime reads a time as Slack writes it: seconds since 1970, with a fraction or without, as a number or as text. Some
// events leave the point of the fraction out, and some details count in micro- or milliseconds; what was meant follows
// from the number's size, since as seconds these are times in thousands of years.
func parseTime(text string) *timestamppb.Timestamp {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return event.ParseTime(text)
	}
	switch size := math.Abs(number); {
	case math.IsNaN(number) || size >= 1e17:
		return nil
	case size >= 1e14:
	case size >= 1e11:
		number *= 1e3
	default:
		number *= 1e6
	}
	return event.Timestamp(time.UnixMicro(int64(math.Round(number))).UTC())
}

// decoding is what every decoder here needs.
type decoding struct {
	oddities []string
	changed  []*curfewv1.Change
	size     int
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

// when is the first of the scalars that says a time.
func (d *decoding) when(fields ...field) *timestamppb.Timestamp {
	said := false
	for _, f := range fields {
		if f.value.Text == "" && !f.value.Odd {
			continue
		}
		said = true
		if t := parseTime(f.value.Text); t != nil {
			return t
		}
		d.odd(f.name + ": not a time")
	}
	if !said {
		d.odd(fields[0].name + ": missing")
	}
	return nil
}

// field is a scalar and its name in the record.
type field struct {
	name  string
	value event.Scalar
}

// change notes a value that the act changed; one that did not change is none.
func (d *decoding) change(name, before, after string) {
	before, after = event.Clean(before), event.Clean(after)
	if before == after {
		return
	}
	if d.size += len(name) + len(before) + len(after); d.size > maxTextBytes || len(d.changed) == maxTexts {
		d.size = maxTextBytes
		if last := "changes: more than can be kept; the rest stands in the record"; len(d.oddities) == 0 || d.oddities[len(d.oddities)-1] != last {
			d.odd(last)
		}
		return
	}
	d.changed = append(d.changed, &curfewv1.Change{Field: name, Before: before, After: after})
}

// changeLists notes each item that one of two lists has and the other does not.
func (d *decoding) changeLists(name string, gone, come []string) {
	for _, item := range gone {
		d.change(name, item, "")
	}
	for _, item := range come {
		d.change(name, "", item)
	}
}

// whole notes that one of the lists holds not all that the record does.
func (d *decoding) whole(name string, lists ...texts) {
	if slices.ContainsFunc(lists, func(t texts) bool { return t.cut }) {
		d.odd(name + ": more than can be kept; the rest stands in the record")
	}
}

// contentKey is the key of a record that has none: what it says, whatever its spacing and the order of its fields, but
// for the fields named.
func contentKey(feed string, record []byte, but ...string) string {
	var values map[string]json.RawMessage
	// The record has been shown to be an object.
	_ = json.Unmarshal(record, &values)
	for _, name := range but {
		delete(values, name)
	}
	parts := []string{source, feed}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		var compact bytes.Buffer
		_ = json.Compact(&compact, values[name])
		parts = append(parts, name, compact.String())
	}
	return event.ContentKey(parts...)
}
