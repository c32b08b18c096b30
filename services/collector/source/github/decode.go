// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	source = "github"
	// feed is the one log read; Git events are part of it.
	feed = "audit_log"
	// maxDocumentID bounds a document id that is taken as it is; GitHub's have 22 to 24 characters.
	maxDocumentID = 128
)

// decoding is one record on its way to an event.
type decoding struct {
	entry
	action   string
	oddities []string
}

// Decode turns an audit log entry, or a webhook as Receive stored it, into its one event. It is an event.Decode: the
// error, where there is one, is an *event.Unreadable, and it comes for records alone that are no JSON object.
func Decode(record []byte) ([]*curfewv1.Event, error) {
	if bytes.HasPrefix(record, storedPrefix) {
		return DecodeWebhook(record)
	}
	var d decoding
	oddities, err := event.Unmarshal(record, &d.entry)
	if err != nil {
		return nil, err
	}
	d.oddities = oddities
	if len(d.Data) > 0 {
		d.readData(record)
	}
	d.action = d.text("action", d.Action)
	if d.action == "" {
		d.odd("action: missing")
	}
	if d.Org.several {
		d.odd("org: several; the first is taken")
	}
	decoded := &curfewv1.Event{
		Id:       d.id(record),
		Source:   source,
		Feed:     feed,
		Action:   d.action,
		Time:     d.when(),
		Actor:    d.actor(),
		App:      d.app(),
		Resource: d.resource(),
		Outcome:  d.outcome(),
		Context:  d.context(),
		Changes:  d.changes(),
		Links:    d.links(),
		Echo:     d.echo(),
	}
	decoded.Oddities = d.oddities
	return []*curfewv1.Event{decoded}, nil
}

// readData takes from data what the record itself does not say.
func (d *decoding) readData(record []byte) {
	if d.Data[0] != '{' {
		if d.Data[0] != 'n' {
			d.odd("data: no object")
		}
		return
	}
	// The record is read over its data: an empty field leaves what is there. Both are JSON, and what is odd about the
	// record is known.
	merged := entry{}
	_ = json.Unmarshal(d.Data, &merged)
	_ = json.Unmarshal(record, &merged)
	d.entry = merged
}

func (d *decoding) odd(oddity string) { d.oddities = append(d.oddities, oddity) }

// text is vendor text as it may stand in an event; what could not be kept is named.
func (d *decoding) text(field string, s event.Scalar) string {
	text, odd := clean(field, s)
	if odd != "" {
		d.odd(odd)
	}
	return text
}

// clean is vendor text as it may stand in an event, and what of it could not be kept.
func clean(field string, s event.Scalar) (text, odd string) {
	if s.Odd {
		return event.Clean(s.Text), field + ": no text, number or boolean"
	}
	text = event.Clean(s.Text)
	// All text here is valid UTF-8, so cleaning makes it no shorter in any other way.
	if len(text) < len(s.Text) {
		return text, field + ": longer than a field may be; cut"
	}
	return text, ""
}

// id is from _document_id, else from the whole content whatever its spacing and the order of its fields: parts alone
// would make one of two sparse records.
func (d *decoding) id(record []byte) string {
	id := strings.TrimSpace(d.DocumentID.Text)
	if id != "" && len(id) <= maxDocumentID && event.Clean(id) == id {
		return event.ID(source, id, 0)
	}
	if id == "" && !d.DocumentID.Odd {
		d.odd("_document_id: missing")
	} else {
		d.odd("_document_id: unusable")
	}
	return event.ID(source, contentKey(record), 0)
}

// contentKey is a hash over all fields of a JSON object, each as it is written but for its spacing.
func contentKey(record []byte) string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(record, &fields); err != nil {
		return event.ContentKey(string(record))
	}
	parts := make([]string, 0, 2*len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var compact bytes.Buffer
		// It has been read, so it can be.
		_ = json.Compact(&compact, fields[name])
		parts = append(parts, name, compact.String())
	}
	return event.ContentKey(parts...)
}

// when is @timestamp, or created_at where that cannot be read.
func (d *decoding) when() *timestamppb.Timestamp {
	said := false
	for _, field := range [...]struct {
		name  string
		value event.Scalar
	}{{"@timestamp", d.Timestamp}, {"created_at", d.CreatedAt}} {
		if field.value.Text == "" && !field.value.Odd {
			continue
		}
		said = true
		if t := parseTime(field.value.Text); t != nil {
			return t
		}
		d.odd(field.name + ": not a time")
	}
	if !said {
		d.odd("@timestamp: missing")
	}
	return nil
}

// parseTime reads epoch milliseconds, which is what GitHub writes, epoch seconds where the number can be nothing else,
// and RFC 3339.
func parseTime(text string) *timestamppb.Timestamp {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return event.ParseTime(text)
	}
	switch {
	case math.IsNaN(number) || math.Abs(number) > math.MaxInt64/2e6:
		return nil
	case number >= 1e9 && number < 1e10:
		// As milliseconds this is the first months of 1970, before GitHub; as seconds it is 2001 to 2286.
		number *= 1000
	}
	return event.Timestamp(time.UnixMicro(int64(math.Round(number * 1000))).UTC())
}

