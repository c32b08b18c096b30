// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
	"github.com/curfewhq/curfew/services/evaluator/workbench"
)

const suggestPolicy = `p, role:anyone, *, *, level:low, *, allow
p, role:unknown, *, *, level:high, *, deny
p, role:legal, *, *, pii.hr, read, allow
p, role:anyone, *, *, secret, read, deny
g, person:a, role:support
g, person:b, role:support
g, person:c, role:support
g, person:d, role:finance
g, person:e, role:finance
`

const suggestPeople = "people: [{id: a}, {id: b}, {id: c}, {id: d}, {id: e}]\n"

func suggestJudge(t *testing.T, rows string) (*judge.Policy, *judge.Judge) {
	t.Helper()
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := judge.NewPolicy(map[string][]byte{"policy.csv": []byte(rows), "identities.yaml": []byte(suggestPeople)}, cat)
	if err != nil {
		t.Fatal(err)
	}
	return policy, &judge.Judge{Tenant: "main", Policies: func(time.Time) (*judge.Policy, time.Time) { return policy, time.Time{} }}
}

// did is a decision as the log has it, by a policy.
func did(j *judge.Judge, policy *judge.Policy, who, act string, classes ...string) *curfewv1.Decision {
	d := &curfewv1.Decision{
		Time: timestamppb.New(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)), Source: "okta", Subject: who, Dom: "main", Object: "okta/app/1", Act: act,
		Classes: classes, Verdict: curfewv1.Verdict_VERDICT_ALLOWED,
	}
	for _, l := range j.Look(policy, d) {
		if !l.Allowed {
			d.Verdict = curfewv1.Verdict_VERDICT_VIOLATION
		}
	}
	return d
}

func TestSuggest(t *testing.T) {
	policy, j := suggestJudge(t, suggestPolicy)
	s := workbench.NewSuggestion(policy, j, time.Now())
	for _, who := range []string{"person:a", "person:b", "person:c", "person:d"} {
		s.See(did(j, policy, who, "read", "order"))
	}
	s.See(did(j, policy, "person:a", "read", "order"))
	s.See(did(j, policy, "unknown:okta/9", "read", "order"))
	s.See(did(j, policy, "person:a", "read", "secret"))
	s.See(did(j, policy, "person:e", "read", "internal"))
	answer := s.Answer()
	var rows []string
	for _, row := range answer.GetRows() {
		rows = append(rows, fmt.Sprintf("%s (%d by %d of %d)", row.GetText(), row.GetDecisions(), len(row.GetPeople()), row.GetHolders()))
	}
	if got, want := strings.Join(rows, "\n"), "p, role:support, *, okta/*, order, read, allow (4 by 3 of 3)\np, person:d, *, okta/*, order, read, allow (1 by 1 of 0)"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if answer.GetExplained() != 5 || answer.GetUnexplained() != 2 || answer.GetDecisions() != 8 {
		t.Errorf("got %v", answer)
	}
	var unused []string
	for _, row := range answer.GetUnused() {
		unused = append(unused, fmt.Sprintf("%d", row.GetLine()))
	}
	if got, want := strings.Join(unused, " "), "3 5 6 7 8 9"; got != want {
		t.Errorf("unused: got lines %s, want %s", got, want)
	}
}

// What the proposed rows are said to explain they allow, and they change no other verdict of the history.
func TestSuggestedRowsDoWhatTheySay(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		pick := func(from ...string) string { return from[random.IntN(len(from))] }
		policy, j := suggestJudge(t, suggestPolicy)
		var history []*curfewv1.Decision
		for range 60 {
			classes := []string{pick("order", "pii.contact", "finance", "internal", "pii.hr", "secret")}
			if random.IntN(3) == 0 {
				classes = append(classes, pick("chd", "code"))
			}
			history = append(history, did(j, policy, pick("person:a", "person:b", "person:c", "person:d", "person:e", "unknown:okta/1", "app:okta/x"), pick("read", "export"), classes...))
		}
		s, backwards := workbench.NewSuggestion(policy, j, time.Unix(0, 0)), workbench.NewSuggestion(policy, j, time.Unix(0, 0))
		for i := range history {
			s.See(history[i])
			backwards.See(history[len(history)-1-i])
		}
		answer := s.Answer()
		if !proto.Equal(answer, backwards.Answer()) {
			t.Fatal("the order of decisions must not matter")
		}
		rows := suggestPolicy
		for _, row := range answer.GetRows() {
			rows += row.GetText() + "\n"
		}
		after, by := suggestJudge(t, rows)
		turned := uint64(0)
		for _, was := range history {
			is := did(by, after, was.GetSubject(), was.GetAct(), was.GetClasses()...)
			if is.GetVerdict() == was.GetVerdict() {
				continue
			}
			turned++
			if was.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION {
				t.Fatalf("seed %d: %v was allowed and is no more", seed, was)
			}
		}
		if turned != answer.GetExplained() {
			t.Fatalf("seed %d: %d turned, %d were said to; rows:\n%s", seed, turned, answer.GetExplained(), rows)
		}
	}
}
