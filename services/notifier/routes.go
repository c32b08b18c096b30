// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// routing says where alerts go and why they do not. It keeps no state.
type routing struct {
	config.Alerts
	mode      func(source string) config.Mode
	receivers []string // in order
}

func newRouting(a config.Alerts, mode func(string) config.Mode, receivers []string) routing {
	if len(a.Routes) == 0 {
		a.Routes = []config.Route{{Name: "every alert", Receivers: receivers}}
	}
	if a.Escalate == nil {
		a.Escalate = []config.Escalation{{Severity: "critical", After: 15 * time.Minute}, {Severity: "high", After: time.Hour}}
	}
	a.Inhibit = append(config.OwnInhibitions(), a.Inhibit...)
	if a.Storm == 0 {
		a.Storm = 1000
	}
	if a.SilentAfter == 0 {
		a.SilentAfter = time.Hour
	}
	return routing{Alerts: a, mode: mode, receivers: receivers}
}

// places is where an alert goes and why, each receiver once.
func (r routing) places(a *curfewv1.Alert) []alert.Want {
	var wants []alert.Want
	add := func(reason string, receivers []string) {
		for _, name := range receivers {
			refuses := a.GetFinding().GetDetection() == receiverRefusing && a.GetEntity() == "receiver:"+name
			if !refuses && !slices.ContainsFunc(wants, func(w alert.Want) bool { return w.Receiver == name }) {
				wants = append(wants, alert.Want{Receiver: name, Reason: reason})
			}
		}
	}
	if isBlind(a.GetFinding()) {
		receivers := r.Heartbeat.Receivers
		if len(receivers) == 0 {
			receivers = r.receivers
		}
		add("heartbeat: Curfew watches itself", receivers)
	}
	for _, route := range r.Routes {
		if !fits(route, a) {
			continue
		}
		add("route: "+route.Name, route.Receivers)
		if route.Last {
			break
		}
	}
	for i, e := range r.escalations(a) {
		if i < int(a.GetEscalations()) {
			add(fmt.Sprintf("escalation: nobody took it on for %s", e.After), e.Receivers)
		}
	}
	return wants
}

func fits(r config.Route, a *curfewv1.Alert) bool {
	f := a.GetFinding()
	one := func(list []string, got string) bool { return len(list) == 0 || slices.Contains(list, got) }
	entity := len(r.Entities) == 0 || slices.ContainsFunc(r.Entities, func(want string) bool {
		beginning, open := strings.CutSuffix(want, "*")
		return want == a.GetEntity() || open && strings.HasPrefix(a.GetEntity(), beginning)
	})
	return int(a.GetSeverity()) >= config.Severity(r.Severity) && one(r.Detections, f.GetDetection()) &&
		one(r.Sources, f.GetEvent().GetSource()) && one(r.Classes, a.GetDataClass()) && entity
}

// escalations is what happens to an alert that nobody takes on, in order.
func (r routing) escalations(a *curfewv1.Alert) []config.Escalation {
	return slices.DeleteFunc(slices.Clone(r.Escalate), func(e config.Escalation) bool {
		return int(a.GetSeverity()) < config.Severity(e.Severity)
	})
}

// timed is an alert with when others are called for it: as long after people could first see it as the configuration says, or
// after it became so severe. None are for one that everybody is kept from, and once they may see it, time begins anew.
func (r routing) timed(a *curfewv1.Alert, now time.Time) *curfewv1.Alert {
	list, n := r.escalations(a), int(a.GetEscalations())
	if isHeld(a) || a.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN || n >= len(list) {
		if a.GetEscalateAt() != nil {
			a = proto.CloneOf(a)
			a.EscalateAt = nil
		}
		return a
	}
	wait := list[n].After
	if n > 0 {
		wait -= list[n-1].After
	}
	if at := now.Add(wait); a.GetEscalateAt() == nil || at.Before(a.GetEscalateAt().AsTime()) {
		return alert.EscalateAt(a, at)
	}
	return a
}

