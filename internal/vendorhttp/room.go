// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp

import (
	"context"
	"sync"
)

// Room bounds how many answers are in memory at once, however many sources share it and however large their pages are. It
// is safe for concurrent use.
type Room struct{ places chan struct{} }

// NewRoom returns a room with so many places.
func NewRoom(places int) *Room { return &Room{places: make(chan struct{}, places)} }

// Enter returns a context for the requests of one piece of work. A Get or Do under it waits for a place once an answer has
// begun that is a success, and the work keeps the place until leave is called, but not while the vendor makes it wait: who
// is slow to answer keeps nobody out. Leave may be called more than once.
func (r *Room) Enter(ctx context.Context) (entered context.Context, leave func()) {
	v := &visit{room: r}
	return context.WithValue(ctx, visitKey{}, v), v.leave
}

type visitKey struct{}

// visit is one piece of work and whether it has a place.
type visit struct {
	room   *Room
	mu     sync.Mutex
	inside bool
}

// visiting is the visit that a context belongs to; one to nowhere where there is none.
func visiting(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

func (v *visit) take(ctx context.Context) error {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inside {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case v.room.places <- struct{}{}:
		v.inside = true
		return nil
	}
}

func (v *visit) leave() {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inside {
		<-v.room.places
		v.inside = false
	}
}
