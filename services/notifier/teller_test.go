// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/grant"
	"github.com/curfewhq/curfew/internal/state"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// board is a receiver that keeps the notices it is given, unless it refuses or hangs.
type board struct {
	mu      sync.Mutex
	got     []string
	refuse  int
	hangs   bool
	seen    chan string
	holding chan struct{} // closed lets it answer; nil = it answers at once
}

func newBoard() *board { return &board{seen: make(chan string, 10_000)} }

// Post takes no alerts here.
func (*board) Post(context.Context, *curfewv1.Post) (string, error) { return "", nil }

// Notice keeps a notice.
func (p *board) Notice(ctx context.Context, n *curfewv1.Notice) error {
	p.mu.Lock()
	hangs, refused, word := p.hangs, p.refuse > 0, n.GetGrant().GetId()+" "+kindsOf([]*curfewv1.Notice{n})
	if refused {
		p.refuse--
	} else if !hangs {
		p.got = append(p.got, word)
	}
	p.mu.Unlock()
	switch {
	case hangs:
		p.seen <- "hang " + word
		<-ctx.Done()
		return ctx.Err()
	case refused:
		p.seen <- "refused " + word
		return errors.New("not now")
	}
	p.seen <- word
	if p.holding != nil {
		select {
		case <-ctx.Done():
		case <-p.holding:
		}
	}
	return nil
}

func (p *board) expect(t *testing.T, want ...string) {
	t.Helper()
	for len(want) > 0 {
		select {
		case got := <-p.seen:
			i := slices.Index(want, got)
			if i < 0 {
				t.Fatalf("got notice %q, want one of %q", got, want)
			}
			want = slices.Delete(want, i, i+1)
		case <-time.After(30 * time.Second):
			t.Fatalf("these notices did not come: %q", want)
		}
	}
}

func (p *board) times(word string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, got := range p.got {
		if got == word {
			n++
		}
	}
	return n
}

// tell runs a notifier's grants with these receivers.
func tell(t *testing.T, b *bus.Bus, store state.Store, c *clocktest.Manual, boards ...*board) (stop func()) {
	t.Helper()
	o := grantOptions(b, store, c)
	o.Mode, o.Receivers = config.Config{Mode: config.Observe}.ModeOf, map[string]Receiver{"silent": newPlace()}
	for i, board := range boards {
		o.Receivers[fmt.Sprint("board", i)] = board
	}
	return serveGrants(t, o)
}

// toldOf waits until a grant says that people were told of these kinds.
func toldOf(t *testing.T, b *bus.Bus, id, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	there, got := errors.New("there"), ""
	if err := b.Follow(ctx, bus.GrantSubject("main", id), bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.GrantStep)
		if err := m.Decode(step); err != nil {
			return err
		}
		words := make([]string, 0, 8)
		for _, kind := range step.GetGrant().GetTold() {
			words = append(words, strings.TrimPrefix(kind.String(), "NOTICE_KIND_"))
		}
		if got = strings.Join(words, " "); got == want {
			return there
		}
		return nil
	}); !errors.Is(err, there) {
		t.Fatalf("told: got %q, %v, want %q", got, err, want)
	}
}

// The mode is observe: what people asked for they hear of nevertheless.
func TestPeopleAreToldOnce(t *testing.T) {
	b, c, p := bustest.New(t), clocktest.New(noon), newBoard()
	server := miniredis.RunT(t)
	tell(t, b, openRedis(t, server), c, p)
	tell(t, b, openRedis(t, server), c, p)
	g := plainGrant("g")
	g.RemindBefore = durationpb.New(15 * time.Minute)
	unanswered := asked("unanswered")
	unanswered.AnswerBy = timestamppb.New(noon.Add(30 * time.Minute))
	create(t, b, g, unanswered)
	p.expect(t, "g ACTIVE", "unanswered REQUESTED")
	toldOf(t, b, "g", "ACTIVE")
	toldOf(t, b, "unanswered", "REQUESTED")
	c.Move(30 * time.Minute)
	p.expect(t, "unanswered ANSWERED")
	asleep(t, c)
	c.Move(15 * time.Minute)
	p.expect(t, "g ENDING")
	toldOf(t, b, "g", "ACTIVE ENDING")
	c.Move(15 * time.Minute)
	p.expect(t, "g ENDED")
	toldOf(t, b, "g", "ACTIVE ENDING ENDED")
	toldOf(t, b, "unanswered", "REQUESTED ANSWERED")
	pass(t, c, 70*time.Second) // beyond every hold and sweep
	for _, word := range p.got {
		if n := p.times(word); n != 1 {
			t.Errorf("%s came %d times", word, n)
		}
	}
	if len(p.got) != 5 {
		t.Errorf("got %q, want 5", p.got)
	}
}

