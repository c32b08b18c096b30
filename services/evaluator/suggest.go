// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
	"github.com/curfewhq/curfew/services/evaluator/workbench"
)

// SuggestPolicy looks through recorded decisions, by the policy in force now as if it had always been. Nothing changes but
// that the call is recorded.
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
	j := &judge.Judge{
		Tenant: a.Tenant, Pseudonyms: by.Pseudonyms, Known: by.Known,
		Policies: func(time.Time) (*judge.Policy, time.Time) { return policy, time.Time{} },
	}
	suggestion, err := workbench.Bench{Catalog: a.Catalog, Tenant: a.Tenant, Now: now}.Suggest(j, a.knowledge.people(j, now))
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	filter, from := bus.All("decision", a.Tenant), bus.From{}
	if request.GetSource() != "" {
		filter = bus.All("decision", a.Tenant, request.GetSource())
	}
	if request.GetFrom() != nil {
		// A decision is stored after its event happened, but for clocks that differ.
		from.Time = earlier(request.GetFrom().AsTime(), now).Add(-judge.MaxSkew)
	}
	err = a.Bus.Read(ctx, filter, from, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return status.Error(codes.DataLoss, err.Error())
		}
		for _, d := range batch.GetDecisions() {
			at := judge.Placed(d.GetTime(), batch.GetReceived())
			// A correction is about an event that another decision is about already.
			if d.GetCorrects() == "" && within(at, request.GetFrom(), request.GetUntil()) {
				suggestion.Add(d, at.AsTime())
			}
		}
		return nil
	})
	if err != nil {
		return nil, asStatus(err)
	}
	answer, err := suggestion.Answer()
	return answer, asStatus(err)
}

// people is everybody who has an account that is known.
func (k *knowledge) people(j *judge.Judge, now time.Time) []string {
	k.mu.Lock()
	relation := k.fold.Relation()
	k.mu.Unlock()
	var people []string
	relation.Each(func(holder string, _ []temporal.Link) bool {
		if strings.HasPrefix(holder, "account:") {
			if person := j.Owner(holder, now); person != "" {
				people = append(people, person)
			}
		}
		return true
	})
	return people
}
