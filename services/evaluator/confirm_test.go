// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
)

// People hear of a decision that is not what Casbin says, once an hour, whatever the number of them.
func TestAMismatchIsToldOnce(t *testing.T) {
	b := bustest.New(t)
	o := options(t, b, "one")
	policies, err := openPolicies(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	e := newEvaluator(t, o, policies)
	e.doubted = make(chan doubted)
	by, err := e.knowledge.since(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.confirm(ctx) }()
	act := driveEvent("sam@linden-lark.example.com", "download", "export")
	wrong, right := by.Decide(act), by.Decide(act)
	wrong.Verdict = curfewv1.Verdict_VERDICT_ALLOWED
	for _, d := range []*curfewv1.Decision{right, wrong, wrong, right} { // once the last is taken the others are done with
		e.doubted <- doubted{by, act, d}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("confirm: got %v", err)
	}
	var told []*curfewv1.Finding
	if err := b.Read(t.Context(), bus.All("finding"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		told = append(told, f)
		return m.Decode(f)
	}); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0].GetDetection() != detection.PolicyMismatch || told[0].GetSeverity() != curfewv1.Severity_SEVERITY_CRITICAL || told[0].GetEvent() != nil || told[0].GetAbout() == "" {
		t.Errorf("got %v, want one critical finding about nobody", told)
	}
}
