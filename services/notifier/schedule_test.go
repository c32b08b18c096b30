// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/grant"
	"github.com/curfewhq/curfew/internal/state"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// plainGrant is a grant in force that stands for nothing at any SaaS, until noon and an hour.
func plainGrant(id string) *curfewv1.Grant {
	return &curfewv1.Grant{
		Id: id, Tenant: "main", Subject: "person:ann", Role: "role:support", Author: "person:ann",
		State: curfewv1.GrantState_GRANT_STATE_ACTIVE, From: timestamppb.New(noon), ExpiresAt: timestamppb.New(noon.Add(time.Hour)),
	}
}

func create(t *testing.T, b *bus.Bus, grants ...*curfewv1.Grant) {
	t.Helper()
	book := grant.NewBook(b, "main")
	for _, g := range grants {
		if err := book.Create(t.Context(), noon, g, g.GetAuthor(), ""); err != nil {
			t.Fatal(err)
		}
	}
}

// steps is a grant's life as stored: its states, with "+n" for n pages.
func steps(t *testing.T, b *bus.Bus, id string) string {
	t.Helper()
	var words []string
	if err := b.Read(t.Context(), bus.GrantSubject("main", id), bus.From{}, func(m bus.Message) error {
		word, err := word(m)
		words = append(words, word)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(words, " ")
}

func word(m bus.Message) (string, error) {
	step := new(curfewv1.GrantStep)
	err := m.Decode(step)
	word := grant.Say(step.GetGrant().GetState())
	if pages := step.GetGrant().GetPages(); pages > 0 {
		word += fmt.Sprint("+", pages)
	}
	return word, err
}

// pass moves the clock by d in seconds, each time that somebody sleeps on it, and then on until is holds. Nothing depends
// on how long anything takes: what does not come is waited for.
func pass(t *testing.T, c *clocktest.Manual, d time.Duration) {
	t.Helper()
	for ; d > 0; d -= time.Second {
		c.Move(min(d, time.Second))
		asleep(t, c)
	}
}

// asleep waits until whoever uses the clock sleeps on it.
func asleep(t *testing.T, c *clocktest.Manual) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		if d, ok := c.Next(); ok && d > 0 {
			return
		}
		select {
		case <-limit:
			t.Fatal("nobody sleeps")
		case <-time.After(time.Millisecond):
		}
	}
}

// comes waits until a grant's life is as wanted.
func comes(t *testing.T, b *bus.Bus, id, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var words []string
	there := errors.New("there")
	if err := b.Follow(ctx, bus.GrantSubject("main", id), bus.From{}, func(m bus.Message) error {
		word, err := word(m)
		if words = append(words, word); strings.Join(words, " ") == want {
			return there
		}
		return err
	}); !errors.Is(err, there) {
		t.Fatalf("grant %s: got %s, %v, want %s", id, strings.Join(words, " "), err, want)
	}
}

func TestTheClockBringsTheTurns(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			b, c := bustest.New(t), clocktest.New(noon)
			store, _ := open(t)
			later := plainGrant("later")
			later.State, later.From = curfewv1.GrantState_GRANT_STATE_APPROVED, timestamppb.New(noon.Add(10*time.Minute))
			asked := plainGrant("asked")
			asked.State, asked.AnswerBy, asked.ApprovalsNeeded = curfewv1.GrantState_GRANT_STATE_REQUESTED, timestamppb.New(noon.Add(5*time.Minute)), 1
			more := plainGrant("more")
			more.Extension = &curfewv1.Extension{By: durationpb.New(time.Hour), Author: "person:ann", AnswerBy: timestamppb.New(noon.Add(30 * time.Minute))}
			overdue := live("overdue", noon.Add(-2*time.Hour), noon.Add(-16*time.Minute))
			create(t, b, later, asked, more, overdue)
			serveGrants(t, grantOptions(b, store, c))
			comes(t, b, "overdue", "active revoking+2") // after five minutes and after fifteen, in one step
			asleep(t, c)
			pass(t, c, 5*time.Minute-time.Millisecond)
			if got := steps(t, b, "asked"); got != "requested" {
				t.Errorf("a millisecond before: got %s", got)
			}
			c.Move(time.Millisecond)
			comes(t, b, "asked", "requested cancelled")
			c.Move(5 * time.Minute)
			comes(t, b, "later", "approved active")
			c.Move(20 * time.Minute)
			comes(t, b, "more", "active active") // nobody answered the extension
			c.Move(30 * time.Minute)
			comes(t, b, "later", "approved active revoked")
			comes(t, b, "more", "active active revoked")
		})
	}
}

