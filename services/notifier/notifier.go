// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package notifier makes findings alerts and hands them to receivers, brings to grants what the clock brings, and tells
// people of them. It alone talks to people.
package notifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/clock"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/state"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Options is what a notifier needs.
type Options struct {
	// Bus to read findings from and keep alerts on.
	Bus *bus.Bus
	// State for the receivers' rates.
	State state.Store
	// Tenant whose findings are told.
	Tenant string
	// Mode is that of the findings of a source; "" stands for findings that are about none.
	Mode func(source string) config.Mode
	// Receivers by name.
	Receivers map[string]Receiver
	// Clock by which grants begin and end; nil = the machine's.
	Clock clock.Clock
	// Ready is called once every grant is known and what was overdue at the start is being ended; nil = nobody waits.
	Ready func()
	// Log and Metrics receive what happens.
	Log     *slog.Logger
	Metrics *telemetry.Metrics
}

// rate is how many alerts a receiver takes at once, and one each how long thereafter, before people stop reading.
const (
	rateBurst = 20
	rateEvery = 500 * time.Millisecond
)

// Run makes each finding an alert, takes the steps that the clock brings to grants and tells people of them, until ctx
// ends, whose error it returns. Several may run at once: they share the work. Notices of grants are sent in every mode:
// they are about what people asked for and hold, and no alerts.
func Run(ctx context.Context, o Options) error {
	if o.Clock == nil {
		o.Clock = clock.System(o.stepped)
	}
	n := &notifier{o}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return o.Bus.Consume(ctx, bus.Consumer{
			Service: "notifier", Name: "notifier-" + o.Tenant, Filter: bus.All("finding", o.Tenant),
			Dead: func(reason string) { o.Metrics.Dead("notifier", reason) },
		}, n.handle)
	})
	group.Go(func() error { return runGrants(ctx, o) })
	return group.Wait()
}

// stepped says that somebody set the machine's clock.
func (o Options) stepped(step time.Duration, believed bool) {
	if believed {
		o.Metrics.Stepped("believed")
		o.Log.Warn("the machine's clock has been off for ten minutes, so it is believed: grants go by it from now on", "step", step)
		return
	}
	o.Metrics.Stepped("doubted")
	o.Log.Warn("the machine's clock was set; grants go on by the time that has passed, and by the new one if it stays for ten minutes: check that the time is right", "step", step)
}

type notifier struct{ Options }

// handle takes one finding through the steps of its alert. Each step is on disk before the next, so that a repeat goes
// on where the last try stopped.
func (n *notifier) handle(ctx context.Context, m bus.Message) error {
	f := new(curfewv1.Finding)
	if err := m.Decode(f); err != nil {
		return bus.Permanent("unreadable finding", err)
	}
	life, err := n.load(ctx, f)
	if err != nil {
		return err
	}
	if life.last == 0 {
		first := &curfewv1.AlertStep{State: curfewv1.AlertState_ALERT_STATE_OPEN, Finding: f}
		if source := f.GetEvent().GetSource(); n.Mode(source) != config.Alert && !isOwed(f) {
			first.State, first.Detail = curfewv1.AlertState_ALERT_STATE_SUPPRESSED, "the mode of "+cmp.Or(source, "the whole")+" is observe: everything is recorded, nobody is alerted"
		}
		if err := n.step(ctx, life, first); err != nil {
			return err
		}
	}
	if life.suppressed {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(n.Receivers)) {
		if err := n.deliver(ctx, life, name); err != nil {
			return err
		}
	}
	return nil
}

// isOwed is whether a finding is about what Curfew itself owes, such as an end that is overdue: that is told in any mode, for
// somebody relies on it.
func isOwed(f *curfewv1.Finding) bool { return f.GetEvent() == nil && f.GetGrantId() != "" }

// life is an alert as its steps leave it.
type life struct {
	alert      *curfewv1.Alert
	last       uint64
	suppressed bool
	receivers  map[string]curfewv1.AlertState
}

func (n *notifier) load(ctx context.Context, f *curfewv1.Finding) (*life, error) {
	l := &life{
		alert:     &curfewv1.Alert{Id: f.GetId(), Tenant: f.GetTenant(), Finding: f},
		receivers: map[string]curfewv1.AlertState{},
	}
	err := n.Bus.Read(ctx, bus.AlertSubject(n.Tenant, f.GetId()), bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.AlertStep)
		if err := m.Decode(step); err != nil {
			return bus.Permanent("unreadable alert", err)
		}
		l.fold(step, m.Sequence)
		return nil
	})
	return l, err
}

func (l *life) fold(step *curfewv1.AlertStep, sequence uint64) {
	l.last, l.alert.State = sequence, step.GetState()
	l.suppressed = l.suppressed || step.GetState() == curfewv1.AlertState_ALERT_STATE_SUPPRESSED
	if step.GetReceiver() != "" {
		l.receivers[step.GetReceiver()] = step.GetState()
	}
}

// step appends one step. bus.ErrConflict means that another notifier has the same finding: it comes again, and the steps
// are read anew.
func (n *notifier) step(ctx context.Context, l *life, step *curfewv1.AlertStep) error {
	step.Format, step.AlertId, step.Tenant, step.Time = bus.Format, l.alert.GetId(), n.Tenant, timestamppb.New(time.Now())
	sequence, err := n.Bus.Append(ctx, bus.AlertSubject(n.Tenant, l.alert.GetId()), l.last, step)
	if err != nil {
		return err
	}
	l.fold(step, sequence)
	receiver := step.GetReceiver()
	if receiver == "" {
		receiver = "-"
	}
	n.Metrics.Alerted(receiver, step.GetState().String())
	return nil
}

// deliver hands the alert to one receiver unless it has it. Found as being sent, it may have been seen: it is sent again
// and says so, for a repeat is noticed and a loss is not.
func (n *notifier) deliver(ctx context.Context, l *life, name string) error {
	stood := l.receivers[name]
	if stood == curfewv1.AlertState_ALERT_STATE_SENT {
		return nil
	}
	if err := n.waitTurn(ctx, name); err != nil {
		return err
	}
	if err := n.step(ctx, l, &curfewv1.AlertStep{State: curfewv1.AlertState_ALERT_STATE_SENDING, Receiver: name}); err != nil {
		return err
	}
	repeated := stood == curfewv1.AlertState_ALERT_STATE_SENDING
	if err := n.Receivers[name].Deliver(ctx, l.alert, repeated); err != nil {
		return fmt.Errorf("deliver alert to %s: %w", name, err)
	}
	return n.step(ctx, l, &curfewv1.AlertStep{State: curfewv1.AlertState_ALERT_STATE_SENT, Receiver: name})
}

// waitTurn waits until the receiver's rate lets one more through. Where derived state cannot be asked the alert goes
// out: too fast is better than not at all.
func (n *notifier) waitTurn(ctx context.Context, name string) error {
	for {
		wait, err := n.State.Take(ctx, "receiver/"+n.Tenant+"/"+name, rateBurst, rateEvery)
		if err != nil && ctx.Err() == nil {
			n.Log.Warn("derived state does not answer; alerting without a rate limit", "receiver", name, "error", err)
			return nil
		}
		if err != nil {
			return errors.Join(ctx.Err(), err)
		}
		if wait == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}
