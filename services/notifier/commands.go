// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// answerUntil is how long after a command people are still told what came of it.
const answerUntil = time.Hour

// listen takes what people ask for in receivers, and tells them what came of it, until ctx ends, whose error it returns.
func (o Options) listen(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for name, receiver := range o.Receivers {
		listener, can := receiver.(Listener)
		if !can {
			continue
		}
		group.Go(func() error {
			return o.again(ctx, "listen", func(ctx context.Context) error {
				return listener.Listen(ctx, func(ctx context.Context, c *curfewv1.Command) error { return o.command(ctx, name, c) })
			})
		})
	}
	group.Go(func() error {
		return o.again(ctx, "commands", func(ctx context.Context) error {
			return o.Bus.Consume(ctx, bus.Consumer{
				Service: "notifier", Name: "notifier-commands-" + o.Tenant, Filter: bus.All("command", o.Tenant),
				Dead: func(reason string) { o.Metrics.Dead("notifier", reason) },
			}, o.answer)
		})
	})
	return group.Wait()
}

// command stores what somebody asked for. Nil means that it is on disk, by this call or an earlier one: the same click is
// the same command.
func (o Options) command(ctx context.Context, receiver string, c *curfewv1.Command) error {
	c.Tenant, c.Receiver = o.Tenant, receiver
	_, err := o.Bus.Append(ctx, bus.CommandSubject(o.Tenant, c.GetId()), 0, &curfewv1.CommandStep{
		Format: bus.Format, Command: c, State: curfewv1.CommandState_COMMAND_STATE_ASKED, Time: timestamppb.New(o.Clock.Now()),
	})
	if errors.Is(err, bus.ErrConflict) {
		return nil
	}
	if err == nil {
		o.Metrics.Commanded(receiver, "asked")
	}
	return err
}

// answer tells whoever clicked what came of it, where they clicked.
func (o Options) answer(ctx context.Context, m bus.Message) error {
	step := new(curfewv1.CommandStep)
	if err := m.Decode(step); err != nil {
		return bus.Permanent("unreadable command", err)
	}
	if step.GetState() == curfewv1.CommandState_COMMAND_STATE_ASKED {
		return nil
	}
	listener, can := o.Receivers[step.GetCommand().GetReceiver()].(Listener)
	outcome := "done"
	if step.GetState() == curfewv1.CommandState_COMMAND_STATE_REFUSED {
		outcome = "refused"
	}
	if !can || o.Clock.Now().Sub(step.GetTime().AsTime()) > answerUntil {
		o.Metrics.Commanded(step.GetCommand().GetReceiver(), outcome+"-untold")
		o.Log.Warn("nobody is told what came of a command: its receiver is gone, or it is too long ago", "command", step.GetCommand().GetId(), "receiver", step.GetCommand().GetReceiver())
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeTime)
	defer cancel()
	if err := listener.Answer(ctx, step); err != nil {
		return err
	}
	o.Metrics.Commanded(step.GetCommand().GetReceiver(), outcome)
	return nil
}
