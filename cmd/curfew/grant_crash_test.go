// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var (
	crashes   = flag.Int("crashes", 0, "how many runs of TestKilledAtEveryStepNoGrantIsLost; 0 = 100, and with -short 17")
	crashSeed = flag.Uint64("crash-seed", 1, "seed of the first of them")
)

// crashRuns is how many.
func crashRuns() int {
	if testing.Short() {
		return cmp.Or(*crashes, 17)
	}
	return cmp.Or(*crashes, 100)
}

// side is how many runs go on side by side: they mostly wait.
const side = 34

// TestKilledAtEveryStepNoGrantIsLost kills the real process with SIGKILL right before or right after one of the writes to
// GRANTS or calls to Okta that a grant needs, each seed at another, and lets a second one go on. Whatever was killed: the
// privilege goes, not before its end, nothing is done twice, and what was there before stays.
func TestKilledAtEveryStepNoGrantIsLost(t *testing.T) {
	t.Parallel() // it mostly waits
	address, _ := bustest.Cluster(t, 1)
	b, err := bus.Open(t.Context(), bus.Config{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	runs := crashRuns()
	places := make(chan string, runs)
	// Side by side whatever -parallel says, for they mostly wait: t.Run may be called by many at once.
	var group sync.WaitGroup
	turns := make(chan struct{}, side)
	for i := range runs {
		seed := *crashSeed + uint64(i)
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			t.Run(fmt.Sprint(seed), func(t *testing.T) { places <- newCrash(t, b, address, seed).run(t) })
		})
	}
	group.Wait()
	close(places)
	count, hit := map[string]int{}, 0
	for place := range places {
		if place != "" {
			count[place]++
			hit++
		}
	}
	t.Logf("%d of %d runs were killed, at %d different places: %v", hit, runs, len(count), count)
	if hit < runs/2 {
		t.Errorf("only %d of %d runs were killed: the others were over before their point came", hit, runs)
	}
}

const (
	crashPerson = "00uAnnInvented"
	crashGroup  = "00gSupportInvented"
)

// crash is one run: an Okta, a process that is killed at one point, and what it should have done.
type crash struct {
	seed     uint64
	random   *rand.Rand
	tenant   string
	bus      *bus.Bus
	book     *grant.Book
	okta     *fake.Okta
	standing bool
	ids      []string
	*checkpoint
	process *process
}

func newCrash(t *testing.T, b *bus.Bus, address string, seed uint64) *crash {
	t.Helper()
	c := &crash{
		seed: seed, random: rand.New(rand.NewPCG(seed, 5)), tenant: fmt.Sprintf("t%d", seed), bus: b,
		okta: fake.NewOkta(fake.OktaConfig{Token: "token"}),
	}
	c.book = grant.NewBook(b, c.tenant)
	c.okta.Put(fake.OktaUser{ID: crashPerson, Login: "ann@example.com"}, fake.OktaGroup{ID: crashGroup, Name: "support"})
	c.checkpoint = newCheckpoint(c.random.IntN(44) + 1)
	c.process = &process{dir: t.TempDir(), api: freePort(t), services: []string{"collector", "notifier"}}
	c.process.configure(t, c.watchOkta(t, c.okta, c.isMember), fmt.Sprintf("tenant: %s", c.tenant), fmt.Sprintf("nats: {url: %q}", c.watchNATS(t, address, "grant."+c.tenant+".", "GRANTS")))
	return c
}

// run returns where it was killed, "" where it was over before.
func (c *crash) run(t *testing.T) (place string) {
	scene := c.seed % 5
	if c.standing = scene == 1; c.standing {
		c.okta.Join(crashGroup, crashPerson)
	}
	c.process.start(t)
	for range c.process.services { // each of them, or its grants end before it is up on a slow machine
		select {
		case <-c.up:
		case <-time.After(time.Minute):
			t.Errorf("seed %d: it does not come up", c.seed)
		}
	}
	c.create(t, "g-first", 2500*time.Millisecond)
	if scene == 2 {
		c.create(t, "g-second", 4*time.Second)
	}
	meddled := make(chan struct{})
	go func() {
		defer close(meddled)
		c.meddle(t, scene)
	}()
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.await(t.Context(), 40*time.Second)
	}()
	select {
	case place = <-c.reached:
		c.process.kill(t)
		c.release()
		c.nothingOrphaned(t)
		c.process.start(t)
	case <-over:
		c.release()
	}
	<-meddled
	if !c.await(t.Context(), 80*time.Second) {
		t.Errorf("seed %d, killed %s: not all grants were over in time:\n%s\n%s", c.seed, place, c.say(), c.process.output.String())
	}
	c.process.kill(t) // it may not be up yet, and hear nothing
	c.check(t, place)
	return place
}

