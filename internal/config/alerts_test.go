// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
)

// Of detections that hide each other in turn nobody would hear anything.
func TestInhibitionsGoRoundInNoCircle(t *testing.T) {
	for _, c := range []struct{ name, inhibit, want string }{
		{"two", "{detection: a, hides: [b], same: entity}, {detection: b, hides: [a], same: event}", "a, b hide each other"},
		{"three", "{detection: x, hides: [a], same: entity}, {detection: a, hides: [b], same: entity}, {detection: b, hides: [c], same: entity}, {detection: c, hides: [a], same: entity}", "a, b, c hide each other"},
		{"with what is built in", "{detection: unauthorized_access, hides: [used_after_end], same: event}", "unauthorized_access, used_after_end hide each other"},
		{"a diamond", "{detection: a, hides: [b, c], same: entity}, {detection: b, hides: [d], same: entity}, {detection: c, hides: [d], same: entity}", ""},
	} {
		_, err := config.Read(write(t, "alerts: {inhibit: ["+c.inhibit+"]}\n"))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// What is misspelt would keep alerts from people, and nobody would know.
func TestAlertsNameWhatThereIs(t *testing.T) {
	const there = "receivers: {slack: {}, pager: {}}\nsources: {okta: {}, m365: {}}\n"
	routes := func(list string) string { return there + "alerts: {routes: [" + list + "]}\n" }
	for _, c := range []struct{ name, text, want string }{
		{"all of it", routes("{name: a, sources: [okta, curfew], receivers: [slack], last: true}, {name: b, receivers: [pager]}"), ""},
		{"source", routes("{name: a, sources: [okat], receivers: [slack]}"), `alerts.routes[0].sources: no source is called "okat"; there are m365, okta, and curfew`},
		{"no sources here", "receivers: {slack: {}}\nalerts: {routes: [{name: a, sources: [okat], receivers: [slack]}]}\n", ""},
		{"receiver", routes("{name: a, receivers: [slak]}"), `alerts.routes[0].receivers: no receiver is called "slak"; there are pager, slack`},
		{"no receiver", routes("{name: a, receivers: []}"), `route "a" names no receivers`},
		{"name twice", routes("{name: a, sources: [okta], receivers: [slack]}, {name: a, receivers: [pager]}"), `two routes are called "a"`},
		{"behind all", routes("{name: a, receivers: [slack], last: true}, {name: b, sources: [okta], receivers: [pager]}"), `route "b" is never reached: all that fits it fits route "a"`},
		{"behind all that is known", routes("{name: a, severity: informational, entities: [\"*\"], receivers: [slack], last: true}, {name: b, receivers: [pager]}"), `route "b" is never reached`},
		{"behind as much", routes("{name: a, sources: [okta, m365], entities: [\"person:*\"], receivers: [slack], last: true}, {name: b, severity: high, sources: [okta], entities: [\"person:kim\"], receivers: [pager]}"), `route "b" is never reached`},
		{"behind less severe", routes("{name: a, severity: high, receivers: [slack], last: true}, {name: b, severity: medium, receivers: [pager]}"), ""},
		{"behind fewer", routes("{name: a, sources: [okta], receivers: [slack], last: true}, {name: b, sources: [okta, m365], receivers: [pager]}"), ""},
		{"behind other persons", routes("{name: a, entities: [\"person:*\"], receivers: [slack], last: true}, {name: b, entities: [\"*\"], receivers: [pager]}"), ""},
		{"behind one that goes on", routes("{name: a, receivers: [slack]}, {name: b, receivers: [pager]}"), ""},
		{"maintenance", there + "alerts: {maintenance: [{name: m, sources: [okat], from: 2026-12-01T20:00:00Z, until: 2026-12-01T22:00:00Z}]}\n", `alerts.maintenance[0].sources: no source is called "okat"`},
		{"a short silence", there + "alerts: {silent_after: 1s}\n", "alerts.silent_after: 1s is too short: sources are asked every"},
		{"a silence of a day", there + "alerts: {silent_after: 1d}\n", ""},
		{"no unit", there + "alerts: {escalate: [{after: 10}]}\n", `line 3: "10" is no length of time; write it with its unit`},
	} {
		_, err := config.Read(write(t, c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestAlertsTellTheirDetections(t *testing.T) {
	a := config.Alerts{
		Routes:  []config.Route{{}, {Detections: []string{"a", "b"}}},
		Inhibit: []config.Inhibition{{Detection: "c", Hides: []string{"d"}}},
	}
	got, stop := "", errors.New("no d")
	err := a.Detections(func(where, detection string) error {
		got += where + " " + detection + "\n"
		if detection == "d" {
			return stop
		}
		return nil
	})
	const want = "alerts.routes[1].detections a\nalerts.routes[1].detections b\nalerts.inhibit[0].detection c\nalerts.inhibit[0].hides d\n"
	if got != want || !errors.Is(err, stop) {
		t.Errorf("got %v and\n%s\nwant %v and\n%s", err, got, stop, want)
	}
}
