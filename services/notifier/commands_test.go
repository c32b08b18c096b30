// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// counter is a place where people can click.
type counter struct {
	*place
	clicks   chan *curfewv1.Command
	taken    chan error
	answered chan *curfewv1.CommandStep
	refuse   int
}

func newCounter() *counter {
	return &counter{place: newPlace(), clicks: make(chan *curfewv1.Command), taken: make(chan error, 10), answered: make(chan *curfewv1.CommandStep, 10)}
}

// Listen hands clicks on.
func (c *counter) Listen(ctx context.Context, take func(context.Context, *curfewv1.Command) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case click := <-c.clicks:
			c.taken <- take(ctx, click)
		}
	}
}

// Answer keeps what people are told.
func (c *counter) Answer(_ context.Context, step *curfewv1.CommandStep) error {
	if c.refuse > 0 {
		c.refuse--
		return errors.New("not now")
	}
	c.answered <- step
	return nil
}

// A click is on disk before it is answered, once however often it comes, and who clicked hears what came of it, once.
func TestAClickIsACommand(t *testing.T) {
	b, place := bustest.New(t), newCounter()
	place.refuse = 1
	run(t, b, map[string]Receiver{"slack": place})
	click := func() *curfewv1.Command {
		return &curfewv1.Command{Id: "c1", Kind: curfewv1.CommandKind_COMMAND_KIND_ACKNOWLEDGE, Actor: &curfewv1.CommandActor{System: "slack", Id: "U1"}}
	}
	for range 3 {
		place.clicks <- click()
		if err := <-place.taken; err != nil {
			t.Fatal(err)
		}
	}
	var steps []*curfewv1.CommandStep
	var last uint64
	if err := b.Read(t.Context(), bus.CommandSubject("main", "c1"), bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.CommandStep)
		steps, last = append(steps, step), m.Sequence
		return m.Decode(step)
	}); err != nil {
		t.Fatal(err)
	}
	if len(steps) != 1 || steps[0].GetState() != curfewv1.CommandState_COMMAND_STATE_ASKED || steps[0].GetCommand().GetReceiver() != "slack" || steps[0].GetCommand().GetTenant() != "main" {
		t.Fatalf("got %v", steps)
	}
	if _, err := b.Append(t.Context(), bus.CommandSubject("main", "c1"), last, &curfewv1.CommandStep{
		Format: 1, Command: steps[0].GetCommand(), State: curfewv1.CommandState_COMMAND_STATE_DONE, Time: timestamppb.New(time.Now()), Text: "It is yours.",
	}); err != nil {
		t.Fatal(err)
	}
	select {
	case step := <-place.answered:
		if step.GetText() != "It is yours." {
			t.Errorf("got %v", step)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody is told what came of it")
	}
	select {
	case step := <-place.answered:
		t.Errorf("told twice: %v", step)
	case <-time.After(300 * time.Millisecond):
	}
}
