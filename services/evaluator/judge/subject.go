// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// asked is whose right is judged.
type asked struct {
	subject string
	doubt   string   // why that is not certain; "" where it is
	others  []string // with a doubt: other subjects that it may have been
}

// name sets the decision's subject and person and returns the subject to judge.
func (j *Judge) name(d *curfewv1.Decision, e *curfewv1.Event, policy *Policy, action catalog.Action, at time.Time) asked {
	who := j.subject(e.GetSource(), e.GetActor(), policy, at)
	d.Subject = clip(who.subject)
	if action.App && (e.GetApp().GetId() != "" || e.GetApp().GetName() != "") {
		app := e.GetApp().GetId()
		if app == "" {
			app = "name=" + e.GetApp().GetName()
		}
		who = asked{subject: "app:" + e.GetSource() + "/" + j.appID(app)}
		d.Person, d.Subject = d.GetSubject(), clip(who.subject)
	}
	if who.subject == "" {
		who.subject = "unknown:" + e.GetSource()
	}
	return who
}

func (j *Judge) subject(source string, actor *curfewv1.Actor, policy *Policy, at time.Time) asked {
	if actor == nil {
		return asked{}
	}
	if source == Self {
		return asked{subject: ownCaller(actor)}
	}
	kind := actor.GetType()
	o := policy.identities.owner(account{
		source: source, id: actor.GetId(), name: actor.GetName(), email: actor.GetEmail(),
		person: kind != curfewv1.ActorType_ACTOR_TYPE_APP && kind != curfewv1.ActorType_ACTOR_TYPE_SERVICE,
	}, temporal.Nanos(at), j.Known)
	who := asked{subject: "person:" + o.person, doubt: o.doubt}
	switch {
	case o.person == "":
		who.subject = j.nobody(source, actor)
	case o.doubt != "":
		who.others = []string{j.nobody(source, actor)}
	}
	for _, other := range o.others {
		who.others = append(who.others, "person:"+other)
	}
	return who
}

// ownCaller is the subject for a caller of Curfew's own API, by whom we wrote ourselves that it was: no identity of a vendor's
// account stands between, and a service has no "/" in its name as a vendor's has. What names nobody is nobody.
func ownCaller(actor *curfewv1.Actor) string {
	id := event.Escape(actor.GetId())
	switch kind := actor.GetType(); {
	case id == "":
		return ""
	case kind == curfewv1.ActorType_ACTOR_TYPE_PERSON:
		return "person:" + id
	case kind == curfewv1.ActorType_ACTOR_TYPE_SERVICE:
		return "service:" + id
	default:
		return ""
	}
}

// nobody is the subject for an actor that belongs to nobody known.
func (j *Judge) nobody(source string, actor *curfewv1.Actor) string {
	kind := actor.GetType()
	id := actor.GetId()
	if id == "" {
		id = actor.GetEmail()
	}
	if id == "" {
		id = actor.GetName()
	}
	if id == "" {
		return ""
	}
	switch {
	case kind == curfewv1.ActorType_ACTOR_TYPE_APP:
		return "app:" + source + "/" + j.appID(id)
	case kind == curfewv1.ActorType_ACTOR_TYPE_SERVICE:
		return "service:" + source + "/" + j.appID(id)
	case actor.GetId() == "" || !isOpaque(id):
		id = j.token(id) // a name, an e-mail or an address
	}
	return "unknown:" + source + "/" + event.Escape(id)
}

// appID is an app's id fit for a record. An e-mail is a person's, but for those that Google gives service accounts.
func (j *Judge) appID(id string) string {
	if strings.Contains(id, "@") && !strings.HasSuffix(id, ".gserviceaccount.com") {
		return j.token(id)
	}
	return event.Escape(id)
}

// isOpaque is whether an id tells nothing of whom it stands for: letters, digits and "._-", and no address.
func isOpaque(id string) bool {
	const opaque = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return event.IP(id) == "" && strings.Trim(id, opaque) == ""
}

// scrub takes out of a text of the vendor's what reads as an e-mail or an address.
func scrub(text string) string {
	words := strings.Fields(text)
	for i, word := range words {
		if strings.Contains(word, "@") || event.IP(strings.Trim(word, "()[],;\"'")) != "" {
			words[i] = "~"
		}
	}
	return strings.Join(words, " ")
}

// pseudonymise replaces each part of an object that reads as an e-mail.
func (j *Judge) pseudonymise(policy *Policy, object string) string {
	if !strings.Contains(object, "@") {
		return object
	}
	parts := strings.Split(object, "/")
	for i, part := range parts {
		parts[i] = j.pseudonym(policy, part)
	}
	return strings.Join(parts, "/")
}

// pseudonym is a name fit for a record: an e-mail becomes its person's id, or a keyed token where it is nobody's.
func (j *Judge) pseudonym(policy *Policy, name string) string {
	if !strings.Contains(name, "@") {
		return name
	}
	if person := policy.identities.byEmail(name); person != "" {
		return "person:" + person
	}
	return j.token(name)
}

// token stands in records for a name, the same for the same name under the same key.
func (j *Judge) token(name string) string {
	mac := hmac.New(sha256.New, j.Pseudonyms)
	mac.Write([]byte(temporal.FoldEmail(name)))
	return "~" + hex.EncodeToString(mac.Sum(nil)[:8])
}