func TestANoticeIsToldAgainAfterACrash(t *testing.T) {
	b, c, p := bustest.New(t), clocktest.New(noon), newBoard()
	p.holding = make(chan struct{})
	stop := tell(t, b, state.NewMemory(), c, p)
	g := plainGrant("g")
	g.ExpiresAt = timestamppb.New(noon.Add(time.Minute))
	create(t, b, g)
	p.expect(t, "g ACTIVE")
	stop() // delivered, and not noted
	p.holding = nil
	stop = tell(t, b, state.NewMemory(), c, p)
	p.expect(t, "g ACTIVE")
	toldOf(t, b, "g", "ACTIVE")
	stop()
	c.Move(time.Hour)
	p.holding = make(chan struct{})
	stop = tell(t, b, state.NewMemory(), c, p)
	p.expect(t, "g ENDED")
	stop()
	p.holding = nil
	tell(t, b, state.NewMemory(), c, p) // the book has it no longer
	p.expect(t, "g ENDED")
	toldOf(t, b, "g", "ACTIVE ENDED")
}

func TestOneReceiversTroubleIsItsOwn(t *testing.T) {
	b, c, good, bad := bustest.New(t), clocktest.New(noon), newBoard(), newBoard()
	bad.refuse = 3
	tell(t, b, state.NewMemory(), c, good, bad)
	create(t, b, plainGrant("g"))
	good.expect(t, "g ACTIVE")
	for range 3 {
		bad.expect(t, "refused g ACTIVE")
		for range 10 {
			asleep(t, c)
			c.Move(500 * time.Millisecond)
		}
	}
	bad.expect(t, "g ACTIVE")
	toldOf(t, b, "g", "ACTIVE")
	if n := good.times("g ACTIVE"); n != 1 {
		t.Errorf("the other receiver got it %d times, want once", n)
	}
}

func TestAReceiverThatHangsHoldsNobodyUp(t *testing.T) {
	b, c, good, bad := bustest.New(t), clocktest.New(noon), newBoard(), newBoard()
	bad.hangs = true
	tell(t, b, state.NewMemory(), c, good, bad)
	for i := range tellers + 1 {
		create(t, b, plainGrant(fmt.Sprint("g", i)))
	}
	c.Move(time.Hour)
	for i := range tellers + 1 {
		comes(t, b, fmt.Sprint("g", i), "active revoked") // ends wait for no notice
	}
}

// A receiver that did not answer is not asked again at once.
func TestAReceiverThatHangsIsLeftAlone(t *testing.T) {
	b, c, bad := bustest.New(t), clocktest.New(noon), newBoard()
	o := grantOptions(b, state.NewMemory(), c)
	o.Receivers = map[string]Receiver{"bad": bad}
	bad.hangs = true
	teller := newTeller(o, grant.NewBook(b, "main"), newContacts(o))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	n := notices(plainGrant("g"), noon)[0]
	if err := teller.hand(ctx, "bad", n); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	bad.hangs = false
	if err := teller.hand(t.Context(), "bad", n); !errors.Is(err, errResting) {
		t.Errorf("at once: got %v, want it left alone", err)
	}
	c.Move(time.Second)
	if err := teller.hand(t.Context(), "bad", n); err != nil {
		t.Errorf("later: got %v", err)
	}
}

// What was told is noted behind steps of others; but not of an end that has moved meanwhile.
func TestWhatWasToldIsNotedBehindOthers(t *testing.T) {
	b, c := bustest.New(t), clocktest.New(noon)
	book := grant.NewBook(b, "main")
	o := grantOptions(b, state.NewMemory(), c)
	o.Receivers = map[string]Receiver{"board": newBoard()}
	teller := newTeller(o, book, newContacts(o))
	create(t, b, plainGrant("g"))
	was, err := book.Load(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	moved := proto.CloneOf(was.Value)
	moved.ExpiresAt = timestamppb.New(noon.Add(2 * time.Hour))
	if err := errors.Join(book.Store(t.Context(), noon, grant.Change{Entry: was, Next: moved, Author: "person:bob"})...); err != nil {
		t.Fatal(err)
	}
	done := []grant.Change{noted(was, []curfewv1.NoticeKind{curfewv1.NoticeKind_NOTICE_KIND_ACTIVE, curfewv1.NoticeKind_NOTICE_KIND_ENDING})}
	for range 2 {
		done = teller.note(t.Context(), done, false)
	}
	now, err := book.Load(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if want := []curfewv1.NoticeKind{curfewv1.NoticeKind_NOTICE_KIND_ACTIVE}; len(done) != 0 || !slices.Equal(now.Value.GetTold(), want) || !now.Value.GetExpiresAt().AsTime().Equal(noon.Add(2*time.Hour)) {
		t.Errorf("got %v until %v, %d left, want %v", now.Value.GetTold(), now.Value.GetExpiresAt().AsTime(), len(done), want)
	}
}