func TestPagesComeAgain(t *testing.T) {
	b, c := bustest.New(t), clocktest.New(noon)
	create(t, b, live("g", noon, noon.Add(time.Minute)))
	serveGrants(t, grantOptions(b, state.NewMemory(), c))
	want := "active"
	for i, d := range []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 45 * time.Minute, 3 * time.Hour, 20 * time.Hour, 24 * time.Hour} {
		asleep(t, c)
		c.Move(d - time.Second)
		asleep(t, c)
		if got := steps(t, b, "g"); got != want {
			t.Fatalf("before it is due: got %s, want %s", got, want)
		}
		c.Move(time.Second)
		if want += " revoking"; i > 0 {
			want += fmt.Sprint("+", i)
		}
		comes(t, b, "g", want)
	}
}

// What is lost of derived state is found: by the sweep within 30 seconds, or in time where it is not due yet.
func TestALostIndexLosesNothing(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			b, c := bustest.New(t), clocktest.New(noon.Add(30*time.Minute))
			store, flush := open(t)
			grants := make([]*curfewv1.Grant, 50)
			for i := range grants {
				grants[i] = plainGrant(fmt.Sprint("g", i))
			}
			create(t, b, grants...)
			serveGrants(t, grantOptions(b, store, c))
			asleep(t, c)
			flush()
			pass(t, c, 2*time.Second)
			c.Move(30*time.Minute - 7*time.Second)
			pass(t, c, 3*time.Second) // what is due soon is there again, and is lost again two seconds before
			flush()
			pass(t, c, 30*time.Second)
			for _, g := range grants {
				comes(t, b, g.GetId(), "active revoked")
			}
		})
	}
}

// Two schedulers over one index share the work, and over two indexes, as while Redis is away, do it twice: each turn is
// stored once.
func TestTwoSchedulersTurnOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		stores func(t *testing.T) [2]state.Store
	}{
		{"one index", func(t *testing.T) [2]state.Store {
			server := miniredis.RunT(t)
			return [2]state.Store{openRedis(t, server), openRedis(t, server)}
		}},
		{"two indexes", func(*testing.T) [2]state.Store { return [2]state.Store{state.NewMemory(), state.NewMemory()} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, clock := bustest.New(t), clocktest.New(noon)
			grants := make([]*curfewv1.Grant, 300)
			for i := range grants {
				grants[i] = plainGrant(fmt.Sprint("g", i))
			}
			create(t, b, grants...)
			for _, store := range c.stores(t) {
				serveGrants(t, grantOptions(b, store, clock))
			}
			asleep(t, clock)
			clock.Move(time.Hour)
			for _, g := range grants {
				comes(t, b, g.GetId(), "active revoked")
			}
			pass(t, clock, 40*time.Second) // beyond every hold and sweep
			if end, err := b.End(t.Context(), "grant"); err != nil || end != 600 {
				t.Errorf("steps in all: got %d, %v, want two a grant", end, err)
			}
		})
	}
}

// dying is derived state of a scheduler that is killed behind a claim.
type dying struct {
	state.Store
	claimed chan struct{}
}

