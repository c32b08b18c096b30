// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/inventory"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// Outcome is what became of one case.
type Outcome struct {
	// File is the file of cases within the policy folder.
	File string `json:"file"`
	// Line is the case's first.
	Line int `json:"line"`
	// Name is the case's.
	Name string `json:"name"`
	// Failures are what came out otherwise than wanted, each a sentence; none where the case passed.
	Failures []string `json:"failures"`
	// Decision is what the policy says, with its reason.
	Decision *curfewv1.Decision `json:"-"`
}

// Covered is how often the cases needed a row.
type Covered struct {
	// Line is the row's in policy.csv.
	Line int `json:"line"`
	// Row is the row as it stands there.
	Row string `json:"row"`
	// Cases is in how many a p row decided, or a g row was on the way.
	Cases int `json:"cases"`
}

// Report is what became of a policy's cases.
type Report struct {
	// Outcomes are in the order of the files and the cases in them.
	Outcomes []Outcome `json:"cases"`
	// Rows is every row of policy.csv, in order.
	Rows []Covered `json:"rows"`
}

// Failed is how many cases failed.
func (r Report) Failed() int {
	failed := 0
	for _, outcome := range r.Outcomes {
		if len(outcome.Failures) > 0 {
			failed++
		}
	}
	return failed
}

// Uncovered are the rows that no case needed.
func (r Report) Uncovered() []Covered {
	return slices.DeleteFunc(slices.Clone(r.Rows), func(row Covered) bool { return row.Cases > 0 })
}

// Try tries a policy folder on its cases. In a case nothing is held but by the policy and by what is given in it. An error
// says that the policy or a case cannot be read.
func (b Bench) Try(dir string) (Report, error) {
	var report Report
	policy, err := judge.ReadPolicy(dir, b.Catalog)
	if err != nil {
		return report, err
	}
	trials, err := b.readCases(dir, policy)
	if err != nil {
		return report, err
	}
	used := map[int]int{}
	for _, t := range trials {
		d := t.decide(b.Tenant, policy)
		for _, line := range linesOf(d) {
			used[line]++
		}
		report.Outcomes = append(report.Outcomes, Outcome{File: t.file, Line: t.line, Name: t.name, Failures: t.want.failures(d), Decision: d})
	}
	for _, stated := range policy.Stated() {
		report.Rows = append(report.Rows, Covered{Line: stated.Line, Row: text(stated), Cases: used[stated.Line]})
	}
	return report, nil
}

// decide is the policy's decision on a case.
func (t trial) decide(tenant string, policy *judge.Policy) *curfewv1.Decision {
	j := &judge.Judge{
		Tenant: tenant, Known: t.known(policy),
		Policies: func(time.Time) (*judge.Policy, time.Time) { return policy, time.Time{} },
	}
	return j.Try(t.event, t.subject, t.action, t.classes)
}

// known is what is given, and that each inventory the policy speaks of shows nothing else.
func (t trial) known(policy *judge.Policy) *temporal.Known {
	fold := temporal.NewFold()
	var nothing inventory.State
	began := timestamppb.New(time.Time{})
	policy.Inventories(func(source, kind string) {
		// What it loads is nothing, so that no error can come of it.
		_ = fold.Inventory(&curfewv1.Inventory{Source: source, Kind: kind, Began: began, Ended: began, Digest: nothing.Digest()}, nil)
	})
	for i, grant := range t.given {
		grant.Id = fmt.Sprintf("given %d", i+1)
		fold.Grant(&curfewv1.GrantStep{Grant: grant, Time: grant.GetFrom()})
	}
	return fold.Known()
}

// linesOf are the lines of the rows that a decision rests on.
func linesOf(d *curfewv1.Decision) []int {
	var lines []int
	if d.GetRow() != nil {
		lines = append(lines, int(d.GetRow().GetLine()))
	}
	for _, link := range d.GetLinks() {
		if line, is := strings.CutPrefix(link.GetOrigin(), policyFile+":"); is {
			number, _ := strconv.Atoi(line) // the judge wrote it
			lines = append(lines, number)
		}
	}
	return lines
}

// failures is how a decision differs from what was wanted.
func (w wantYAML) failures(d *curfewv1.Decision) []string {
	var failures []string
	if got := strings.ToLower(strings.TrimPrefix(d.GetVerdict().String(), "VERDICT_")); got != w.Verdict {
		failures = append(failures, fmt.Sprintf("got %s, want %s: %s", got, w.Verdict, d.GetReason()))
	}
	got := "none"
	if d.GetRow() != nil {
		got = d.GetRow().GetText()
	}
	if w.Row != "" && got != w.Row {
		failures = append(failures, fmt.Sprintf("decided by the row %s, want %s", got, w.Row))
	}
	if line := int(d.GetRow().GetLine()); w.Line != 0 && line != w.Line {
		failures = append(failures, fmt.Sprintf("decided by line %d, want %d", line, w.Line))
	}
	if w.Subject != "" && d.GetSubject() != w.Subject {
		failures = append(failures, fmt.Sprintf("judged %q, want %q", d.GetSubject(), w.Subject))
	}
	classes, want := slices.Sorted(slices.Values(d.GetClasses())), slices.Sorted(slices.Values(w.Classes))
	if w.Classes != nil && !slices.Equal(classes, want) {
		failures = append(failures, fmt.Sprintf("judged by the classes %s, want %s", strings.Join(classes, ", "), strings.Join(want, ", ")))
	}
	return failures
}
