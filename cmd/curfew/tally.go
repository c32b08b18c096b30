// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	// mostActions bounds how many different unknown actions are told apart: a file may hold as many as it has lines.
	mostActions = 1000
	// shownActions is how many of them are named.
	shownActions = 20
)

// tally counts what became of records.
type tally struct {
	records, events, dead, violations uint64
	// unknown is the events whose action the catalogue does not know, actions those of them that are told apart.
	unknown uint64
	actions map[string]uint64
}

// stranger counts an event whose action the catalogue does not know.
func (t *tally) stranger(action string, n uint64) {
	if t.actions == nil {
		t.actions = map[string]uint64{}
	}
	if _, there := t.actions[action]; there || len(t.actions) < mostActions {
		t.actions[action] += n
	}
}

func (t *tally) add(more tally) {
	t.records += more.records
	t.events += more.events
	t.dead += more.dead
	t.violations += more.violations
	t.unknown += more.unknown
	// In order, so that the same files give the same tally however many actions they hold.
	for _, action := range slices.Sorted(maps.Keys(more.actions)) {
		t.stranger(action, more.actions[action])
	}
}

// String is the tally in one line, or two where actions are unknown.
func (t *tally) String() string {
	text := fmt.Sprintf("read %d records, %d events, %d dead letters, %d violations\n", t.records, t.events, t.dead, t.violations)
	if t.unknown == 0 {
		return text
	}
	names := slices.SortedFunc(maps.Keys(t.actions), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.actions[b], t.actions[a]), cmp.Compare(a, b))
	})
	var shown []string
	for _, name := range names[:min(len(names), shownActions)] {
		shown = append(shown, fmt.Sprintf("%s (%d)", plain(cmp.Or(name, "no action")), t.actions[name]))
	}
	if more := len(names) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("at least %d others", more))
	}
	return text + fmt.Sprintf("unknown acts: %d of %d events (%.1f %%), whose actions the catalogue does not know: %s\n",
		t.unknown, t.events, 100*float64(t.unknown)/float64(t.events), strings.Join(shown, ", "))
}
