// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package github is all there is about GitHub: the entries of an organisation's or enterprise's audit log as events.
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

// entry is what is read of an audit log entry. Which fields an action has:
// https://docs.github.com/en/enterprise-cloud@latest/admin/monitoring-activity-in-your-enterprise/reviewing-audit-logs-for-your-enterprise/audit-log-events-for-your-enterprise.
type entry struct {
	DocumentID scalar `json:"_document_id"`
	Timestamp  scalar `json:"@timestamp"`
	CreatedAt  scalar `json:"created_at"`
	Action     scalar `json:"action"`

	Actor        scalar `json:"actor"`
	ActorID      scalar `json:"actor_id"`
	ActorIP      scalar `json:"actor_ip"`
	ActorIsBot   scalar `json:"actor_is_bot"`
	ActorIsAgent scalar `json:"actor_is_agent"`
	Location     struct {
		CountryCode scalar `json:"country_code"`
		CountryName scalar `json:"country_name"`
		IP          scalar `json:"ip"`
	} `json:"actor_location"`
	NameID    scalar `json:"external_identity_nameid"`
	UserAgent scalar `json:"user_agent"`

	Org        scalar `json:"org"`
	Repo       scalar `json:"repo"`
	Repository scalar `json:"repository"`
	Team       scalar `json:"team"`
	User       scalar `json:"user"`
	Business   scalar `json:"business"`
	Name       scalar `json:"name"`

	Visibility       scalar `json:"visibility"`
	PublicRepo       scalar `json:"public_repo"`
	RepositoryPublic scalar `json:"repository_public"`
	StatusCode       scalar `json:"status_code"`

	apps
	values

	// Data holds the fields of some events, in older logs of most.
	Data json.RawMessage `json:"data"`
}

// apps are the fields that name an application or a token.
type apps struct {
	Integration        scalar `json:"integration"`
	ApplicationClient  scalar `json:"application_client_id"`
	InstallationID     scalar `json:"installation_id"`
	OAuthApplicationID scalar `json:"oauth_application_id"`
	OAuthName          scalar `json:"oauth_application_name"`
	OAuthApplication   scalar `json:"oauth_application"`
	ApplicationName    scalar `json:"application_name"`
	ProgrammaticID     scalar `json:"user_programmatic_access_id"`
	ProgrammaticName   scalar `json:"user_programmatic_access_name"`
	TokenID            scalar `json:"token_id"`
	HashedToken        scalar `json:"hashed_token"`
	TokenScopes        scopes `json:"token_scopes"`
	Scopes             scopes `json:"scopes"`
	Permissions        scopes `json:"permissions"`
}

// values are the fields that say what was before and what is after.
type values struct {
	PreviousVisibility scalar `json:"previous_visibility"`
	Permission         scalar `json:"permission"`
	OldPermission      scalar `json:"old_permission"`
	OldRepoPermission  scalar `json:"old_repo_permission"`
	NewRepoPermission  scalar `json:"new_repo_permission"`
	OldRepoRole        scalar `json:"old_repo_base_role"`
	NewRepoRole        scalar `json:"new_repo_base_role"`
	Role               scalar `json:"organization_role_name"`
	OldName            scalar `json:"old_name"`
	OldUser            scalar `json:"old_user"`
	OldValue           scalar `json:"old_value"`
	NewValue           scalar `json:"new_value"`
	OldEnforcement     scalar `json:"ruleset_old_enforcement"`
	Enforcement        scalar `json:"ruleset_enforcement"`
	Key                scalar `json:"key"`
	Title              scalar `json:"title"`
	Branch             scalar `json:"branch"`
	Config             struct {
		URL scalar `json:"url"`
	} `json:"config"`
}

// decoding is one record on its way to an event.
type decoding struct {
	entry
	action   string
	oddities []string
}

