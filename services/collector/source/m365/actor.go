// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"cmp"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// identity is one of the names that a record of Entra ID gives its actor or its target.
type identity struct {
	ID   event.Scalar `json:"ID"`
	Type event.Scalar `json:"Type"`
}

// party is an actor or a target of a record of Entra ID, of all its names.
type party struct {
	// kind is Microsoft's word, such as "User", "Group" or "ServicePrincipal"; id is the object id.
	kind, id string
	// upn is a person's login, name a display name, app an application's client id.
	upn, name, app string
}

// partyOf puts the names together. The types are 0 claim, 1 name, 2 other, 3 PUID, 4 SPN, 5 UPN; that an object id comes
// as "<Kind>_<id>", and a client id before it, is seen in records and not confirmed.
func partyOf(names []identity) party {
	var p party
	var others []string
	for i := range names {
		id := named(names[i].ID.Text)
		if id == "" {
			continue
		}
		switch names[i].Type.Text {
		case "5", "UPN":
			p.upn = cmp.Or(p.upn, id)
		case "1", "Name":
			p.name = cmp.Or(p.name, id)
		case "4", "SPN":
			client, _, _ := strings.Cut(id, ";")
			if isGUID(client) {
				p.app = cmp.Or(p.app, client)
			}
		case "3", "PUID":
		case "0", "Claim":
			p.id = cmp.Or(p.id, id)
		default:
			kind, of, found := strings.Cut(id, "_")
			if found && of != "" && isWord(kind) && kind[0] <= 'Z' {
				p.kind, p.id = kind, of
				continue
			}
			others = append(others, id)
		}
	}
	for _, other := range others {
		switch {
		case other == p.id || isWord(other):
		case p.id == "":
			p.id = other
		case p.kind == "ServicePrincipal" || p.kind == "Application":
			p.app = cmp.Or(p.app, other)
		}
	}
	return p
}

// isWord is whether text is one word of letters, as a kind is.
func isWord(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// client is the application that was used; nil where the record names none.
func (d *decoding) client() *curfewv1.App {
	id, name := named(d.AppAccess.ClientAppID.Text), named(d.AppAccess.ClientAppName.Text)
	for _, other := range [...]string{d.ApplicationID.Text, d.AppID.Text, d.ClientAppID.Text} {
		id = cmp.Or(id, named(other))
	}
	if name == "" && (id == "" || id == d.ApplicationID.Text) {
		name = named(d.ApplicationName.Text)
	}
	return newApp(d.clean("ApplicationId", id), d.clean("ApplicationDisplayName", name))
}

// newApp is the app of an id, or of a name where the record has no id; nil where it has neither.
func newApp(id, name string) *curfewv1.App {
	if id == "" && name == "" {
		return nil
	}
	return &curfewv1.App{Id: id, Name: name}
}

// actor is who acted.
func (d *decoding) actor(client *curfewv1.App) *curfewv1.Actor {
	user, p := named(d.UserID.Text), partyOf(d.Actor)
	kind := d.actorType(user, &p)
	actor := &curfewv1.Actor{Type: kind, Name: d.clean("Actor", cmp.Or(named(d.DisplayName.Text), p.name))}
	if kind == curfewv1.ActorType_ACTOR_TYPE_APP {
		own := strings.TrimPrefix(user, "ServicePrincipal_")
		if own == appOnly {
			own = ""
		}
		// The client id is what every other log knows an app by.
		actor.Id = d.clean("UserId", cmp.Or(p.app, client.GetId(), p.id, own, appKey(d.UserKey.Text), user))
		actor.Name = cmp.Or(actor.Name, client.GetName())
		return actor
	}
	user = cmp.Or(user, p.upn)
	actor.Id = d.clean("UserId", cmp.Or(d.stableID(&p), user, p.name, d.keyAlone()))
	switch {
	case actor.Id == "" || user == "anonymous":
		return nil
	case isLogin(user):
		actor.Email = d.clean("UserId", user)
	case actor.Name == "" && user != actor.Id:
		actor.Name = d.clean("UserId", user)
	}
	return actor
}

const (
	// appOnly is the user of what an app does in SharePoint in its own name.
	appOnly = "app@sharepoint"
	// dlpAgent is the UserKey of every record of data loss prevention.
	dlpAgent = "DlpAgent"
)

// actorType is what kind of subject acted: by the name where that tells, else by Microsoft's own word.
func (d *decoding) actorType(user string, p *party) curfewv1.ActorType {
	switch {
	case strings.HasPrefix(user, "ServicePrincipal_") || user == appOnly || p.kind == "ServicePrincipal" && p.upn == "":
		return curfewv1.ActorType_ACTOR_TYPE_APP
	case strings.HasPrefix(user, `NT AUTHORITY\`) || strings.HasPrefix(user, `NT SERVICE\`) || strings.HasPrefix(user, `SHAREPOINT\`),
		user == "SecurityComplianceAlerts", user == dlpAgent, user == "S-1-5-18":
		return curfewv1.ActorType_ACTOR_TYPE_SERVICE
	case strings.HasPrefix(user, "urn:"):
		// A guest or a stranger, of whom a hash alone is known.
		return curfewv1.ActorType_ACTOR_TYPE_UNSPECIFIED
	}
	// https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema#user-type
	switch d.UserType.Text {
	case "5", "6", "Application", "ServicePrincipal":
		return curfewv1.ActorType_ACTOR_TYPE_APP
	case "3", "4", "7", "8", "DcAdmin", "DCAdmin", "System", "CustomPolicy", "SystemPolicy":
		return curfewv1.ActorType_ACTOR_TYPE_SERVICE
	case "0", "2", "9", "10", "Regular", "Admin", "PartnerTechnician", "Guest":
		return curfewv1.ActorType_ACTOR_TYPE_PERSON
	}
	if isLogin(user) {
		return curfewv1.ActorType_ACTOR_TYPE_PERSON
	}
	return curfewv1.ActorType_ACTOR_TYPE_UNSPECIFIED
}

// stableID is the object id of the account, "" where the record does not say it. What else UserKey may hold, a PUID, is
// not what any other API of Microsoft's knows the account by.
func (d *decoding) stableID(p *party) string {
	if p.id != "" {
		return p.id
	}
	for _, id := range [...]string{d.TokenObjectID.Text, d.UserKey.Text} {
		if id != zeroGUID && isGUID(id) {
			return id
		}
	}
	return ""
}

// keyAlone is UserKey where the record has no other name.
func (d *decoding) keyAlone() string {
	if key := named(d.UserKey.Text); key != dlpAgent {
		return key
	}
	return ""
}

// appKey is the client id in a UserKey such as "i:0i.t|00000003-0000-0ff1-ce00-000000000000|app@sharepoint".
func appKey(key string) string {
	for part := range strings.SplitSeq(key, "|") {
		if isGUID(part) && part != zeroGUID {
			return part
		}
	}
	return ""
}

// isLogin is whether a name reads as an e-mail or a login that does.
func isLogin(name string) bool {
	at := strings.LastIndexByte(name, '@')
	return at > 0 && at < len(name)-1 && !strings.ContainsAny(name, " \\|<>") && !strings.HasPrefix(name, "urn:")
}
