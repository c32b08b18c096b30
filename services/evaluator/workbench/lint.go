// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package workbench is what an author of a policy does with it before it is in force: lint it, try it on cases, and see
// what it changes.
package workbench

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// Severity is how bad a problem is.
type Severity string

// An error keeps a policy from being applied; a warning is something that does not do what it says; a hint is something
// that may be meant.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Hint    Severity = "hint"
)

// Problem is one thing that is wrong with a policy.
type Problem struct {
	// File is its name within the policy folder; "" where it is the folder's.
	File string `json:"file"`
	// Line is counted from 1; 0 where it is the whole file's.
	Line int `json:"line"`
	// Severity is how bad it is.
	Severity Severity `json:"severity"`
	// Check names what was looked for, in words that stay the same.
	Check string `json:"check"`
	// Text says in a sentence what is wrong, why, and what to do.
	Text string `json:"text"`
}

// Bench is what policies are looked at with.
type Bench struct {
	// Catalog is the embedded one.
	Catalog *catalog.Catalog
	// Tenant is Casbin's dom; "" = whichever the rows name, one after the other.
	Tenant string
	// Now is the present: rows whose time is past are past by it.
	Now time.Time
}

// The files of a policy folder.
const (
	modelFile      = "model.conf"
	policyFile     = "policy.csv"
	identitiesFile = "identities.yaml"
	classesFile    = "classes.yaml"
	catalogFile    = "catalog.yaml"
)

// Lint returns everything that is wrong with a policy, by its files' names, sorted by file and line. What cannot be read
// is one error. Each problem is true of the policy whatever inventories and grants may give.
func (b Bench) Lint(files map[string][]byte) []Problem {
	policy, err := judge.NewPolicy(files, b.Catalog)
	if err != nil {
		return []Problem{unreadable(err)}
	}
	l := &linter{Bench: b, policy: policy, sheet: newSheet(policy)}
	for _, check := range []func(){
		l.locked, l.scanned, l.shadowed, l.past, l.roles, l.chains, l.people, l.rowNames, l.classes, l.resources, l.identities, l.catalogue, l.grants,
	} {
		check()
	}
	slices.SortStableFunc(l.found, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Text, b.Text))
	})
	return slices.Compact(l.found)
}

// LintFolder is Lint of a policy folder.
func (b Bench) LintFolder(dir string) []Problem {
	files, err := judge.ReadFiles(dir)
	if err != nil {
		return []Problem{unreadable(err)}
	}
	return b.Lint(files)
}

// linter is one policy being looked at.
type linter struct {
	Bench
	policy *judge.Policy
	sheet  *sheet
	found  []Problem
}

func (l *linter) add(file string, line int, severity Severity, check, text string) {
	l.found = append(l.found, Problem{File: file, Line: line, Severity: severity, Check: check, Text: text})
}

var (
	inFile = regexp.MustCompile(`^read ([a-z]+\.[a-z]+): `)
	onLine = regexp.MustCompile(`\bline (\d+)(?:: |, )?`)
)

// unreadable is the error of reading as a problem, with file and line where it says them.
func unreadable(err error) Problem {
	p := Problem{Severity: Error, Check: "unreadable", Text: err.Error()}
	if m := inFile.FindStringSubmatch(p.Text); m != nil {
		p.File, p.Text = m[1], p.Text[len(m[0]):]
	}
	if m := onLine.FindStringSubmatchIndex(p.Text); m != nil {
		p.Line, _ = strconv.Atoi(p.Text[m[2]:m[3]]) // digits, and few enough
		if m[0] == 0 {
			p.Text = p.Text[m[1]:]
		}
	}
	return p
}

// locked is whether the policy leaves nobody who could change it.
func (l *linter) locked() {
	if err := l.LockedOut(l.policy); err != nil {
		l.add(policyFile, 0, Error, "locked-out", err.Error())
	}
}

// scanned is whether each request costs a look at each row.
func (l *linter) scanned() {
	indexed, why := l.policy.Indexed()
	if indexed {
		return
	}
	line := 0
	for i, text := range strings.Split(string(l.policy.Files()[modelFile]), "\n") {
		if strings.HasPrefix(strings.ReplaceAll(text, " ", ""), "m=") {
			line = i + 1
		}
	}
	l.add(modelFile, line, Warning, "every-row", why+"; that is right, and slow: 0.04 µs a row and more, so 4 ms an event at 100,000 rows, where an index needs a few µs at any number")
}

// past is rows that give nothing any more.
func (l *linter) past() {
	for _, row := range l.sheet.stated {
		if until, ends := end(row); ends && !until.After(l.Now) {
			l.add(policyFile, row.Line, Hint, "past", "the row ended at "+until.UTC().Format(time.RFC3339)+" and gives nothing any more; delete it: what happened before is judged by the revisions of then")
		}
	}
}

// end is when a g row ends; ends is false where it does not.
func end(row judge.Stated) (until time.Time, ends bool) {
	if row.Kind != "g" || len(row.Fields) < 4 {
		return until, false
	}
	until, err := time.Parse(time.RFC3339, row.Fields[len(row.Fields)-1])
	return until, err == nil
}