func (d *decoding) actor() *curfewv1.Actor {
	login := d.text("actor", d.Actor)
	id := cmp.Or(d.text("actor_id", d.ActorID), login)
	if id == "" {
		return nil
	}
	actor := &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: id, Name: login}
	switch {
	case d.ActorIsBot.Text == "true" || d.ActorIsAgent.Text == "true" || strings.HasSuffix(login, "[bot]"):
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_APP
	case login == "" || strings.ContainsAny(login, " \t"):
		// No login has a space: that is GitHub itself.
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_UNSPECIFIED
		if login != "" {
			actor.Type = curfewv1.ActorType_ACTOR_TYPE_SERVICE
		}
	}
	if nameID := d.text("external_identity_nameid", d.NameID); strings.Contains(nameID, "@") {
		actor.Email = nameID
	}
	return actor
}

func (d *decoding) context() *curfewv1.Context {
	ip := cmp.Or(d.ActorIP.Text, d.Location.IP.Text)
	c := &curfewv1.Context{
		Ip:        event.IP(ip),
		UserAgent: d.text("user_agent", d.UserAgent),
		Country:   event.Clean(cmp.Or(d.Location.CountryCode.Text, d.Location.CountryName.Text)),
	}
	if ip != "" && c.GetIp() == "" {
		d.odd("actor_ip: not an address")
	}
	if c.GetIp() == "" && c.GetUserAgent() == "" && c.GetCountry() == "" {
		return nil
	}
	return c
}

// outcome is how the act ended, where the record says.
func (d *decoding) outcome() *curfewv1.Outcome {
	_, act, _ := strings.Cut(d.action, ".")
	failed := strings.HasPrefix(act, "failed_") || strings.HasSuffix(act, "_failed") || strings.HasSuffix(act, "_failure") ||
		act == "failed" || act == "rejected_ref_update" || act == "proxy_security_header_unsatisfied"
	status := curfewv1.OutcomeStatus_OUTCOME_STATUS_UNSPECIFIED
	reason := ""
	if code, err := strconv.Atoi(d.StatusCode.Text); err == nil && d.action == "api.request" {
		failed, reason = code >= 400, d.StatusCode.Text
		status = curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS
	}
	switch {
	case failed:
		status = curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE
	case d.action == "user.login" || strings.HasSuffix(act, "_success"):
		status = curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS
	}
	if status == curfewv1.OutcomeStatus_OUTCOME_STATUS_UNSPECIFIED {
		return nil
	}
	return &curfewv1.Outcome{Status: status, Reason: reason}
}

// changes are the values that the act changed, as far as the record says.
func (d *decoding) changes() []*curfewv1.Change {
	var list []*curfewv1.Change
	add := func(field string, before, after event.Scalar) {
		if before.Text != after.Text {
			list = append(list, &curfewv1.Change{Field: field, Before: event.Clean(before.Text), After: event.Clean(after.Text)})
		}
	}
	none := event.Scalar{}
	family, act, _ := strings.Cut(d.action, ".")
	given := strings.HasPrefix(act, "add_")
	taken := strings.HasPrefix(act, "remove_") || strings.HasPrefix(act, "cancel_") || act == "revoke"
	switch {
	case family == "user":
		// There the user is what was acted on.
	case taken:
		add("user", d.User, none)
	case given || d.User.Text != d.Actor.Text:
		// Who joined, or whom it is about.
		add("user", none, d.User)
	}
	switch {
	case family == "team" && act == "remove_repository":
		add("repo", d.Repo, none)
	case family == "team" && strings.Contains(act, "repository"):
		add("repo", none, d.Repo)
	}
	if d.PreviousVisibility.Text != "" {
		add("visibility", d.PreviousVisibility, d.Visibility)
	}
	add("permission", cmp.Or(d.OldPermission, d.OldRepoPermission), cmp.Or(d.Permission, d.NewRepoPermission))
	add("base_role", d.OldRepoRole, d.NewRepoRole)
	add("organization_role_name", none, d.Role)
	if d.OldName.Text != "" {
		add("name", d.OldName, cmp.Or(d.Name, d.Repo))
	}
	if owner, _, both := strings.Cut(d.Repo.Text, "/"); both && d.OldUser.Text != "" {
		add("owner", d.OldUser, event.Scalar{Text: owner})
	}
	add("value", d.OldValue, d.NewValue)
	if act == "destroy" {
		add("ruleset_enforcement", d.Enforcement, none)
	} else {
		add("ruleset_enforcement", d.OldEnforcement, d.Enforcement)
	}
	if strings.HasSuffix(act, "_secret") || strings.HasSuffix(act, "_variable") || family == "public_key" {
		// The name of a secret or the public half of a key, never the secret.
		add("key", none, cmp.Or(d.Title, d.Key))
	}
	if family == "protected_branch" {
		add("branch", none, cmp.Or(d.Branch, d.Name))
	}
	add("config.url", none, event.Scalar{Text: hookURL(d.Config.URL.Text)})
	return list
}

// hookURL is where a hook sends to, without the parts that may hold a secret: with some receivers the path is one.
func hookURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}
