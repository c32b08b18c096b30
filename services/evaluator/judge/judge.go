// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

// Self is the source of the events that Curfew's own API calls are.
const Self = "curfew"

// ownObjects begins the object of a call about a grant of the caller's own. Only the API makes such calls, once it has seen
// whose the grant is: no row is needed, and none denies them.
const ownObjects = Self + "/api/own/"

const (
	// MaxSkew is how far an event may be stamped ahead of its receipt before its time is not believed.
	MaxSkew = 5 * time.Minute
	// maxText bounds each text of a decision, in bytes, so that a batch of decisions always fits the bus. What is longer
	// is cut and marked by a hash of the whole; the event holds it all.
	maxText = 512
)

// earliest is the time before which no SaaS wrote an audit log: what is stamped earlier is a clock's or a field's zero.
var earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Judge makes decisions. The same event, policies, links and pseudonym key give the same decision. It must not be copied
// once it is used, and is safe for concurrent use.
type Judge struct {
	// Tenant is Casbin's dom.
	Tenant string
	// Pseudonyms is the key under which e-mails that belong to nobody known become tokens in records.
	Pseudonyms []byte
	// Policies returns the policy in force at a time, and when the first one came into force; a zero start means always.
	// For a time before the start it is that first policy, by which people and objects are named and nothing is judged.
	Policies func(time.Time) (policy *Policy, start time.Time)
	// Known is the links between people, accounts, groups and roles, as far as they are known; nil = none are.
	Known *temporal.Known

	standings sync.Map // *Policy -> *standings
}

// moment is everybody's standing by a policy at a time.
func (j *Judge) moment(policy *Policy, at time.Time) moment {
	kept, known := j.standings.Load(policy)
	if !known {
		kept, _ = j.standings.LoadOrStore(policy, &standings{policy: policy, known: j.Known})
	}
	s, _ := kept.(*standings)
	return moment{s, temporal.Nanos(at)}
}

// Decide judges one event by the policy in force at the event's own time. It always returns a decision; where none can
// be made the verdict is unknown, with the reason.
func (j *Judge) Decide(e *curfewv1.Event) *curfewv1.Decision { return j.decide(e, moment.decide) }

// Confirm judges an event once more, Casbin looking at every row, and returns whether verdict and row are those of an
// earlier decision by the same judge. One that hangs on links that are not certain is not confirmed: it says nothing.
func (j *Judge) Confirm(e *curfewv1.Event, d *curfewv1.Decision) bool {
	again := j.decide(e, moment.scan)
	return d.GetVerdict() == curfewv1.Verdict_VERDICT_UNKNOWN ||
		again.GetVerdict() == d.GetVerdict() && again.GetRow().GetLine() == d.GetRow().GetLine()
}

// asker puts one question about a subject's standing.
type asker func(m moment, q enforcer.Request, s *standing) (enforcer.Answer, error)

func (m moment) decide(q enforcer.Request, s *standing) (enforcer.Answer, error) {
	return m.policy.enforcer.Decide(q, s.subject, m)
}

func (m moment) scan(q enforcer.Request, _ *standing) (a enforcer.Answer, err error) {
	a.Allowed, a.Row, err = m.policy.enforcer.Scan(q, m)
	return a, err
}

