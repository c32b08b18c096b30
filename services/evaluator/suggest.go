// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
	"github.com/curfewhq/curfew/services/evaluator/workbench"
)

// SuggestPolicy looks through recorded decisions. Nothing is changed but that the call is recorded.
func (a *api) SuggestPolicy(ctx context.Context, request *curfewv1.SuggestPolicyRequest) (*curfewv1.SuggestPolicyResponse, error) {
	if err := a.allow(ctx, "policy.suggest", "policy", request); err != nil {
		return nil, err
	}
	if err := checkWindow(request.GetFrom(), request.GetUntil()); err != nil {
		return nil, err
	}
	now := time.Now()
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return nil, asStatus(err)
	}
	policy, _ := by.Policies(now)
	suggestion := workbench.NewSuggestion(policy, by.Judge, now)
	from := bus.From{}
	if request.GetFrom() != nil {
		// A decision is stored after its event happened, but for clocks that differ.
		from.Time = earlier(request.GetFrom().AsTime(), now).Add(-judge.MaxSkew)
	}
	err = a.Bus.Read(ctx, bus.All("decision", a.Tenant), from, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return status.Error(codes.DataLoss, err.Error())
		}
		for _, d := range batch.GetDecisions() {
			if (request.GetSource() == "" || request.GetSource() == d.GetSource()) && within(judge.Placed(d.GetTime(), batch.GetReceived()), request.GetFrom(), request.GetUntil()) {
				suggestion.See(d)
			}
		}
		return nil
	})
	if err != nil {
		return nil, asStatus(err)
	}
	return suggestion.Answer(), nil
}
