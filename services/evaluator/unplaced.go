// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const (
	// unplacedWindow is how far back is looked where the caller does not say.
	unplacedWindow = 7 * 24 * time.Hour
	// MaxUnplaced is how many accounts one answer of ListUnplaced names: if it names as many, there may be more.
	MaxUnplaced = 10_000
	// maxAccounts bounds what is counted at once.
	maxAccounts = 1_000_000
)

// ListUnplaced returns the accounts that acted and belonged to nobody known when they did, and do not by now, the most
// active first. Whoever failed to sign in is none: that an account exists is not said by it.
func (a *api) ListUnplaced(ctx context.Context, request *curfewv1.ListUnplacedRequest) (*curfewv1.ListUnplacedResponse, error) {
	if err := a.allow(ctx, "policy.unplaced", "policy", request); err != nil {
		return nil, err
	}
	if err := checkWindow(request.GetFrom(), nil); err != nil {
		return nil, err
	}
	now := time.Now()
	from := request.GetFrom()
	if from == nil {
		from = timestamppb.New(now.Add(-unplacedWindow))
	}
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return nil, asStatus(err)
	}
	count := unplaced{}
	// A decision is stored after its event happened, but for clocks that differ.
	start := bus.From{Time: earlier(from.AsTime(), now).Add(-judge.MaxSkew)}
	if err := a.Bus.Read(ctx, bus.All("decision", a.Tenant), start, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return status.Error(codes.DataLoss, err.Error())
		}
		for _, d := range batch.GetDecisions() {
			if at := judge.Placed(d.GetTime(), batch.GetReceived()); within(at, from, nil) {
				count.add(d, at)
			}
		}
		if len(count) > maxAccounts {
			return status.Errorf(codes.ResourceExhausted, "more than %d accounts that belong to nobody known acted since %s; ask for a shorter time", maxAccounts, from.AsTime().Format(time.RFC3339))
		}
		return nil
	}); err != nil {
		return nil, asStatus(err)
	}
	return &curfewv1.ListUnplacedResponse{Accounts: count.list(by.Belongs(now))}, nil
}

// unplaced is accounts by their subject.
type unplaced map[string]*curfewv1.UnplacedAccount

// add counts those of a decision's subject and person who belonged to nobody.
func (u unplaced) add(d *curfewv1.Decision, at *timestamppb.Timestamp) {
	if d.GetAct() == "login" && d.GetOutcome() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		return
	}
	for _, subject := range []string{d.GetSubject(), d.GetPerson()} {
		if !strings.HasPrefix(subject, "unknown:") {
			continue
		}
		account := u[subject]
		if account == nil {
			account = &curfewv1.UnplacedAccount{Subject: subject, Source: d.GetSource(), Last: at}
			u[subject] = account
		}
		account.Decisions++
		if at.AsTime().After(account.GetLast().AsTime()) {
			account.Last = at
		}
	}
}

// list is the accounts that are nobody's by now, the most active first.
func (u unplaced) list(belongs func(subject string) bool) []*curfewv1.UnplacedAccount {
	accounts := slices.DeleteFunc(slices.Collect(maps.Values(u)), func(a *curfewv1.UnplacedAccount) bool { return belongs(a.GetSubject()) })
	slices.SortFunc(accounts, func(a, b *curfewv1.UnplacedAccount) int {
		return cmp.Or(cmp.Compare(b.GetDecisions(), a.GetDecisions()), cmp.Compare(a.GetSubject(), b.GetSubject()))
	})
	return accounts[:min(len(accounts), MaxUnplaced)]
}