// Claim claims for good, and never says so.
func (d *dying) Claim(ctx context.Context, index string, now time.Time, hold time.Duration, limit int) ([]string, error) {
	items, err := d.Store.Claim(ctx, index, now, hold, limit)
	if len(items) == 0 {
		return items, err
	}
	d.claimed <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestWhatADeadSchedulerClaimedComesAgain(t *testing.T) {
	b, c := bustest.New(t), clocktest.New(noon)
	server := miniredis.RunT(t)
	create(t, b, plainGrant("g"))
	d := &dying{openRedis(t, server), make(chan struct{}, 1)}
	stop := serveGrants(t, grantOptions(b, d, c))
	asleep(t, c)
	c.Move(time.Hour)
	<-d.claimed
	stop()
	if got := steps(t, b, "g"); got != "active" {
		t.Fatalf("got %s, want it killed before it stored", got)
	}
	serveGrants(t, grantOptions(b, openRedis(t, server), c))
	pass(t, c, 30*time.Second)
	comes(t, b, "g", "active revoked")
}

func TestGrantsEndWithoutDerivedState(t *testing.T) {
	b, c := bustest.New(t), clocktest.New(noon)
	store := &absent{Store: state.NewMemory()}
	one, two, three := plainGrant("one"), plainGrant("two"), plainGrant("three")
	one.ExpiresAt, three.ExpiresAt = timestamppb.New(noon.Add(10*time.Minute)), timestamppb.New(noon.Add(2*time.Hour))
	create(t, b, one, two, three)
	serveGrants(t, grantOptions(b, store, c))
	asleep(t, c)
	c.Move(10*time.Minute - 5*time.Second)
	pass(t, c, 2*time.Second)
	store.away.Store(true) // between two sweeps
	pass(t, c, 3*time.Second)
	comes(t, b, "one", "active revoked") // and on time
	pass(t, c, 3*time.Second)
	c.Move(50 * time.Minute)
	comes(t, b, "two", "active revoked")
	store.Store = state.NewMemory() // it comes back empty
	store.away.Store(false)
	pass(t, c, 2*retryTime)
	c.Move(58 * time.Minute)
	pass(t, c, 58*time.Second)
	if due, ok, err := store.Store.Next(t.Context(), "grants/main"); err != nil || !ok || !due.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("next in the index: got %v, %v, %v, want what is due soon there again", due, ok, err)
	}
	pass(t, c, time.Minute)
	comes(t, b, "three", "active revoked")
}

func TestAClockThatJumpsBackEndsNothingTwice(t *testing.T) {
	b, c := bustest.New(t), clocktest.New(noon)
	one, two := plainGrant("one"), plainGrant("two")
	two.ExpiresAt = timestamppb.New(noon.Add(2 * time.Hour))
	create(t, b, one, two)
	serveGrants(t, grantOptions(b, state.NewMemory(), c))
	asleep(t, c)
	c.Move(time.Hour)
	comes(t, b, "one", "active revoked")
	asleep(t, c)
	c.Move(-24 * time.Hour) // as believed after ten minutes
	three := plainGrant("three")
	three.From, three.ExpiresAt = timestamppb.New(noon.Add(-24*time.Hour)), timestamppb.New(noon.Add(-22*time.Hour))
	create(t, b, three)
	asleep(t, c)
	c.Move(time.Hour)
	comes(t, b, "three", "active revoked")
	c.Move(23*time.Hour - time.Minute)
	pass(t, c, 2*time.Second)
	if got := steps(t, b, "two"); got != "active" {
		t.Errorf("before its end: got %s", got)
	}
	c.Move(time.Hour + time.Minute)
	comes(t, b, "two", "active revoked")
	if got := steps(t, b, "one"); got != "active revoked" {
		t.Errorf("got %s", got)
	}
}

// A grant that cannot be stored keeps no other from ending.
func TestOneThatCannotBeStoredHoldsNobodyUp(t *testing.T) {
	b, c := bustest.New(t), clocktest.New(noon)
	grants := make([]*curfewv1.Grant, 60)
	for i := range grants {
		grants[i] = plainGrant(fmt.Sprint("g", i))
	}
	create(t, b, grants...)
	o := grantOptions(b, state.NewMemory(), c)
	book := grant.NewBook(b, "main")
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan error, 1)
	go func() { followed <- book.Follow(ctx, nil) }()
	<-book.Ready()
	s := newScheduler(o, book)
	changes := make([]grant.Change, 0, len(grants))
	book.Each(func(e grant.Entry) bool {
		changes = append(changes, turned(e, noon.Add(time.Hour)))
		return true
	})
	slices.SortFunc(changes, func(x, y grant.Change) int { return strings.Compare(x.Next.GetId(), y.Next.GetId()) })
	changes[30].Next.Reason = strings.Repeat("x", b.MaxMessage())
	s.store(t.Context(), noon.Add(time.Hour), changes)
	for i, change := range changes {
		want := "active revoked"
		if i == 30 {
			want = "active"
		}
		if got := steps(t, b, change.Next.GetId()); got != want {
			t.Errorf("%s: got %s, want %s", change.Next.GetId(), got, want)
		}
	}
	cancel()
	if err := <-followed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
