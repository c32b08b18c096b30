// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"fmt"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// tell stores what a batch of events told of memberships and roles, before any of the batch is judged: who was put into a
// group and used it in the same minute had the right. It returns once this evaluator knows of it.
func (l *lane) tell(ctx context.Context, sequence uint64, batch *curfewv1.EventBatch) error {
	links := &curfewv1.LinkBatch{Format: bus.Format, Tenant: l.Tenant, Source: l.source, Feed: l.feed, EventSequence: sequence}
	for _, e := range batch.GetEvents() {
		if len(e.GetLinks()) == 0 || e.GetOutcome().GetStatus() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE || !judge.IsPlaced(e) {
			continue
		}
		for _, change := range e.GetLinks() {
			links.Facts = append(links.Facts, &curfewv1.LinkFact{EventId: e.GetId(), Time: e.GetTime(), Known: e.GetReceived(), Change: change})
		}
	}
	if len(links.GetFacts()) == 0 {
		return nil
	}
	stored, err := l.Bus.Publish(ctx, bus.LinkSubject(l.Tenant, l.source), fmt.Sprintf("%s/%s/%d", l.source, l.feed, sequence), links)
	if err != nil {
		return err
	}
	return l.knowledge.wait(ctx, reached{linksRoot: stored})
}

// arrival is a message and when it was there: all that was stored before that is known before it is judged.
type arrival struct {
	bus.Message
	at time.Time
}
