// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/grant"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// receiptFeed is the lane of the receipts of grants.
const receiptFeed = "grants"

const (
	// maxReceipts is how many receipts one batch holds, and maxReceiptBytes from how many bytes on it takes no more.
	maxReceipts     = 128
	maxReceiptBytes = 256 << 10
	// largeReceipt is the size from which a receipt goes to the object store.
	largeReceipt = 128 << 10
	// maxReceiptsKnown is of how many grants the newest step is kept; the others are read again.
	maxReceiptsKnown = 100_000
)

// writeReceipts keeps one process writing the receipts of grants into the access log's lane, until ctx ends.
func (e *evaluator) writeReceipts(ctx context.Context) error {
	lease := bus.Lease{Name: "evaluator receipts " + e.Tenant, Holder: e.Holder, Length: leaseLength}
	e.Bus.Keep(ctx, lease, maxBackoff, func(ctx context.Context) (bool, error) {
		r := &receipts{evaluator: e, known: map[string]receipted{}}
		err := r.write(ctx)
		return r.progressed, err
	}, func(err error, delay time.Duration) {
		if errors.Is(err, bus.ErrConflict) {
			e.Log.Info("another evaluator writes the receipts of grants")
			return
		}
		e.Log.Error("writing receipts of grants broke off; going on behind the last", "delay", delay, "error", err)
		e.Metrics.Failed("evaluator", "receipts")
	})
	return ctx.Err()
}

// receipts writes an event for each step of a grant that a reader of the access log must see. Where it stands is not kept
// apart: the cursor of the lane's newest batch is the last step that has a receipt, so that none is written twice.
type receipts struct {
	*evaluator
	known      map[string]receipted
	last       uint64 // sequence of the lane's newest batch
	digest     []byte // its digest
	progressed bool
}

// receipted is what of a grant's last step says whether the next one needs a receipt.
type receipted struct {
	state curfewv1.GrantState
	until int64 // expires_at
}

