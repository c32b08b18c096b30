// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ownSource is the source of what Curfew itself did, which nobody configures.
const ownSource = "curfew"

// minSilent is the least of Alerts.SilentAfter: sources are asked every few seconds up to every minute.
const minSilent = time.Minute

// names are what a part of the file may name: what there is.
type names struct{ receivers, sources []string }

// Detections calls visit with each detection that the alerts name and its place in the file, until it returns an error,
// which it returns. Which detections there are the configuration does not know.
func (a Alerts) Detections(visit func(where, detection string) error) error {
	each := func(where string, list ...string) error {
		for _, detection := range list {
			if err := visit("alerts."+where, detection); err != nil {
				return err
			}
		}
		return nil
	}
	for i, r := range a.Routes {
		if err := each(fmt.Sprintf("routes[%d].detections", i), r.Detections...); err != nil {
			return err
		}
	}
	for i, in := range a.Inhibit {
		where := fmt.Sprintf("inhibit[%d].", i)
		if err := each(where+"detection", in.Detection); err != nil {
			return err
		}
		if err := each(where+"hides", in.Hides...); err != nil {
			return err
		}
	}
	return nil
}

func (a Alerts) check(known names) error {
	if err := cmp.Or(a.checkRoutes(known), a.checkEscalations(known), a.checkInhibitions(), a.checkMaintenance(known)); err != nil {
		return err
	}
	switch {
	case a.Storm < 0 || a.Storm > 0 && a.Storm < 50:
		return fmt.Errorf("alerts.storm: %d is too few; fewer than 50 alerts fit one message", a.Storm)
	case a.SilentAfter != 0 && a.SilentAfter < minSilent:
		return fmt.Errorf("alerts.silent_after: %s is too short: sources are asked every few seconds up to every minute, and each would count as silent between two answers; write 1m or more", a.SilentAfter)
	}
	return known.receiver("heartbeat.receivers", a.Heartbeat.Receivers)
}

func (a Alerts) checkRoutes(known names) error {
	for i, r := range a.Routes {
		where := fmt.Sprintf("routes[%d]", i)
		switch {
		case r.Name == "":
			return fmt.Errorf("alerts.%s: it has no name, by which `curfew alert show` tells why an alert went there", where)
		case len(r.Receivers) == 0:
			return fmt.Errorf("alerts.%s: route %q names no receivers, so that what fits it would go nowhere; name one, or take the route out", where, r.Name)
		}
		for _, before := range a.Routes[:i] {
			if before.Name == r.Name {
				return fmt.Errorf("alerts.%s: two routes are called %q, so that `curfew alert show` could not tell which was taken; rename one", where, r.Name)
			}
			if before.Last && before.includes(r) {
				return fmt.Errorf("alerts.%s: route %q is never reached: all that fits it fits route %q before it, which is the last for that; move it up, or take it out", where, r.Name, before.Name)
			}
		}
		if err := cmp.Or(checkSeverity(where, r.Severity), known.source(where+".sources", r.Sources), known.receiver(where+".receivers", r.Receivers)); err != nil {
			return err
		}
	}
	return nil
}

// includes is whether all that fits another route fits this one.
func (r Route) includes(other Route) bool {
	all := func(ours, others []string, covers func(ours, other string) bool) bool {
		if len(ours) == 0 {
			return true
		}
		return len(others) > 0 && !slices.ContainsFunc(others, func(one string) bool {
			return !slices.ContainsFunc(ours, func(our string) bool { return covers(our, one) })
		})
	}
	same := func(our, other string) bool { return our == other }
	return Severity(r.Severity) <= max(Severity(other.Severity), 1) && all(r.Detections, other.Detections, same) && all(r.Sources, other.Sources, same) &&
		all(r.Classes, other.Classes, same) && (slices.Contains(r.Entities, "*") || all(r.Entities, other.Entities, func(our, other string) bool {
		beginning, open := strings.CutSuffix(our, "*")
		return our == other || open && strings.HasPrefix(other, beginning)
	}))
}

func (a Alerts) checkEscalations(known names) error {
	for i, e := range a.Escalate {
		where := fmt.Sprintf("escalate[%d]", i)
		if e.After <= 0 {
			return fmt.Errorf("alerts.%s.after: say how long people have, such as 15m", where)
		}
		if i > 0 && e.After < a.Escalate[i-1].After {
			return fmt.Errorf("alerts.%s.after: it is earlier than the one before; write them in order", where)
		}
		if err := cmp.Or(checkSeverity(where, e.Severity), known.receiver(where+".receivers", e.Receivers)); err != nil {
			return err
		}
	}
	return nil
}

func (a Alerts) checkInhibitions() error {
	for i, in := range a.Inhibit {
		if in.Detection == "" || len(in.Hides) == 0 || !slices.Contains([]string{"event", "grant", "entity"}, in.Same) || slices.Contains(in.Hides, in.Detection) {
			return fmt.Errorf("alerts.inhibit[%d]: name a detection, others that it hides, and under same what both must be about: event, grant or entity", i)
		}
	}
	if c := circle(append(OwnInhibitions(), a.Inhibit...)); c != nil {
		return fmt.Errorf("alerts.inhibit: %s hide each other in turn, so that nobody would hear of any; take one out (what Curfew knows of its own detections counts too)", strings.Join(c, ", "))
	}
	return nil
}

func (a Alerts) checkMaintenance(known names) error {
	for i, m := range a.Maintenance {
		where := fmt.Sprintf("maintenance[%d]", i)
		if m.Name == "" || len(m.Sources) == 0 || !m.From.Before(m.Until) {
			return fmt.Errorf("alerts.%s: it needs a name, sources, and a from before its until, such as 2026-12-01T20:00:00Z", where)
		}
		if err := known.source(where+".sources", m.Sources); err != nil {
			return err
		}
	}
	return nil
}

func checkSeverity(where, word string) error {
	if word != "" && !slices.Contains(severities, word) {
		return fmt.Errorf("alerts.%s: %q is no severity; write %s", where, word, strings.Join(severities, ", "))
	}
	return nil
}

func (n names) receiver(where string, list []string) error {
	for _, name := range list {
		if !slices.Contains(n.receivers, name) {
			return fmt.Errorf("alerts.%s: no receiver is called %q; there are %s", where, name, cmp.Or(strings.Join(n.receivers, ", "), "none"))
		}
	}
	return nil
}

// source refuses a source that is not configured. A file without sources may be that of a notifier alone, which does not know
// what collectors elsewhere read.
func (n names) source(where string, list []string) error {
	for _, name := range list {
		if len(n.sources) > 0 && name != ownSource && !slices.Contains(n.sources, name) {
			return fmt.Errorf("alerts.%s: no source is called %q; there are %s, and %s for what was done to Curfew itself", where, name, strings.Join(n.sources, ", "), ownSource)
		}
	}
	return nil
}
