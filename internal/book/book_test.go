// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package book

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func open(b *bus.Bus) *Book[*curfewv1.Grant] {
	return New(Kind[*curfewv1.Grant]{
		Root: "grant", Subject: bus.GrantSubject, ID: (*curfewv1.Grant).GetId, Tenant: (*curfewv1.Grant).GetTenant,
		IsOver: func(g *curfewv1.Grant) bool { return g.GetState() == curfewv1.GrantState_GRANT_STATE_REVOKED },
		Step: func(g *curfewv1.Grant, at time.Time, author, detail string) proto.Message {
			return &curfewv1.GrantStep{Format: bus.Format, Grant: g, Time: timestamppb.New(at), Author: author, Detail: detail}
		},
		Read: func(m bus.Message) (*curfewv1.Grant, time.Time, error) {
			step := new(curfewv1.GrantStep)
			err := m.Decode(step)
			return step.GetGrant(), step.GetTime().AsTime(), err
		},
	}, b, "main")
}

func in(id string, state curfewv1.GrantState) *curfewv1.Grant {
	return &curfewv1.Grant{Id: id, Tenant: "main", State: state}
}

// Whoever stored a step may come to note it after another writer's end of it was brought: what is over stays over.
func TestALateNoteRaisesNobody(t *testing.T) {
	b := bustest.New(t)
	k := open(b)
	active, revoked := in("g", curfewv1.GrantState_GRANT_STATE_ACTIVE), in("g", curfewv1.GrantState_GRANT_STATE_REVOKED)
	step := k.step(Change[*curfewv1.Grant]{Next: active}, time.Now())
	k.came(Entry[*curfewv1.Grant]{Value: revoked, Sequence: 2}, nil)
	k.stored(Change[*curfewv1.Grant]{Next: active}, step, 1)
	if got := k.Len(); got != 0 {
		t.Errorf("%d are alive, want none", got)
	}
	k.stored(Change[*curfewv1.Grant]{Next: in("h", curfewv1.GrantState_GRANT_STATE_ACTIVE)}, step, 3)
	if got := k.Len(); got != 1 {
		t.Errorf("%d are alive, want the one that was stored just now", got)
	}
}

// Many writers, each with a book of its own: once all have read all of it, all books say the same as the stream.
func TestBooksAgree(t *testing.T) {
	b := bustest.New(t)
	books := []*Book[*curfewv1.Grant]{open(b), open(b), open(b)}
	for _, k := range books {
		go func() { _ = k.Follow(t.Context(), nil) }()
		<-k.Ready()
	}
	var writers sync.WaitGroup
	for n, k := range books {
		writers.Go(func() {
			for i := range 300 {
				_, err := k.Change(t.Context(), fmt.Sprint(i), "service:test", time.Now, func(g *curfewv1.Grant) (*curfewv1.Grant, string, bool) {
					next := in(fmt.Sprint(i), g.GetState()+1) // unspecified, requested, approved, granting: over is beyond
					if g.GetId() != "" && i%3 == n {
						next.State = curfewv1.GrantState_GRANT_STATE_REVOKED
					}
					return next, "", g.GetState() != curfewv1.GrantState_GRANT_STATE_REVOKED
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	want, end := map[string]bool{}, uint64(0)
	if err := b.Read(t.Context(), bus.All("grant", "main"), bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.GrantStep)
		err := m.Decode(step)
		want[step.GetGrant().GetId()], end = step.GetGrant().GetState() != curfewv1.GrantState_GRANT_STATE_REVOKED, m.Sequence
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for n, k := range books {
		if err := k.Reached(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		for id, alive := range want {
			if _, got := k.Get(id); got != alive {
				t.Errorf("book %d has %s alive: %v, want %v", n, id, got, alive)
			}
		}
	}
}