// Decode turns an audit log entry into its one event. It is an event.Decode: the error, where there is one, is an
// *event.Unreadable, and it comes for records alone that are no JSON object.
func Decode(record []byte) ([]*curfewv1.Event, error) {
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
func (d *decoding) text(field string, s scalar) string {
	if s.odd {
		d.odd(field + ": no text, number or boolean")
	}
	clean := event.Clean(s.text)
	// All text here is valid UTF-8, so cleaning makes it no shorter in any other way.
	if len(clean) < len(s.text) {
		d.odd(field + ": longer than a field may be; cut")
	}
	return clean
}

// id is from _document_id, else from the whole content whatever its spacing and the order of its fields: parts alone
// would make one of two sparse records.
func (d *decoding) id(record []byte) string {
	id := strings.TrimSpace(d.DocumentID.text)
	if id != "" && len(id) <= maxDocumentID && event.Clean(id) == id {
		return event.ID(source, id, 0)
	}
	if id == "" && !d.DocumentID.odd {
		d.odd("_document_id: missing")
	} else {
		d.odd("_document_id: unusable")
	}
	var fields map[string]json.RawMessage
	// Decode has shown the record to be an object.
	_ = json.Unmarshal(record, &fields)
	parts := make([]string, 0, 2*len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var compact bytes.Buffer
		_ = json.Compact(&compact, fields[name])
		parts = append(parts, name, compact.String())
	}
	return event.ID(source, event.ContentKey(parts...), 0)
}

// when is @timestamp, or created_at where that cannot be read.
func (d *decoding) when() *timestamppb.Timestamp {
	said := false
	for _, field := range [...]struct {
		name  string
		value scalar
	}{{"@timestamp", d.Timestamp}, {"created_at", d.CreatedAt}} {
		if field.value.text == "" && !field.value.odd {
			continue
		}
		said = true
		if t := parseTime(field.value.text); t != nil {
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
	case d.ActorIsBot.text == "true" || d.ActorIsAgent.text == "true" || strings.HasSuffix(login, "[bot]"):
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
	ip := cmp.Or(d.ActorIP.text, d.Location.IP.text)
	c := &curfewv1.Context{
		Ip:        event.IP(ip),
		UserAgent: d.text("user_agent", d.UserAgent),
		Country:   event.Clean(cmp.Or(d.Location.CountryCode.text, d.Location.CountryName.text)),
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
	if code, err := strconv.Atoi(d.StatusCode.text); err == nil && d.action == "api.request" {
		failed, reason = code >= 400, d.StatusCode.text
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
	add := func(field string, before, after scalar) {
		if before.text != after.text {
			list = append(list, &curfewv1.Change{Field: field, Before: event.Clean(before.text), After: event.Clean(after.text)})
		}
	}
	none := scalar{}
	family, act, _ := strings.Cut(d.action, ".")
	given := strings.HasPrefix(act, "add_")
	taken := strings.HasPrefix(act, "remove_") || strings.HasPrefix(act, "cancel_") || act == "revoke"
	switch {
	case family == "user":
		// There the user is what was acted on.
	case taken:
		add("user", d.User, none)
	case given || d.User.text != d.Actor.text:
		// Who joined, or whom it is about.
		add("user", none, d.User)
	}
	switch {
	case family == "team" && act == "remove_repository":
		add("repo", d.Repo, none)
	case family == "team" && strings.Contains(act, "repository"):
		add("repo", none, d.Repo)
	}
	if d.PreviousVisibility.text != "" {
		add("visibility", d.PreviousVisibility, d.Visibility)
	}
	add("permission", cmp.Or(d.OldPermission, d.OldRepoPermission), cmp.Or(d.Permission, d.NewRepoPermission))
	add("base_role", d.OldRepoRole, d.NewRepoRole)
	add("organization_role_name", none, d.Role)
	if d.OldName.text != "" {
		add("name", d.OldName, cmp.Or(d.Name, d.Repo))
	}
	if owner, _, both := strings.Cut(d.Repo.text, "/"); both && d.OldUser.text != "" {
		add("owner", d.OldUser, scalar{text: owner})
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
	add("config.url", none, scalar{text: hookURL(d.Config.URL.text)})
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
