// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxParts bounds the changes and the scopes of one record; what is beyond it stands in the raw record.
const maxParts = 1000

// kind is the first part of a resource's path for a target's type. Okta lists no types; those with a case of their own
// are seen in records, the others become words_like_this.
func kind(targetType string) string {
	switch targetType {
	case "User":
		return "user"
	case "AppInstance", "PublicClientApp", "PublicClientAppEntity", "OAuth2Client", "OAuthClient", "ServiceApp":
		return "app"
	case "UserGroup", "Group":
		return "group"
	case "PolicyEntity", "Policy":
		return "policy"
	case "PolicyRule", "Rule", "PolicyRuleEntity":
		return "policy_rule"
	case "ROLE", "CUSTOM_ROLE", "Role":
		return "role"
	case "Token", "ApiToken", "API Token", "APIToken", "SSWS":
		return "token"
	case "NetworkZoneEntity", "NetworkZone", "Zone":
		return "zone"
	case "IdentityProvider", "IdentityProviderEntity":
		return "idp"
	case "OAuth2ClientSecretEntity":
		return "client_secret"
	case "MFA Factor":
		return "factor"
	case "":
		return "target"
	}
	var words strings.Builder
	name := strings.TrimSuffix(targetType, "Entity")
	for i := 0; i < len(name) && words.Len() < 40; i++ {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			words.WriteByte(c)
		case 'A' <= c && c <= 'Z':
			if i > 0 && 'a' <= name[i-1] && name[i-1] <= 'z' {
				words.WriteByte('_')
			}
			words.WriteByte(c + 'a' - 'A')
		default:
			words.WriteByte('_')
		}
	}
	if words.Len() == 0 {
		return "target"
	}
	return words.String()
}

// preferred is which kind of target is what a family of actions acts on, the first prefix that fits.
var preferred = []struct{ prefix, kind string }{
	{"user.authentication.", "app"},
	{"user.session.access_admin_app", "app"},
	{"user.", "user"},
	{"group.application_assignment.", "app"},
	{"group.", "group"},
	{"policy.evaluate_sign_on", "app"},
	{"policy.rule.", "policy_rule"},
	{"policy.", "policy"},
	{"iam.role.", "role"},
	{"system.api_token.", "token"},
	{"zone.", "zone"},
}

const (
	rankUser         = 6
	rankCircumstance = 7
	rankUnnamed      = 8
)

// rank orders kinds by how much they tell of what was acted on; 0 tells most.
func rank(kind, preferred string) int {
	switch kind {
	case preferred:
		return 0
	case "app":
		return 1
	case "group":
		return 2
	case "policy", "role", "token", "zone", "idp":
		return 3
	case "policy_rule":
		return 4
	case "user":
		return rankUser
	// Circumstances of an act rather than its object.
	case "consent_grant", "access_token", "id_token", "refresh_token", "authorization_code", "app_user",
		"authenticator_enrollment", "role_assigned", "url_pattern", "bucket_uuid", "target":
		return rankCircumstance
	}
	return 5
}

// resource is the most telling target; nil where none has a name.
func (d *decoding) resource(app *curfewv1.App) *curfewv1.Resource {
	at, tells := d.mostTelling()
	// Consents and tokens often name no target but the grants, the tokens and the person: then the app's access is it.
	if app.GetId() != "" && tells >= rankUser && d.isOAuth() {
		return &curfewv1.Resource{Path: event.Path("app", app.Id), Kind: "app", Name: app.Name}
	}
	if at < 0 {
		return nil
	}
	target := &d.Targets[at]
	of := kind(target.Type)
	key := target.key()
	d.text("target.id", key) // Names a cut: Path cuts as Clean does.
	return &curfewv1.Resource{Path: event.Path(of, key), Kind: of, Name: d.text("target.displayName", named(target.DisplayName))}
}

// mostTelling is the place of the most telling target, -1 for none, and its rank.
func (d *decoding) mostTelling() (at, tells int) {
	want := ""
	for _, family := range preferred {
		if strings.HasPrefix(d.EventType, family.prefix) {
			want = family.kind
			break
		}
	}
	at, tells = -1, rankUnnamed
	for i := range d.Targets {
		if d.Targets[i].key() == "" {
			continue
		}
		if r := rank(kind(d.Targets[i].Type), want); r < tells {
			at, tells = i, r
		}
	}
	return at, tells
}

func (d *decoding) isOAuth() bool {
	return strings.HasPrefix(d.EventType, "app.oauth2.") || strings.HasPrefix(d.EventType, "integration.api_service.")
}

// app is the application that acts, or that gets or loses access.
func (d *decoding) app() *curfewv1.App {
	app := &curfewv1.App{}
	if actorType(d.Actor.Type) == curfewv1.ActorType_ACTOR_TYPE_APP && named(d.Actor.ID) != "" {
		app.Id, app.Name = d.text("actor.id", d.Actor.ID), d.text("actor.displayName", named(d.Actor.DisplayName))
	}
	if d.isOAuth() {
		d.oauth(app)
	}
	if app.Id == "" && len(app.Scopes) == 0 {
		return nil
	}
	return app
}

// oauthDetail is what is read of the detailEntry of a target in an OAuth event. The keys are seen in records, in lower
// case there; encoding/json does not mind case.
type oauthDetail struct {
	PublicClientApp string          `json:"publicclientapp"`
	ClientID        string          `json:"clientid"`
	Scopes          json.RawMessage `json:"scopes"`
	Scope           json.RawMessage `json:"scope"`
}