func (j *Judge) decide(e *curfewv1.Event, by asker) *curfewv1.Decision {
	d := &curfewv1.Decision{
		EventId: e.GetId(), Time: e.GetTime(), Source: e.GetSource(), Feed: e.GetFeed(), Dom: j.Tenant,
		Act: e.GetAct(), Action: clip(scrub(e.GetAction())), Outcome: e.GetOutcome().GetStatus(), Verdict: curfewv1.Verdict_VERDICT_UNKNOWN,
	}
	at, why := placeTime(e)
	policy, start := j.Policies(at)
	if at.Before(start) && why == "" {
		why = "no policy was in force then: the first came into force at " + start.UTC().Format(time.RFC3339)
	}
	action, known := policy.catalog.Action(e.GetSource(), e.GetFeed(), e.GetAction())
	if action.Act != "" {
		d.Act = action.Act // the policy's own catalogue comes before the collector's
	}
	object := Object(e)
	who := j.name(d, e, policy, action, at)
	d.Object = clip(j.pseudonymise(policy, object))
	d.Classes = policy.classes.of(e, object, action)
	if !at.Before(start) {
		d.PolicyDigest = policy.digest
	}
	switch {
	case why != "":
		d.Reason = why
	case !known || d.GetAct() == "":
		d.Reason = fmt.Sprintf("the catalogue does not know the action %q, so it cannot be said what was done", d.GetAction())
	case e.GetSource() == Self && strings.HasPrefix(object, ownObjects):
		d.Verdict, d.Reason = curfewv1.Verdict_VERDICT_ALLOWED, "whoever holds or asked for a grant may see it and end it, whatever the rows say"
	default:
		j.ask(d, j.moment(policy, at), by, enforcer.Request{Sub: who.subject, Dom: j.Tenant, Obj: object, Act: d.GetAct()})
	}
	if who.doubt != "" && d.GetVerdict() != curfewv1.Verdict_VERDICT_UNKNOWN && j.hangsOn(who, d, policy, at, object) {
		d.Verdict, d.Row, d.Links, d.GrantId, d.Reason = curfewv1.Verdict_VERDICT_UNKNOWN, nil, nil, "", clip(who.doubt)
	}
	return d
}

// hangsOn is whether the verdict could be another, had the account been another's of those it may have been.
func (j *Judge) hangsOn(who asked, d *curfewv1.Decision, policy *Policy, at time.Time, object string) bool {
	if d.GetVerdict() == curfewv1.Verdict_VERDICT_VIOLATION {
		return true // there may be somebody who had the right
	}
	for _, other := range who.others {
		again := &curfewv1.Decision{Subject: other, Dom: d.GetDom(), Object: d.GetObject(), Classes: d.GetClasses(), Act: d.GetAct()}
		j.ask(again, j.moment(policy, at), moment.decide, enforcer.Request{Sub: other, Dom: j.Tenant, Obj: object, Act: d.GetAct()})
		if again.GetVerdict() != d.GetVerdict() {
			return true
		}
	}
	return false
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
	if at.After(e.GetReceived().AsTime().Add(MaxSkew)) {
		return e.GetReceived().AsTime(), "the record is stamped " + at.Format(time.RFC3339) + ", more than five minutes after it was received"
	}
	return at, ""
}

// IsPlaced is whether it can be believed when the event happened.
func IsPlaced(e *curfewv1.Event) bool {
	_, why := placeTime(e)
	return why == ""
}

// ask puts one question for each class, the most sensitive first, and takes the first that is not a yes.
func (j *Judge) ask(d *curfewv1.Decision, m moment, by asker, q enforcer.Request) {
	policy := m.policy
	questions := d.Classes
	if !policy.enforcer.Classed() {
		questions = questions[:1]
	}
	s := m.of(q.Sub, q.Dom)
	for i, class := range questions {
		q.Class = class
		answer, err := by(m, q, s)
		switch {
		case err != nil:
			d.Verdict, d.Row, d.Links, d.Reason = curfewv1.Verdict_VERDICT_UNKNOWN, nil, nil, clip(err.Error())
			return
		case len(answer.Open) > 0:
			j.setOpen(d, s.holding, policy, answer)
			return
		case answer.Allowed && i > 0:
			continue // the most sensitive class has set row and reason already
		}
		j.setRow(d, s.holding, policy, answer.Row)
		if answer.Allowed {
			d.Verdict, d.Reason = curfewv1.Verdict_VERDICT_ALLOWED, j.reasonAllowed(d, policy, class)
			continue
		}
		d.Verdict, d.Reason = curfewv1.Verdict_VERDICT_VIOLATION, j.reasonDenied(d, policy, class)
		if d.GetSubject() == "" {
			d.Verdict, d.Row, d.Links = curfewv1.Verdict_VERDICT_UNKNOWN, nil, nil
			d.Reason = fmt.Sprintf("the record names nobody, and not everybody may %s %s", q.Act, class)
		}
		return
	}
}

