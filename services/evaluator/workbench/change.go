// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is one thing that some gain or lose.
type Change struct {
	// Subjects are who, as they are to be read; "everyone" alone where it is everyone.
	Subjects []string `json:"subjects"`
	// Gains is whether it is allowed now and was not; else the other way round.
	Gains bool `json:"gains"`
	// Acts are the acts; "*" is every act.
	Acts []string `json:"acts"`
	// Classes are the data classes, folded into parents and levels where that says the same; "*" is every class. None where
	// the objects are what changed.
	Classes []string `json:"classes,omitempty"`
	// Objects are patterns of objects; "*" is every object.
	Objects []string `json:"objects"`
	// Except are patterns within these for which it is not so.
	Except []string `json:"except,omitempty"`
	// Doms are the domains; none where it is so in each.
	Doms []string `json:"doms,omitempty"`
	// From is when it begins; absent where it is so from the start.
	From *time.Time `json:"from,omitempty"`
	// Until is when it ends; absent where it does not.
	Until *time.Time `json:"until,omitempty"`
	// Rows are the rows that make the difference, as they are to be read.
	Rows []string `json:"rows"`
}

// String is the change as a line.
func (c Change) String() string {
	verbs := map[bool]string{true: "gain", false: "lose"}
	if len(c.Subjects) == 1 {
		verbs = map[bool]string{true: "gains", false: "loses"}
	}
	line := few(c.Subjects, ", ") + " " + verbs[c.Gains] + " "
	if slices.Equal(c.Acts, []string{"*"}) {
		line += "every act"
	} else {
		line += strings.Join(c.Acts, ", ")
	}
	switch {
	case len(c.Classes) == 0:
		line += " on " + few(c.Objects, ", ")
	case slices.Equal(c.Classes, []string{"*"}):
		line += " of every class"
	default:
		line += " of " + strings.Join(c.Classes, ", ")
	}
	if len(c.Classes) > 0 && !slices.Equal(c.Objects, []string{"*"}) {
		line += " in " + few(c.Objects, ", ")
	}
	if len(c.Except) > 0 {
		line += ", but not in " + few(c.Except, ", ")
	}
	if len(c.Doms) > 0 {
		line += ", in the domain " + few(c.Doms, ", ")
	}
	if c.From != nil {
		line += ", from " + c.From.Format(time.RFC3339)
	}
	if c.Until != nil {
		line += ", until " + c.Until.Format(time.RFC3339)
	}
	if len(c.Rows) > 0 {
		line += " (" + few(c.Rows, "; ") + ")"
	}
	return line
}

// key is all of it but who and where.
func (c Change) key() string {
	bound := func(at *time.Time) string {
		if at == nil {
			return ""
		}
		return at.Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("%t%q%q%q%q%q%q%q", c.Gains, c.Acts, c.Classes, c.Objects, c.Except, bound(c.From), bound(c.Until), c.Rows)
}

// few is texts to be read: not more than can be.
func few(texts []string, between string) string {
	const most = 6
	if len(texts) > most+1 {
		texts = append(slices.Clone(texts[:most]), fmt.Sprintf("%d more", len(texts)-most))
	}
	return strings.Join(texts, between)
}
