// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// history is a stretch of what is recorded: decisions with the events that they are about.
type history struct {
	bus         *bus.Bus
	tenant      string
	source      string // "" = all
	from, until *timestamppb.Timestamp

	// How far reading is. Batches that lie before the stretch count as read once their lane is.
	events, batches, batchesTotal atomic.Uint64
}

// pair is a batch of decisions with the events that it is about.
type pair struct {
	decided verdicts
	wanted  []bool            // whether a verdict is in the stretch
	message bus.Message       // the events as stored; without data where they are kept no longer
	events  []*curfewv1.Event // read from message
}

// read hands every pair of the stretch to look, several at once, and what that returns to take, one after the other and in
// no order. One core is left to those who judge what comes in meanwhile.
func (h *history) read(ctx context.Context, look func(pair) outcome, take func(outcome)) error {
	filter := bus.All("decision", h.tenant)
	if h.source != "" {
		filter = bus.All("decision", h.tenant, h.source)
	}
	lanes, err := h.bus.Subjects(ctx, filter)
	if err != nil {
		return err
	}
	for _, batches := range lanes {
		h.batchesTotal.Add(batches)
	}
	workers := max(1, runtime.GOMAXPROCS(0)-1)
	pairs, looked := make(chan pair, workers), make(chan outcome, workers)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(pairs)
		for _, subject := range slices.Sorted(maps.Keys(lanes)) {
			if err := h.readLane(ctx, subject, lanes[subject], pairs); err != nil {
				return err
			}
		}
		return nil
	})
	var looking sync.WaitGroup
	for range workers {
		looking.Go(func() {
			for p := range pairs {
				p.decode()
				looked <- look(p)
			}
		})
	}
	group.Go(func() error {
		looking.Wait()
		close(looked)
		return nil
	})
	for o := range looked {
		take(o)
	}
	return group.Wait()
}

// decode reads the events. A batch that cannot be read has none: its decisions say so.
func (p *pair) decode() {
	if events, err := readEvents(p.message.Data); err == nil {
		p.events = events
	}
}

// readLane reads the decisions of a lane and, in step with them, its events.
func (h *history) readLane(ctx context.Context, subject string, batches uint64, pairs chan<- pair) error {
	tenant, source, feed, _ := bus.SplitLane(subject)
	start := bus.From{}
	if h.from != nil {
		// A decision is stored after its event happened, but for clocks that differ.
		start.Time = earlier(h.from.AsTime(), time.Now()).Add(-judge.MaxSkew)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := eventReader{bus: h.bus, subject: bus.EventSubject(tenant, source, feed)}
	read := uint64(0)
	err := h.bus.Read(ctx, subject, start, func(m bus.Message) error {
		if read++; read <= batches {
			h.batches.Add(1)
		}
		decided, err := readVerdicts(m.Data)
		if err != nil {
			return err
		}
		p := pair{decided: decided}
		if !h.choose(&p) {
			return nil
		}
		if p.message, err = events.at(ctx, p.decided.sequence); err != nil {
			return err
		}
		select {
		case pairs <- p:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if read < batches {
		h.batches.Add(batches - read)
	}
	cancel()
	events.wait()
	return err
}

// choose marks the verdicts of a pair that are in the stretch, and returns whether there are any.
func (h *history) choose(p *pair) (any bool) {
	p.wanted = make([]bool, len(p.decided.of))
	for i, v := range p.decided.of {
		// A correction is about an event that another decision is about already.
		p.wanted[i] = !v.corrected && within(judge.Placed(v.time, p.decided.received), h.from, h.until)
		any = any || p.wanted[i]
	}
	return any
}

// eventReader reads the events of a lane forwards.
type eventReader struct {
	bus     *bus.Bus
	subject string

	messages chan bus.Message // nil = not begun
	failed   chan error
	next     bus.Message // read already, and not yet asked for
}

// at is the message of a sequence, which is greater than any asked for before; without data where there is none.
func (r *eventReader) at(ctx context.Context, sequence uint64) (bus.Message, error) {
	if r.messages == nil {
		r.messages, r.failed = make(chan bus.Message, 4), make(chan error, 1)
		go func() {
			defer close(r.messages)
			r.failed <- r.bus.Read(ctx, r.subject, bus.From{After: sequence - 1}, func(m bus.Message) error {
				select {
				case r.messages <- m:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}()
	}
	for r.next.Sequence < sequence {
		m, open := <-r.messages
		if !open {
			err := <-r.failed
			r.failed <- err
			return bus.Message{}, err
		}
		r.next = m
	}
	if r.next.Sequence > sequence {
		return bus.Message{}, nil
	}
	return r.next, nil
}

// wait returns once reading has ended.
func (r *eventReader) wait() {
	if r.messages == nil {
		return
	}
	for range r.messages {
		continue
	}
}