// setRow sets the row that decided and the way from the subject to the one whom it names.
func (j *Judge) setRow(d *curfewv1.Decision, holding *temporal.Holding, policy *Policy, number int) {
	d.Row, d.Links, d.GrantId = nil, nil, ""
	if number < 0 {
		return
	}
	d.Row = policy.rows[number].message()
	d.Links = j.way(holding, policy, number)
	for _, link := range d.GetLinks() {
		if id := temporal.GrantID(link.GetOrigin()); id != "" {
			d.GrantId = id
		}
	}
}

// way is the links from a subject to the one whom a row names, fit for a record.
func (j *Judge) way(holding *temporal.Holding, policy *Policy, number int) []*curfewv1.Link {
	column := slices.Index(policy.enforcer.Columns(), "sub")
	if column < 0 {
		return nil
	}
	way := holding.Way(policy.rows[number].fields[column])
	for _, link := range way {
		link.Holder, link.Held = clip(j.pseudonymise(policy, link.GetHolder())), clip(j.pseudonymise(policy, link.GetHeld()))
	}
	return way
}

// setOpen makes the verdict unknown, since links that are not certain would turn it.
func (j *Judge) setOpen(d *curfewv1.Decision, holding *temporal.Holding, policy *Policy, answer enforcer.Answer) {
	j.setRow(d, holding, policy, answer.Open[0])
	d.Verdict, d.Row = curfewv1.Verdict_VERDICT_UNKNOWN, nil
	without := "a violation"
	if answer.Allowed {
		without = "allowed"
	}
	d.Reason = fmt.Sprintf("it is %s without, and not with, what %s may have held then", without, orNobody(d.GetSubject()))
	for _, link := range d.GetLinks() {
		if link.GetUncertain() {
			d.Reason = fmt.Sprintf("whether %s held %s then is not certain (%s), and the verdict hangs on it", link.GetHolder(), link.GetHeld(), link.GetOrigin())
			break
		}
	}
	d.Reason = clip(d.Reason)
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

// clip bounds a text of a record.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	mark := "…" + event.Digest([]byte(text))[:16]
	return event.Clean(strings.ToValidUTF8(text[:maxText-len(mark)], "")) + mark
}

// Placed is where in time a decision is looked for: at its event's time, or where that is unknown or not to be believed at
// its receipt.
func Placed(at, received *timestamppb.Timestamp) *timestamppb.Timestamp {
	if at == nil || at.AsTime().Before(earliest) || at.AsTime().After(received.AsTime().Add(MaxSkew)) {
		return received
	}
	return at
}

// Evaluate decides one event and asks every detection about it.
func (j *Judge) Evaluate(e *curfewv1.Event) (*curfewv1.Decision, []*curfewv1.Finding) {
	d := j.Decide(e)
	if d.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION {
		return d, nil
	}
	return d, detection.Ask(detection.Input{Event: e, Decision: d, Sensitivity: j.Sensitivity(d)})
}

// Sensitivity is that of the most sensitive class of a decision, by the policy of its time: 0 to 5.
func (j *Judge) Sensitivity(d *curfewv1.Decision) int {
	policy, _ := j.Policies(d.GetTime().AsTime())
	return policy.Sensitivity(d)
}

// Sensitivity is that of the most sensitive class of a decision, 0 to 5.
func (p *Policy) Sensitivity(d *curfewv1.Decision) int {
	most := 0
	for _, class := range d.GetClasses() {
		most = max(most, p.classes.sensitivity(class))
	}
	return most
}