// isHeld is whether everybody is kept from an alert, or it goes to nobody.
func isHeld(a *curfewv1.Alert) bool {
	return !slices.ContainsFunc(a.GetDeliveries(), func(d *curfewv1.AlertDelivery) bool {
		return d.GetHold() == nil && d.GetEpisode() == a.GetEpisode()
	})
}

// around is what else bears on where an alert goes.
type around struct {
	now      time.Time
	silences []*curfewv1.Silence
	// better is an open alert that says what this one says and more; nil where none does.
	better func(*curfewv1.Alert) *curfewv1.Alert
}

// hold is why an alert is kept from people; nil = it is not.
func (r routing) hold(a *curfewv1.Alert, by around) *curfewv1.Hold {
	source := a.GetFinding().GetEvent().GetSource()
	if !isOwed(a.GetFinding()) && r.mode(source) != config.Alert {
		of := source
		if of == "" {
			of = "the whole"
		}
		return &curfewv1.Hold{Kind: curfewv1.HoldKind_HOLD_KIND_OBSERVE, By: source, Text: "the mode of " + of + " is observe: everything is recorded, nobody is alerted"}
	}
	if better := by.better(a); better != nil {
		return &curfewv1.Hold{
			Kind: curfewv1.HoldKind_HOLD_KIND_INHIBITED, By: better.GetId(),
			Text: fmt.Sprintf("alert %s (%s) says it better", short(better.GetId()), better.GetFinding().GetDetection()),
		}
	}
	for _, s := range by.silences {
		if alert.InForce(s, by.now) && alert.Covers(s.GetMatch(), a) {
			return &curfewv1.Hold{
				Kind: curfewv1.HoldKind_HOLD_KIND_SILENCE, By: s.GetId(), Until: s.GetUntil(),
				Text: fmt.Sprintf("silence %s of %s until %s: %s", s.GetId(), s.GetAuthor(), moment(s.GetUntil().AsTime()), orUnsaid(s.GetReason())),
			}
		}
	}
	for _, m := range r.Maintenance {
		if slices.Contains(m.Sources, source) && !by.now.Before(m.From) && by.now.Before(m.Until) {
			return &curfewv1.Hold{
				Kind: curfewv1.HoldKind_HOLD_KIND_MAINTENANCE, By: m.Name, Until: timestamppb.New(m.Until),
				Text: fmt.Sprintf("maintenance %s until %s", m.Name, moment(m.Until)),
			}
		}
	}
	return nil
}

// wants is where an alert should go at a moment, and what keeps it from there. What was kept back while its source was only
// observed goes out with the next finding and not by itself, or a change of mode would tell all of the past at once.
func (r routing) wants(a *curfewv1.Alert, by around, found bool) []alert.Want {
	wants, hold := r.places(a), r.hold(a, by)
	for i, w := range wants {
		wants[i].Hold = hold
		before := alert.Delivery(a, w.Receiver).GetHold()
		if !found && hold == nil && before.GetKind() == curfewv1.HoldKind_HOLD_KIND_OBSERVE {
			wants[i].Hold = before
		}
	}
	for _, d := range a.GetDeliveries() {
		if !slices.Contains(r.receivers, d.GetReceiver()) {
			wants = append(wants, alert.Want{Receiver: d.GetReceiver(), Reason: d.GetReason(), Hold: &curfewv1.Hold{
				Kind: curfewv1.HoldKind_HOLD_KIND_NO_RECEIVER, By: d.GetReceiver(), Text: "no receiver is called " + d.GetReceiver() + " any more",
			}})
		}
	}
	return wants
}

// key is what an inhibition compares of an alert; "" where it has none.
func key(same string, a *curfewv1.Alert) string {
	value := a.GetEntity()
	switch same {
	case "event":
		value = a.GetFinding().GetEvent().GetId()
	case "grant":
		value = a.GetFinding().GetGrantId()
	}
	if value == "" {
		return ""
	}
	return same + " " + value
}

// isOwed is whether a finding is about what Curfew itself owes, such as an end that is overdue: that is told in any mode, for
// somebody relies on it.
func isOwed(f *curfewv1.Finding) bool {
	return isBlind(f) || f.GetEvent() == nil && f.GetGrantId() != ""
}

func short(id string) string { return id[:min(8, len(id))] }
