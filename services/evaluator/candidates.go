// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"regexp"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2/util"
)

// candidates picks the rows that can matter to a request, so that Casbin tries these few and not all: one Enforce costs
// microseconds for each row it is given. A row is left out only where one of the matcher's top-level conjuncts is false
// for it; then the whole matcher is, and such a row counts for nothing in every effect. The order of the others is kept,
// so decision and deciding row are those of the full scan (held by TestCandidatesAreInvisible).
type candidates struct {
	rows  [][]string       // in Casbin's order
	bySub map[string][]int // row numbers by the row's subject, ascending
	tests []conjunct
}

// conjunct is one comparison of a request field with a row's field.
type conjunct struct {
	field  string // of the request
	column int    // of the row
	prefix bool   // the row's field may end in "*"
	holds  func(request, row string) bool
}

var (
	comparison = regexp.MustCompile(`^(keyMatch|g|g2)\(r_(\w+), *p_(\w+)\)$`)
	equality   = regexp.MustCompile(`^r_(\w+) *== *p_(\w+)$`)
)

// newCandidates reads the matcher, in Casbin's escaped form. Nil means that it is no plain conjunction that tests the
// subject by g, so that every row must be tried.
func newCandidates(matcher string, columns []string, rows [][]string, roles roles, classes *classes) *candidates {
	if strings.ContainsAny(matcher, "|!?\"'`") || strings.Contains(matcher, "eval(") {
		return nil
	}
	c := &candidates{rows: rows, bySub: map[string][]int{}}
	bySubject := false
	for _, part := range strings.Split(matcher, "&&") {
		part = strings.TrimSpace(part)
		if strings.Count(part, "(") != strings.Count(part, ")") {
			return nil // split inside parentheses
		}
		function, request, row := "==", "", ""
		if m := comparison.FindStringSubmatch(part); m != nil {
			function, request, row = m[1], m[2], m[3]
		} else if m := equality.FindStringSubmatch(part); m != nil {
			request, row = m[1], m[2]
		}
		column := slices.Index(columns, "p_"+row)
		if column < 0 {
			continue // left to Casbin alone
		}
		test := conjunct{field: request, column: column}
		switch function {
		case "g":
			if request == "sub" && row == columns[0][len("p_"):] {
				bySubject = true
				continue
			}
			test.holds = roles.holds
		case "g2":
			test.holds = classes.within
		case "keyMatch":
			test.holds, test.prefix = util.KeyMatch, true
		default:
			test.holds = func(a, b string) bool { return a == b }
		}
		c.tests = append(c.tests, test)
	}
	if !bySubject {
		return nil
	}
	for i, row := range rows {
		c.bySub[row[0]] = append(c.bySub[row[0]], i)
	}
	return c
}

// pick appends the rows that can match q to picked, in order.
func (c *candidates) pick(q request, held []string, picked [][]string) [][]string {
	var numbers []int
	for _, holder := range held {
		for _, i := range c.bySub[holder] {
			if c.passes(q, c.rows[i]) {
				numbers = append(numbers, i)
			}
		}
	}
	slices.Sort(numbers)
	for _, i := range numbers {
		picked = append(picked, c.rows[i])
	}
	return picked
}

func (c *candidates) passes(q request, row []string) bool {
	for _, test := range c.tests {
		if !test.holds(q.field(test.field), row[test.column]) {
			return false
		}
	}
	return true
}