// oauth adds to app what an OAuth event says of it.
func (d *decoding) oauth(app *curfewv1.App) {
	target := &curfewv1.App{}
	var scopes []string
	for i := range d.Targets {
		t := &d.Targets[i]
		var detail oauthDetail
		if t.Detail != nil {
			// The record is sound JSON, so only a field of another type can be in the way, and it stays empty.
			_ = json.Unmarshal(*t.Detail, &detail)
		}
		id := ""
		switch of := kind(t.Type); {
		case of == "app":
			id = named(t.ID)
			// The entity itself names the app better than another target's detail.
			if id != "" && target.Name == "" {
				target.Id, target.Name = id, named(t.DisplayName)
			}
		case of == "consent_grant" || strings.HasSuffix(of, "scope"):
			scopes = append(scopes, named(t.DisplayName))
		}
		for _, other := range []string{detail.PublicClientApp, detail.ClientID} {
			if target.Id == "" {
				target.Id = other
			}
		}
		scopes = append(append(scopes, scopeList(detail.Scopes)...), scopeList(detail.Scope)...)
	}
	// Whoever consents may be an app itself; the app consented to is then the target.
	if target.Id != "" && (app.Id == "" || strings.Contains(d.EventType, ".consent.")) {
		app.Id, app.Name = d.text("target.id", target.Id), d.text("target.displayName", target.Name)
	}
	if app.Id == "" {
		app.Id = d.text("debugData.clientId", named(d.Debug.Data.ClientID))
	}
	if app.Id == "" {
		app.Id = d.text("client.id", named(d.Client.ID))
	}
	data := &d.Debug.Data
	for _, list := range []json.RawMessage{data.GrantedScopes, data.Scopes, data.RequestedScopes} {
		// Requested ones count only where the record does not say which were granted.
		if len(scopes) == 0 {
			scopes = scopeList(list)
		}
	}
	app.Scopes = d.distinct(scopes)
}

// scopeList is the scopes of a JSON string, where spaces or commas separate them, or of a list of strings.
func scopeList(raw json.RawMessage) []string {
	if len(raw) == 0 {
		return nil
	}
	var list []string
	var text string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	if json.Unmarshal(raw, &text) != nil {
		return nil
	}
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,[]\t\r\n", r) })
}

func (d *decoding) distinct(scopes []string) []string {
	seen := make(map[string]bool, len(scopes))
	var distinct []string
	for _, scope := range scopes {
		scope = d.text("scopes", scope)
		if scope == "" || seen[scope] {
			continue
		}
		if len(distinct) == maxParts {
			d.odd(fmt.Sprintf("scopes: more than %d; the rest stands in the record", maxParts))
			break
		}
		seen[scope] = true
		distinct = append(distinct, scope)
	}
	return distinct
}

// changes is what the targets' changeDetails say, and for privileges and memberships what was given or taken.
func (d *decoding) changes() []*curfewv1.Change {
	var changes []*curfewv1.Change
	for i := range d.Targets {
		changes = append(changes, d.details(&d.Targets[i])...)
	}
	if granted := d.Debug.Data.PrivilegeGranted; granted != "" {
		changes = append(changes, &curfewv1.Change{Field: "privilegeGranted", After: d.text("debugData.privilegeGranted", granted)})
	}
	if revoked := d.Debug.Data.PrivilegeRevoked; revoked != "" {
		changes = append(changes, &curfewv1.Change{Field: "privilegeRevoked", Before: d.text("debugData.privilegeRevoked", revoked)})
	}
	if adds, removes := strings.HasSuffix(d.EventType, ".user_membership.add"), strings.HasSuffix(d.EventType, ".user_membership.remove"); adds || removes {
		for i := range d.Targets {
			if kind(d.Targets[i].Type) != "user" || d.Targets[i].key() == "" {
				continue
			}
			change := &curfewv1.Change{Field: "User"}
			if member := d.text("target.id", d.Targets[i].key()); adds {
				change.After = member
			} else {
				change.Before = member
			}
			changes = append(changes, change)
		}
	}
	if len(changes) > maxParts {
		d.odd(fmt.Sprintf("changeDetails: more than %d changes; the rest stands in the record", maxParts))
		changes = changes[:maxParts]
	}
	return changes
}

func (d *decoding) details(target *entity) []*curfewv1.Change {
	if target.Changes == nil {
		return nil
	}
	before, after := fields(target.Changes.From), fields(target.Changes.To)
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	var changes []*curfewv1.Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		change := &curfewv1.Change{
			Field:  d.text("changeDetails", name),
			Before: d.text("changeDetails.from", value(before[name])),
			After:  d.text("changeDetails.to", value(after[name])),
		}
		if change.Before != change.After {
			changes = append(changes, change)
		}
	}
	return changes
}

// fields is the members of a JSON object, or the value itself under the name Okta gives the whole.
func fields(raw json.RawMessage) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) == nil {
		return members
	}
	if len(raw) == 0 {
		return nil
	}
	return map[string]json.RawMessage{"changeDetails": raw}
}

// value is a JSON value as text: a string as what it says, null as nothing, the others as JSON.
func value(raw json.RawMessage) string {
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
