// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxSkew is how far an event may be stamped ahead of its receipt before its time is not believed.
	maxSkew = 5 * time.Minute
	// maxText bounds each text of a decision, in bytes, so that a batch of decisions always fits the bus. What is longer
	// is cut and marked by a hash of the whole; the event holds it all.
	maxText = 512
)

// earliest is the time before which no SaaS wrote an audit log: what is stamped earlier is a clock's or a field's zero.
var earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Judge makes decisions. The same event, policies and pseudonym key give the same decision. It is immutable and safe
// for concurrent use.
type Judge struct {
	// Catalog says what each action is.
	Catalog *catalog.Catalog
	// Tenant is Casbin's dom.
	Tenant string
	// Pseudonyms is the key under which e-mails that belong to nobody known become tokens in records.
	Pseudonyms []byte
	// Policies returns the policy in force at a time, and when the first one came into force; a zero start means always.
	// For a time before the start it is that first policy, by which people and objects are named and nothing is judged.
	Policies func(time.Time) (policy *Policy, start time.Time)
}

// Decide judges one event by the policy in force at the event's own time. It always returns a decision; where none can
// be made the verdict is unknown, with the reason.
func (j *Judge) Decide(e *curfewv1.Event) *curfewv1.Decision {
	d := &curfewv1.Decision{
		EventId: e.GetId(), Time: e.GetTime(), Source: e.GetSource(), Feed: e.GetFeed(), Dom: j.Tenant,
		Act: e.GetAct(), Action: clip(scrub(e.GetAction())), Outcome: e.GetOutcome().GetStatus(), Verdict: curfewv1.Verdict_VERDICT_UNKNOWN,
	}
	at, why := placeTime(e)
	policy, start := j.Policies(at)
	if at.Before(start) && why == "" {
		why = "no policy was in force then: the first came into force at " + start.UTC().Format(time.RFC3339)
	}
	action, known := j.Catalog.Action(e.GetSource(), e.GetFeed(), e.GetAction())
	object := Object(e)
	subject := j.name(d, e, policy, action)
	d.Object = clip(j.pseudonymise(policy, object))
	d.Classes = policy.classes.of(e, object, action)
	if !at.Before(start) {
		d.PolicyDigest = policy.digest
	}
	switch {
	case why != "":
		d.Reason = why
	case !known || e.GetAct() == "":
		d.Reason = fmt.Sprintf("the catalogue does not know the action %q, so it cannot be said what was done", d.GetAction())
	default:
		j.ask(d, policy, request{sub: subject, dom: j.Tenant, obj: object, act: e.GetAct()})
	}
	return d
}

// Object is Casbin's obj of an event: "<source>/<resource path>".
func Object(e *curfewv1.Event) string {
	if e.GetResource().GetPath() == "" {
		return e.GetSource() + "/-"
	}
	return e.GetSource() + "/" + e.GetResource().GetPath()
}

// placeTime is when the event happened, or why that is unknown.
func placeTime(e *curfewv1.Event) (at time.Time, why string) {
	if e.GetTime() == nil {
		return e.GetReceived().AsTime(), "the record says no time that can be read"
	}
	at = e.GetTime().AsTime()
	if at.Before(earliest) {
		return e.GetReceived().AsTime(), "the record is stamped " + at.Format(time.RFC3339) + ", before there were such logs"
	}
	if at.After(e.GetReceived().AsTime().Add(maxSkew)) {
		return e.GetReceived().AsTime(), "the record is stamped " + at.Format(time.RFC3339) + ", more than five minutes after it was received"
	}
	return at, ""
}

// name sets the decision's subject and person and returns the subject to judge.
func (j *Judge) name(d *curfewv1.Decision, e *curfewv1.Event, policy *Policy, action catalog.Action) string {
	d.Subject = j.subject(e.GetSource(), e.GetActor(), policy)
	if action.App && (e.GetApp().GetId() != "" || e.GetApp().GetName() != "") {
		app := e.GetApp().GetId()
		if app == "" {
			app = "name=" + e.GetApp().GetName()
		}
		d.Person, d.Subject = d.Subject, "app:"+e.GetSource()+"/"+j.appID(app)
	}
	if d.Subject == "" {
		return "unknown:" + e.GetSource()
	}
	d.Subject, d.Person = clip(d.Subject), clip(d.Person)
	return d.Subject
}

func (j *Judge) subject(source string, actor *curfewv1.Actor, policy *Policy) string {
	if actor == nil {
		return ""
	}
	if person, known := policy.identities.person(source, actor); known {
		return "person:" + person
	}
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
	kind := actor.GetType()
	if kind == curfewv1.ActorType_ACTOR_TYPE_APP {
		return "app:" + source + "/" + j.appID(id)
	}
	if kind != curfewv1.ActorType_ACTOR_TYPE_SERVICE && (actor.GetId() == "" || !isOpaque(id)) {
		id = j.token(id) // a name, an e-mail or an address
	}
	id = event.Escape(id)
	switch kind {
	case curfewv1.ActorType_ACTOR_TYPE_SERVICE:
		if source == Self {
			return "service:" + id // Curfew's own callers are named as the policy names them
		}
		return "service:" + source + "/" + id
	case curfewv1.ActorType_ACTOR_TYPE_APP, curfewv1.ActorType_ACTOR_TYPE_PERSON, curfewv1.ActorType_ACTOR_TYPE_UNSPECIFIED:
	}
	return "unknown:" + source + "/" + id
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
	if person, known := policy.identities.byEmail(name); known {
		return "person:" + person
	}
	return j.token(name)
}

// token stands in records for a name, the same for the same name under the same key.
func (j *Judge) token(name string) string {
	mac := hmac.New(sha256.New, j.Pseudonyms)
	mac.Write([]byte(foldEmail(name)))
	return "~" + hex.EncodeToString(mac.Sum(nil)[:8])
}

