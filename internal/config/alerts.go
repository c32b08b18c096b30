// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"maps"
	"slices"
	"time"
)

// Alerts is where alerts go, and when they do not.
type Alerts struct {
	// Routes are tried in order; empty = every alert goes to every receiver.
	Routes []Route `yaml:"routes"`
	// Escalate calls others for what nobody took on, in order; empty = what is critical is said once more after 15 minutes,
	// and what is high after an hour.
	Escalate []Escalation `yaml:"escalate"`
	// Inhibit keeps back what another alert says better, besides what Curfew knows of its own detections.
	Inhibit []Inhibition `yaml:"inhibit"`
	// Maintenance keeps alerts back while somebody works on a source.
	Maintenance []Maintenance `yaml:"maintenance"`
	// Heartbeat is how people hear that Curfew itself is blind.
	Heartbeat Heartbeat `yaml:"heartbeat"`
	// Storm is from how many waiting alerts on a receiver is sent a summary instead of each; 0 = 1000.
	Storm int `yaml:"storm"`
	// SilentAfter is for how long a source may say nothing before people hear of it, a minute at least; 0 = an hour.
	SilentAfter time.Duration `yaml:"silent_after"`
}

// Route sends the alerts that fit all that is set to receivers.
type Route struct {
	// Name of the route, as `curfew alert show` gives it.
	Name string `yaml:"name"`
	// Severity is the lowest that fits; empty = any.
	Severity string `yaml:"severity"`
	// Detections, Sources, Classes and Entities fit where one of them does; an entity may end in "*".
	Detections []string `yaml:"detections"`
	Sources    []string `yaml:"sources"`
	Classes    []string `yaml:"classes"`
	Entities   []string `yaml:"entities"`
	// Receivers by name, one at least.
	Receivers []string `yaml:"receivers"`
	// Last says that no later route is tried for what fits.
	Last bool `yaml:"last"`
}

// Escalation calls receivers for alerts that nobody took on.
type Escalation struct {
	// Severity is the lowest that is escalated.
	Severity string `yaml:"severity"`
	// After is how long after its opening.
	After time.Duration `yaml:"after"`
	// Receivers that get it too; empty = those that have it hear it once more.
	Receivers []string `yaml:"receivers"`
}

// Inhibition is that one detection's alert says what others' say, and more.
type Inhibition struct {
	// Detection that says it better.
	Detection string `yaml:"detection"`
	// Hides are the detections whose alerts are kept back.
	Hides []string `yaml:"hides"`
	// Same is what both must be about: "event", "grant" or "entity".
	Same string `yaml:"same"`
}

// OwnInhibitions is what Curfew knows of its own detections: which says what others say, and more. They hold besides those
// of the configuration.
func OwnInhibitions() []Inhibition {
	return []Inhibition{
		{Detection: "used_after_end", Hides: []string{"unauthorized_access"}, Same: "event"},
		{Detection: "revocation_stuck", Hides: []string{"revocation_overdue", "revocation_unverified"}, Same: "grant"},
		{Detection: "revocation_overdue", Hides: []string{"revocation_unverified"}, Same: "grant"},
	}
}

// circle is detections each of which hides the next, and the last the first, so that none would be shown; nil = there are
// none.
func circle(list []Inhibition) []string {
	hides := map[string][]string{}
	for _, in := range list {
		hides[in.Detection] = append(hides[in.Detection], in.Hides...)
	}
	var path []string
	sound := map[string]bool{} // what leads to no circle
	var walk func(detection string) []string
	walk = func(detection string) []string {
		if i := slices.Index(path, detection); i >= 0 {
			return path[i:]
		}
		if sound[detection] {
			return nil
		}
		path = append(path, detection)
		for _, hidden := range hides[detection] {
			if found := walk(hidden); found != nil {
				return found
			}
		}
		path = path[:len(path)-1]
		sound[detection] = true
		return nil
	}
	for _, detection := range slices.Sorted(maps.Keys(hides)) {
		if found := walk(detection); found != nil {
			return found
		}
	}
	return nil
}

// Maintenance is a time in which alerts of sources are kept back.
type Maintenance struct {
	// Name of the window.
	Name string `yaml:"name"`
	// Sources it is about.
	Sources []string `yaml:"sources"`
	// From and Until bound it.
	From  time.Time `yaml:"from"`
	Until time.Time `yaml:"until"`
}

// Heartbeat is how people hear that Curfew itself is blind.
type Heartbeat struct {
	// Receivers that hear of it, whatever the routes say; empty = all.
	Receivers []string `yaml:"receivers"`
	// URL that is asked every minute while all is well, by which an outside service notices that it is not; it is a secret.
	URL Secret `yaml:"url"`
}

// severities in order, as they are written.
var severities = []string{"informational", "low", "medium", "high", "critical"}

// Severity is a severity's number in OCSF, 0 for "".
func Severity(word string) int { return slices.Index(severities, word) + 1 }
