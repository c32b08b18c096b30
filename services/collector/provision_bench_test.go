// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock"
	"github.com/curfewhq/curfew/internal/grant"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The storm: so many grants of so many sources end at one moment.
const (
	stormGrants  = 100_000
	stormSources = 10
)

// instant is a vendor that answers at once, or never.
type instant struct {
	Source
	hangs bool
	mu    sync.Mutex
	taken map[string]time.Time // by holder, when it was first asked to take it
}

func (v *instant) Privileges() []string { return []string{"group"} }

func (v *instant) Read(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.PrivilegeState, error) {
	if v.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	state := &curfewv1.PrivilegeState{Presence: curfewv1.Presence_PRESENCE_PRESENT, Reads: []string{"GET /members: 200"}, Read: timestamppb.Now()}
	if _, taken := v.taken[p.GetHolder()]; taken {
		state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	}
	return state, nil
}

func (v *instant) Grant(context.Context, *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	return nil, errors.New("nothing is given in a storm")
}

func (v *instant) Revoke(_ context.Context, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, again := v.taken[p.GetHolder()]; !again {
		v.taken[p.GetHolder()] = time.Now()
	}
	return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE, Calls: []string{"DELETE /members/1: 204"}}, nil
}

func (v *instant) EndSessions(context.Context, string) (*curfewv1.Provisioned, error) {
	return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE}, nil
}

// BenchmarkStorm is 100,000 grants of ten sources that end at one moment: how late the vendor is asked to take each, from
// there through the scheduler's step, the claim and a first read, each of them on disk before the next. With hung=1 one of
// the sources never answers, and the others are counted.
func BenchmarkStorm(b *testing.B) {
	for hung := range 2 {
		b.Run(fmt.Sprintf("hung=%d", hung), func(b *testing.B) {
			for b.Loop() {
				late := storm(b, hung)
				slices.Sort(late)
				b.ReportMetric(float64(late[len(late)/2].Milliseconds()), "p50-ms")
				b.ReportMetric(float64(late[len(late)*99/100].Milliseconds()), "p99-ms")
			}
		})
	}
}

func storm(b *testing.B, hung int) (late []time.Duration) {
	b.Helper()
	shared := bustest.New(b)
	vendors, sources := make([]*instant, stormSources), map[string]Configured{}
	for i := range vendors {
		vendors[i] = &instant{hangs: i < hung, taken: map[string]time.Time{}}
		sources[fmt.Sprint("s", i)] = Configured{Source: vendors[i]}
	}
	p := newProvisioning(Options{
		Bus: shared, Tenant: "shop", Holder: "one", Clock: clock.System(nil), Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(), Sources: sources,
	}, usualPace())
	now := time.Now()
	changes := make([]grant.Change, stormGrants)
	for i := range changes {
		id := fmt.Sprintf("g%06d", i)
		changes[i] = grant.Change{Author: "person:bob", Next: &curfewv1.Grant{
			Id: id, Tenant: "shop", Subject: "person:ann", Role: "role:support", State: stateActive, From: timestamppb.New(now), ExpiresAt: timestamppb.New(now.Add(time.Hour)),
			Privileges: []*curfewv1.HeldPrivilege{{
				Stage: stageHeld, Prior: &curfewv1.PrivilegeState{Presence: curfewv1.Presence_PRESENCE_ABSENT},
				Privilege: &curfewv1.Privilege{Source: fmt.Sprint("s", i%stormSources), Kind: "group", Holder: id, Resource: "g"},
			}},
		}}
	}
	if err := errors.Join(grant.NewBook(shared, "shop").Store(b.Context(), now, changes...)...); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var work sync.WaitGroup
	work.Go(func() { p.run(ctx) })
	<-p.book.Ready()
	for _, a := range p.actors {
		for a.idle.Load() == 0 {
			<-time.After(10 * time.Millisecond)
		}
	}
	end := time.Now()
	scheduled := make([]grant.Change, 0, stormGrants)
	p.book.Each(func(e grant.Entry) bool {
		scheduled = append(scheduled, grant.Change{Entry: e, Next: grant.Revoke(e.Value, end), Author: "service:scheduler"})
		return true
	})
	if err := errors.Join(p.book.Store(ctx, end, scheduled...)...); err != nil {
		b.Fatal(err)
	}
	for _, v := range vendors {
		for !v.hangs && v.count() < stormGrants/stormSources {
			<-time.After(10 * time.Millisecond)
		}
		for _, at := range v.taken {
			late = append(late, at.Sub(end))
		}
	}
	cancel()
	work.Wait()
	return late
}

func (v *instant) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.taken)
}
