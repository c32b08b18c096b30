// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package card

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// topEntities is how many entities of a group are named.
const topEntities = 3

// Line is an alert as one of many: severity, title, how many findings and where it stands, in at most most runes. Where
// there is too little room the title is cut first.
func Line(alert *curfewv1.Alert, most int) string {
	about := status(alert)
	if alert.GetCount() > 1 {
		about = fmt.Sprintf("%d findings, %s", alert.GetCount(), about)
	}
	begin, end := word(Severity(alert))+"  ", "  ("+Plain(about, max(most/3, 24))+")"
	room := most - len([]rune(begin)) - len([]rune(end))
	if room < 12 {
		return Plain(begin+titleOf(alert, title), most)
	}
	return begin + titleOf(alert, room) + end
}

// Group is alerts of one severity and detection.
type Group struct {
	// Severity is theirs.
	Severity curfewv1.Severity
	// Detection is theirs, Plain.
	Detection string
	// Count is how many alerts, Findings how many findings they have.
	Count    int
	Findings uint64
	// Entities are the three that most of them are about, Plain; More is how many others there are.
	Entities []string
	More     int
}

// String is the group in a line.
func (g Group) String() string {
	text := fmt.Sprintf("%s  %d × %s", word(g.Severity), g.Count, orUnknown(g.Detection))
	if g.Findings > uint64(max(g.Count, 0)) {
		text += fmt.Sprintf(" (%d findings)", g.Findings)
	}
	text += ": " + strings.Join(g.Entities, ", ")
	if g.More > 0 {
		text += fmt.Sprintf(" and %d more", g.More)
	}
	return text
}

// Summary is alerts counted by severity and detection: the most severe first, then the most alerts. Every alert is in one
// group.
func Summary(alerts []*curfewv1.Alert) []Group {
	type key struct {
		severity  curfewv1.Severity
		detection string
	}
	groups := map[key]*Group{}
	entities := map[key]map[string]int{}
	for _, a := range alerts {
		k := key{Severity(a), Plain(a.GetFinding().GetDetection(), title)}
		if groups[k] == nil {
			groups[k], entities[k] = &Group{Severity: k.severity, Detection: k.detection}, map[string]int{}
		}
		groups[k].Count++
		groups[k].Findings += max(a.GetCount(), 1)
		entities[k][a.GetEntity()]++
	}
	list := make([]Group, 0, len(groups))
	for k, g := range groups {
		g.Entities, g.More = top(entities[k])
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Detection, b.Detection))
	})
	return list
}

// top is the names that were counted most, and how many others there are.
func top(counts map[string]int) (names []string, more int) {
	all := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for _, entity := range all[:min(topEntities, len(all))] {
		names = append(names, name(entity))
	}
	return names, max(0, len(all)-topEntities)
}

// Notice is what people are told by a notice, in one line: nobody can write a notice of their own into another's.
func Notice(notice *curfewv1.Notice) string {
	return About(notice) + ": " + Plain(notice.GetText(), 2*whole)
}

// About is what a notice is about, such as "grant g1, ending".
func About(notice *curfewv1.Notice) string {
	kind := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(notice.GetKind().String(), "NOTICE_KIND_"), "_", " "))
	switch {
	case notice.GetGrant() != nil:
		return "grant " + name(notice.GetGrant().GetId()) + ", " + kind
	case notice.GetSilence() != nil:
		return "silence " + name(notice.GetSilence().GetId())
	case notice.GetAlert() != nil:
		return kind + " about alert " + orUnknown(short(notice.GetAlert().GetId()))
	default:
		return kind
	}
}
