// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const (
	// progressEvery is how often whoever waits for a backtest is told how far it is.
	progressEvery = 200 * time.Millisecond
	// maxChanges bounds the kinds of changes in one result, so that it fits an answer. The events of those left out are
	// counted: they are what events has more than unchanged and the kinds together.
	maxChanges = 5000
)

// BacktestPolicy judges recorded events by a candidate, as if it had always been in force, with what is known of links now,
// and compares verdicts with those in the log. Nothing changes but that the call is recorded.
func (a *api) BacktestPolicy(request *curfewv1.BacktestPolicyRequest, stream grpc.ServerStreamingServer[curfewv1.BacktestPolicyResponse]) error {
	ctx := stream.Context()
	if err := a.allow(ctx, "policy.backtest", "policy", withoutFiles(request, request.GetFiles())); err != nil {
		return err
	}
	if err := checkWindow(request.GetFrom(), request.GetUntil()); err != nil {
		return err
	}
	candidate, err := a.candidate(ctx, request.GetFiles(), request.GetRevision())
	if err != nil {
		return err
	}
	by, err := a.knowledge.since(ctx, time.Now())
	if err != nil {
		return asStatus(err)
	}
	t := a.newBacktest(candidate, by, request)
	result, err := t.run(ctx, func(progress *curfewv1.BacktestProgress) error {
		return stream.Send(&curfewv1.BacktestPolicyResponse{Part: &curfewv1.BacktestPolicyResponse_Progress{Progress: progress}})
	})
	if err != nil {
		return asStatus(err)
	}
	return stream.Send(&curfewv1.BacktestPolicyResponse{Part: &curfewv1.BacktestPolicyResponse_Result{Result: result}})
}

// backtest is one candidate's trial on what is recorded.
type backtest struct {
	history
	policy *judge.Policy
	judge  *judge.Judge
}

func (a *api) newBacktest(candidate *judge.Policy, by *picture, request *curfewv1.BacktestPolicyRequest) *backtest {
	return &backtest{
		history: history{bus: a.Bus, tenant: a.Tenant, source: request.GetSource(), from: request.GetFrom(), until: request.GetUntil()},
		policy:  candidate,
		judge: &judge.Judge{
			Tenant: a.Tenant, Pseudonyms: by.Pseudonyms, Known: by.Known,
			Policies: func(time.Time) (*judge.Policy, time.Time) { return candidate, time.Time{} },
		},
	}
}

// run judges, and tells now and then how far it is. The same history and candidate give the same result.
func (t *backtest) run(ctx context.Context, tell func(*curfewv1.BacktestProgress) error) (*curfewv1.BacktestResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	total := outcome{changes: map[changeKey]*curfewv1.VerdictChange{}}
	done := make(chan error, 1)
	go func() {
		done <- t.read(ctx, t.compare, total.add)
	}()
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return nil, err
			}
			return total.result(t.policy.Digest()), nil
		case <-ticker.C:
			progress := &curfewv1.BacktestProgress{Events: t.events.Load(), Batches: t.batches.Load(), BatchesTotal: t.batchesTotal.Load()}
			if err := tell(progress); err != nil {
				cancel()
				<-done //nolint:errcheck // cancelled: its error is that
				return nil, err
			}
		}
	}
}

// outcome is what came of some events.
type outcome struct {
	events, unchanged, gone uint64
	changes                 map[changeKey]*curfewv1.VerdictChange
}

// changeKey is what events have in common that are told as one change.
type changeKey struct {
	subject, act, class, source string
	was, becomes                curfewv1.Verdict
}

// compare judges a batch of events again.
func (t *backtest) compare(p pair) outcome {
	o := outcome{}
	for i, was := range p.decided.of {
		if !p.wanted[i] {
			continue
		}
		if i >= len(p.events) || p.events[i].GetId() != string(was.event) {
			o.gone++ // the batch is gone, or holds other events than those judged
			continue
		}
		o.events++
		becomes := t.decide(p.events[i])
		if becomes.GetVerdict() == was.verdict {
			o.unchanged++
			continue
		}
		o.note(becomes, was.verdict, uint32(t.policy.Sensitivity(becomes)))
	}
	t.events.Add(o.events)
	return o
}

// decide is Decide that survives a panic: such an event's verdict is unknown.
func (t *backtest) decide(e *curfewv1.Event) (d *curfewv1.Decision) {
	defer func() {
		if recover() != nil {
			d = &curfewv1.Decision{EventId: e.GetId(), Time: e.GetTime(), Source: e.GetSource(), Verdict: curfewv1.Verdict_VERDICT_UNKNOWN, Reason: "the judge broke off at this event"}
		}
	}()
	return t.judge.Decide(e)
}

// note counts one event whose verdict would change.
func (o *outcome) note(d *curfewv1.Decision, was curfewv1.Verdict, sensitivity uint32) {
	class := ""
	if len(d.GetClasses()) > 0 {
		class = d.GetClasses()[0]
	}
	o.merge(&curfewv1.VerdictChange{
		Subject: d.GetSubject(), Act: d.GetAct(), Class: class, Source: d.GetSource(), Was: was, Becomes: d.GetVerdict(),
		Count: 1, Example: d, Sensitivity: sensitivity,
	})
}

func (o *outcome) merge(c *curfewv1.VerdictChange) {
	key := changeKey{c.GetSubject(), c.GetAct(), c.GetClass(), c.GetSource(), c.GetWas(), c.GetBecomes()}
	known := o.changes[key]
	if known == nil {
		if o.changes == nil {
			o.changes = map[changeKey]*curfewv1.VerdictChange{}
		}
		o.changes[key] = c
		return
	}
	known.Count += c.GetCount()
	if isBefore(c.GetExample(), known.GetExample()) {
		known.Example = c.GetExample()
	}
}

// isBefore is whether a decision's event happened before another's; those without a time come last.
func isBefore(a, b *curfewv1.Decision) bool {
	return cmp.Or(moment(a.GetTime()).Compare(moment(b.GetTime())), strings.Compare(a.GetEventId(), b.GetEventId())) < 0
}

func moment(at *timestamppb.Timestamp) time.Time {
	if at == nil {
		return time.Unix(1<<40, 0)
	}
	return at.AsTime()
}

func (o *outcome) add(part outcome) {
	o.events, o.unchanged, o.gone = o.events+part.events, o.unchanged+part.unchanged, o.gone+part.gone
	for _, c := range part.changes {
		o.merge(c)
	}
}

// result is the whole outcome, the most sensitive and most frequent change first.
func (o *outcome) result(digest string) *curfewv1.BacktestResult {
	changes := make([]*curfewv1.VerdictChange, 0, len(o.changes))
	for _, c := range o.changes {
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b *curfewv1.VerdictChange) int {
		return cmp.Or(
			cmp.Compare(b.GetSensitivity(), a.GetSensitivity()), cmp.Compare(b.GetCount(), a.GetCount()), strings.Compare(a.GetSubject(), b.GetSubject()),
			strings.Compare(a.GetAct(), b.GetAct()), strings.Compare(a.GetClass(), b.GetClass()), strings.Compare(a.GetSource(), b.GetSource()),
			cmp.Compare(a.GetWas(), b.GetWas()), cmp.Compare(a.GetBecomes(), b.GetBecomes()),
		)
	})
	return &curfewv1.BacktestResult{
		Events: o.events, Unchanged: o.unchanged, Gone: o.gone, PolicyDigest: digest, Changes: changes[:min(len(changes), maxChanges)],
	}
}