// ask puts one question for each class, the most sensitive first, and takes the first no.
func (j *Judge) ask(d *curfewv1.Decision, policy *Policy, q request) {
	questions := d.Classes
	if !policy.enforcer.classed {
		questions = questions[:1]
	}
	for i, class := range questions {
		q.class = class
		allowed, row, err := policy.enforcer.enforce(q)
		if err != nil {
			d.Verdict, d.Row, d.Reason = curfewv1.Verdict_VERDICT_UNKNOWN, nil, clip(err.Error())
			return
		}
		if allowed && i > 0 {
			continue // the most sensitive class has set row and reason already
		}
		d.Row, d.Links = row, policy.links(q.sub, row)
		if allowed {
			d.Verdict, d.Reason = curfewv1.Verdict_VERDICT_ALLOWED, j.reasonAllowed(d, policy, class)
			continue
		}
		d.Verdict, d.Reason = curfewv1.Verdict_VERDICT_VIOLATION, j.reasonDenied(d, policy, class)
		if d.GetSubject() == "" {
			d.Verdict, d.Row, d.Links = curfewv1.Verdict_VERDICT_UNKNOWN, nil, nil
			d.Reason = fmt.Sprintf("the record names nobody, and not everybody may %s %s", q.act, class)
		}
		return
	}
}

func (j *Judge) reasonAllowed(d *curfewv1.Decision, policy *Policy, class string) string {
	if d.GetRow() == nil {
		return fmt.Sprintf("the policy allows %s of %s", d.GetAct(), class)
	}
	if class == catalog.Unclassified {
		return fmt.Sprintf("row %d allows it; what data the object holds is not known", d.GetRow().GetLine())
	}
	return fmt.Sprintf("row %d allows %s of %s (sensitivity %d)", d.GetRow().GetLine(), d.GetAct(), class, policy.classes.sensitivity(class))
}

func (j *Judge) reasonDenied(d *curfewv1.Decision, policy *Policy, class string) string {
	reason := fmt.Sprintf("no row allows %s of %s (sensitivity %d) to %s", d.GetAct(), class, policy.classes.sensitivity(class), orNobody(d.GetSubject()))
	if d.GetRow() != nil {
		reason = fmt.Sprintf("row %d denies %s of %s (sensitivity %d) to %s", d.GetRow().GetLine(), d.GetAct(), class, policy.classes.sensitivity(class), orNobody(d.GetSubject()))
	}
	if strings.HasPrefix(d.GetSubject(), "unknown:") {
		return reason + ", an account that belongs to nobody known"
	}
	return reason
}

func orNobody(subject string) string {
	if subject == "" {
		return "nobody"
	}
	return subject
}

// links is the way from the subject to the one whom the row names.
func (p *Policy) links(subject string, row *curfewv1.Row) []*curfewv1.Link {
	if row == nil {
		return nil
	}
	fields := strings.Split(row.GetText(), ", ")
	if len(fields) < 2 || fields[1] == subject {
		return nil
	}
	return p.enforcer.roles.path(subject, fields[1])
}

// clip bounds a text of a record.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	mark := "…" + event.Digest([]byte(text))[:16]
	return event.Clean(strings.ToValidUTF8(text[:maxText-len(mark)], "")) + mark
}

// Explain judges a question rather than an event, and returns besides every role the subject held and the rows that
// would have allowed it, had it held theirs.
func (j *Judge) Explain(subject, object, act string, classes []string, at time.Time) (*curfewv1.ExplainDecisionResponse, error) {
	policy, start := j.Policies(at)
	if at.Before(start) {
		return nil, fmt.Errorf("no policy was in force at %s: the first came into force at %s", at.UTC().Format(time.RFC3339), start.UTC().Format(time.RFC3339))
	}
	source, path, _ := strings.Cut(object, "/")
	kind, _, _ := strings.Cut(path, "/")
	if len(classes) == 0 {
		e := &curfewv1.Event{Source: source, Resource: &curfewv1.Resource{Path: path, Kind: kind}}
		classes = policy.classes.of(e, object, catalog.Action{})
	}
	for _, class := range classes {
		if _, known := policy.classes.byID[class]; !known {
			return nil, fmt.Errorf("class %q is not known", class)
		}
	}
	d := &curfewv1.Decision{
		Time: event.Timestamp(at), Source: source, Subject: subject, Dom: j.Tenant, Object: object, Act: act,
		Classes: classes, PolicyDigest: policy.digest,
	}
	j.ask(d, policy, request{sub: subject, dom: j.Tenant, obj: object, act: act})
	answer := &curfewv1.ExplainDecisionResponse{Decision: d}
	policy.enforcer.roles.walk(subject, func(link *curfewv1.Link, _ []*curfewv1.Link) bool {
		answer.Held = append(answer.Held, link)
		return true
	})
	if d.GetVerdict() == curfewv1.Verdict_VERDICT_VIOLATION {
		answer.WouldAllow = policy.wouldAllow(request{dom: j.Tenant, obj: object, act: act}, classes)
	}
	return answer, nil
}

// wouldAllow is the rows that allow it to whomever they name. It asks the same model with each row's own subject.
func (p *Policy) wouldAllow(q request, classes []string) []*curfewv1.Row {
	var rows []*curfewv1.Row
	for _, r := range p.rows {
		if r.kind != "p" {
			continue
		}
		q.sub = r.fields[0]
		all := !slices.ContainsFunc(classes, func(class string) bool {
			q.class = class
			allowed, row, err := p.enforcer.enforce(q)
			return err != nil || !allowed || row.GetLine() != uint32(r.line)
		})
		if all {
			rows = append(rows, r.message())
		}
	}
	return rows
}