// write follows GRANTS from where the lane stands. bus.ErrConflict means that another writer came in between.
func (r *receipts) write(ctx context.Context) error {
	after, err := r.stands(ctx)
	if err != nil {
		return err
	}
	steps := make(chan bus.Message, 2*maxReceipts)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(steps)
		return r.Bus.Follow(ctx, bus.All("grant", r.Tenant), bus.From{After: after}, func(m bus.Message) error {
			select {
			case steps <- m:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	group.Go(func() error {
		for first := range steps {
			if err := r.append(ctx, first, steps); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// stands is the sequence on GRANTS of the last step that has its receipt.
func (r *receipts) stands(ctx context.Context) (uint64, error) {
	newest, err := r.Bus.Last(ctx, bus.EventSubject(r.Tenant, judge.Self, receiptFeed))
	if errors.Is(err, bus.ErrNotFound) {
		return 0, nil
	}
	batch := new(curfewv1.EventBatch)
	if err == nil {
		err = newest.Decode(batch)
	}
	if err != nil {
		return 0, err
	}
	r.last, r.digest = newest.Sequence, newest.Digest()
	after, err := strconv.ParseUint(batch.GetCursor(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read how far receipts are written: batch %d of the lane %s/%s has the cursor %q", r.last, judge.Self, receiptFeed, batch.GetCursor())
	}
	return after, nil
}

// append writes the receipts of a step and of those that wait behind it in one batch, if there are any.
func (r *receipts) append(ctx context.Context, m bus.Message, waiting <-chan bus.Message) error {
	now := timestamppb.Now()
	batch := &curfewv1.EventBatch{Format: bus.Format, Tenant: r.Tenant, Source: judge.Self, Feed: receiptFeed, Received: now}
	for size := 0; ; {
		e, err := r.receipt(ctx, m, now)
		if err != nil {
			return err
		}
		if e != nil {
			batch.Events, batch.Cursor = append(batch.Events, e), strconv.FormatUint(m.Sequence, 10)
			size += len(e.GetRaw())
		}
		if len(batch.GetEvents()) >= maxReceipts || size >= maxReceiptBytes {
			break
		}
		more := false
		select {
		case m, more = <-waiting:
		default:
		}
		if !more {
			break
		}
	}
	if len(batch.GetEvents()) == 0 {
		return nil
	}
	batch.Records, batch.Newest = uint32(len(batch.GetEvents())), now
	batch.PreviousSequence, batch.PreviousDigest = r.last, r.digest
	sequence, digest, err := r.Bus.AppendDigest(ctx, bus.EventSubject(r.Tenant, judge.Self, receiptFeed), r.last, batch)
	if err != nil {
		return err
	}
	r.last, r.digest, r.progressed = sequence, digest, true
	return nil
}

// receipt is the event that a step is; nil where it needs none.
func (r *receipts) receipt(ctx context.Context, m bus.Message, now *timestamppb.Timestamp) (*curfewv1.Event, error) {
	step := new(curfewv1.GrantStep)
	if err := m.Decode(step); err != nil {
		r.Log.Error("a step of a grant cannot be read, so that it has no receipt", "sequence", m.Sequence, "error", err)
		return nil, nil // watchGrants puts it among the dead letters
	}
	g := step.GetGrant()
	was, err := r.before(ctx, m, g)
	if err != nil {
		return nil, err
	}
	r.remember(g)
	action := receiptOf(was, receiptedAs(g))
	if action == "" {
		return nil, nil
	}
	detail, err := protojson.Marshal(g)
	if err != nil {
		r.Log.Error("a grant cannot be written as JSON, so that this step has no receipt", "grant", g.GetId(), "sequence", m.Sequence, "error", err)
		r.Metrics.Failed("evaluator", "receipts")
		return nil, nil
	}
	known, _ := r.Catalog.Action(judge.Self, receiptFeed, action)
	e := &curfewv1.Event{
		Id:     event.ID(judge.Self, fmt.Sprintf("grant-%s-%d", g.GetId(), m.Sequence), 0),
		Tenant: r.Tenant, Source: judge.Self, Feed: receiptFeed, Time: step.GetTime(), Received: now,
		Action: action, Act: known.Act, Actor: authorOf(step),
		Resource: &curfewv1.Resource{Path: event.Path("grant", g.GetId()), Kind: "grant", Name: g.GetId()},
		Outcome:  &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS, Reason: event.Clean(step.GetDetail())},
		Raw:      detail, RawDigest: event.Digest(detail),
	}
	if len(detail) > largeReceipt {
		if e.RawObject, err = r.Bus.PutObject(ctx, detail); err != nil {
			return nil, err
		}
		e.Raw = nil
	}
	return e, nil
}

// authorOf is who took a step, as an event names them.
func authorOf(step *curfewv1.GrantStep) *curfewv1.Actor {
	if person, is := strings.CutPrefix(step.GetAuthor(), "person:"); is {
		return &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: person, Name: person}
	}
	name := cmp.Or(strings.TrimPrefix(step.GetAuthor(), "service:"), judge.Self)
	return &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_SERVICE, Id: name, Name: name}
}

// before is how the step before one left the grant.
func (r *receipts) before(ctx context.Context, m bus.Message, g *curfewv1.Grant) (receipted, error) {
	was, known := r.known[g.GetId()]
	if known || receiptOf(receipted{}, receiptedAs(g)) == "" && g.GetState() != curfewv1.GrantState_GRANT_STATE_APPROVED {
		return was, nil
	}
	err := r.Bus.Read(ctx, m.Subject, bus.From{}, func(earlier bus.Message) error {
		step := new(curfewv1.GrantStep)
		if earlier.Sequence < m.Sequence && earlier.Decode(step) == nil {
			was = receiptedAs(step.GetGrant())
		}
		return nil
	})
	return was, err
}

func (r *receipts) remember(g *curfewv1.Grant) {
	if len(r.known) >= maxReceiptsKnown {
		clear(r.known)
	}
	r.known[g.GetId()] = receiptedAs(g)
}

func receiptedAs(g *curfewv1.Grant) receipted {
	r := receipted{state: g.GetState()}
	if g.GetExpiresAt() != nil {
		r.until = temporal.Nanos(g.GetExpiresAt().AsTime())
	}
	return r
}

// receiptOf is the action of the receipt that a step has; "" where it has none.
func receiptOf(was, is receipted) string {
	if was.state == is.state {
		movable := is.state == curfewv1.GrantState_GRANT_STATE_ACTIVE || is.state == curfewv1.GrantState_GRANT_STATE_APPROVED
		if movable && was.until != is.until {
			return "grants.extended"
		}
		return ""
	}
	switch is.state {
	case curfewv1.GrantState_GRANT_STATE_ACTIVE:
		return "grants.active"
	case curfewv1.GrantState_GRANT_STATE_STUCK:
		return "grants.stuck"
	case curfewv1.GrantState_GRANT_STATE_REVOKED:
		return "grants.ended"
	case curfewv1.GrantState_GRANT_STATE_DENIED, curfewv1.GrantState_GRANT_STATE_CANCELLED, curfewv1.GrantState_GRANT_STATE_FAILED:
		return "grants." + grant.Say(is.state)
	default:
		return ""
	}
}