// create stores an approved grant, as the API does.
func (c *crash) create(t *testing.T, id string, length time.Duration) {
	t.Helper()
	now := time.Now()
	g := &curfewv1.Grant{
		Id: id, Tenant: c.tenant, Subject: "person:ann", Role: "role:support", State: curfewv1.GrantState_GRANT_STATE_APPROVED,
		From: timestamppb.New(now), ExpiresAt: timestamppb.New(now.Add(length)), Author: "person:max", Reason: "crash test",
		Privileges: []*curfewv1.HeldPrivilege{{Privilege: &curfewv1.Privilege{
			Source: "okta", Kind: "group", Holder: crashPerson, Resource: crashGroup, HolderName: "ann@example.com", ResourceName: "support",
		}}},
	}
	if err := c.book.Create(t.Context(), now, g, "person:max", ""); err != nil {
		t.Fatal(err)
	}
	c.ids = append(c.ids, id)
}

// meddle is what people do meanwhile.
func (c *crash) meddle(t *testing.T, scene uint64) {
	<-time.After(time.Duration(500+c.random.IntN(1500)) * time.Millisecond)
	for {
		e, err := c.book.Load(t.Context(), "g-first")
		if err != nil {
			t.Errorf("seed %d: %v", c.seed, err)
			return
		}
		var next *curfewv1.Grant
		now := time.Now()
		switch scene {
		case 3:
			if next, err = grant.Extend(e.Value, &curfewv1.Extension{By: durationpb.New(time.Second)}, true, now); err != nil {
				return // it has ended meanwhile
			}
		case 4:
			if next = grant.Revoke(e.Value, now); next == nil {
				return
			}
		default:
			return
		}
		if c.book.Store(t.Context(), now, grant.Change{Entry: e, Next: next, Author: "person:max"})[0] == nil {
			return
		}
	}
}

// grants is every grant as it is stored.
func (c *crash) grants(ctx context.Context) (all []*curfewv1.Grant) {
	for _, id := range c.ids {
		if e, err := c.book.Load(ctx, id); err == nil {
			all = append(all, e.Value)
		}
	}
	return all
}

// await waits until every grant is over.
func (c *crash) await(ctx context.Context, longest time.Duration) bool {
	for deadline := time.Now().Add(longest); time.Now().Before(deadline) && ctx.Err() == nil; <-time.After(50 * time.Millisecond) {
		over := 0
		for _, g := range c.grants(ctx) {
			if grant.IsOver(g) {
				over++
			}
		}
		if over == len(c.ids) {
			return true
		}
	}
	return false
}

func (c *crash) isMember() bool {
	snapshot := c.okta.Snapshot()
	for _, member := range snapshot.Members[crashGroup] {
		if member == crashPerson {
			return true
		}
	}
	return false
}

// nothingOrphaned is whether what is at Okta is on record with an end, now that nobody works on it.
func (c *crash) nothingOrphaned(t *testing.T) {
	t.Helper()
	if c.standing || !c.isMember() {
		return
	}
	for _, g := range c.grants(t.Context()) {
		stage := g.GetPrivileges()[0].GetStage()
		if !grant.IsOver(g) && !grant.End(g).IsZero() && stage != curfewv1.PrivilegeStage_PRIVILEGE_STAGE_UNSPECIFIED {
			return
		}
	}
	t.Errorf("seed %d: orphan: Okta shows the privilege, and no grant says that it may have been given:\n%s", c.seed, c.say())
}

// check is what must be so once all is over.
func (c *crash) check(t *testing.T, place string) {
	t.Helper()
	if got := c.isMember(); got != c.standing {
		t.Errorf("seed %d, killed %s: is a member: got %v, want %v as before:\n%s", c.seed, place, got, c.standing, c.say())
	}
	want := 2 // given, taken
	if c.standing {
		want = 0
	}
	taken, changes := c.taken()
	if changes > want {
		t.Errorf("seed %d, killed %s: Okta changed %d times, want %d:\n%s", c.seed, place, changes, want, c.say())
	}
	var end time.Time
	for _, g := range c.grants(t.Context()) {
		if at := grant.End(g); at.After(end) {
			end = at
		}
		if g.GetState() != curfewv1.GrantState_GRANT_STATE_REVOKED {
			t.Errorf("seed %d, killed %s: %s is %v, want revoked", c.seed, place, g.GetId(), g.GetState())
		}
		if held := g.GetPrivileges()[0]; held.GetStage() == curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GONE && held.GetSeen() != nil && (held.GetGone() == nil || len(held.GetReads()) == 0) {
			t.Errorf("seed %d, killed %s: %s has no receipt: %v", c.seed, place, g.GetId(), held)
		}
	}
	if !taken.IsZero() && taken.Before(end.Add(-time.Second)) {
		t.Errorf("seed %d, killed %s: taken at %v, before its end at %v:\n%s", c.seed, place, taken, end, c.say())
	}
}

// say is what is stored and what was asked of Okta.
func (c *crash) say() (text string) {
	_ = c.bus.Read(context.Background(), bus.All("grant", c.tenant), bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.GrantStep)
		if err := m.Decode(step); err != nil {
			return err
		}
		text += fmt.Sprintf("%s %s %v %v by %s: %s\n", m.Time.Format("05.000"), step.GetGrant().GetId(), step.GetGrant().GetState(), step.GetGrant().GetPrivileges()[0].GetStage(), step.GetAuthor(), step.GetDetail())
		return nil
	})
	return text + c.calls()
}
