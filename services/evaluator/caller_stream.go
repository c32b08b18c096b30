// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// proveEvery is how often the caller of a stream is looked at again.
const proveEvery = 500 * time.Millisecond

// called is a stream whose context knows the caller.
type called struct {
	grpc.ServerStream
	ctx context.Context
}

// Context returns the context that callerOf takes.
func (c called) Context() context.Context { return c.ctx }

// whileProven runs a stream's handler for as long as its caller is proven: a token that is ended ends what it began.
func (a *api) whileProven(server any, stream grpc.ServerStream, handler grpc.StreamHandler) error {
	ctx, err := a.authenticate(stream.Context())
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.stillProven(ctx); err != nil {
			end(err)
		}
	}()
	err = handler(server, called{stream, ctx})
	cause := context.Cause(ctx)
	end(context.Canceled)
	<-done
	if _, ours := status.FromError(cause); err != nil && cause != nil && ours {
		return cause
	}
	return err
}

// stillProven returns why the caller is no longer proven, or nil once ctx ends.
func (a *api) stillProven(ctx context.Context) error {
	c := callerOf(ctx)
	var over <-chan time.Time
	if !c.until.IsZero() {
		timer := time.NewTimer(time.Until(c.until))
		defer timer.Stop()
		over = timer.C
	}
	again := time.NewTicker(proveEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			return status.Errorf(codes.Unauthenticated, "what proved %s ended at %s", c.subject, c.until.UTC().Format(time.RFC3339))
		case <-again.C:
		}
		now, err := a.prove(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && status.Code(err) != codes.Unavailable: // then nobody can tell, and nothing new comes either
			return err
		case err == nil && now.subject != c.subject:
			return status.Errorf(codes.Unauthenticated, "the caller is no longer %s but %s; call again", c.subject, now.subject)
		}
	}
}
