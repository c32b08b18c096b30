// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Provisioner is what the collector asks of a source whose privileges can be given and taken.
type Provisioner interface {
	Privileges() []string
	Read(ctx context.Context, privilege *curfewv1.Privilege) (*curfewv1.PrivilegeState, error)
	Grant(ctx context.Context, privilege *curfewv1.Privilege) (*curfewv1.Provisioned, error)
	Revoke(ctx context.Context, privilege *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error)
	EndSessions(ctx context.Context, holder string) (*curfewv1.Provisioned, error)
}

// Registry is a fake vendor at which privileges are held. Its methods are called while requests are served.
type Registry interface {
	http.Handler
	// Holds is at which level a privilege is held in the holder's own right, and whether it is.
	Holds(privilege *curfewv1.Privilege) (level string, held bool)
	// Hold makes it held at a level, or with held false not held, as a person at the vendor's console would.
	Hold(privilege *curfewv1.Privilege, level string, held bool)
	// Remove deletes the account of a holder.
	Remove(holder string)
	// Changes is how many changes took effect so far.
	Changes() int
}

// PrivilegeCase is one kind of privilege under test.
type PrivilegeCase struct {
	// Privileges are of one kind and of several holders that exist; none is held at first. Two of them are of the same
	// resource.
	Privileges []*curfewv1.Privilege
	// Lower is a level below the one that the privileges name; "" where there are no levels.
	Lower string
	// GrantTask and RevokeTask are whether a person has to do it.
	GrantTask, RevokeTask bool
	// Invites is whether what is granted waits to be accepted: Registry.Holds is false until then.
	Invites bool
}

// ProvisionCase is a source under test whose privileges can be given and taken.
type ProvisionCase struct {
	// New makes a source that knows nothing but its configuration.
	New func(t *testing.T, options Options) Provisioner
	// Registry makes a vendor that wants the token. Seed 0 has no faults; every other seed has some, lies among them, the
	// same each time.
	Registry func(seed uint64, token string) Registry
	// Cases is one for each kind there is.
	Cases map[string]PrivilegeCase
}

const enough = 200 // tries at a vendor with faults before it counts as failed

// Provision holds the source of c to what is promised of privileges: what was given is there once, what was taken is
// gone, what was there before stays, and a read tells which.
func Provision(t *testing.T, c ProvisionCase) {
	offered := c.New(t, Options{URL: serve(t, c.Registry(0, token)), Token: token}).Privileges()
	for _, kind := range offered {
		if _, tested := c.Cases[kind]; !tested {
			t.Errorf("privileges of kind %s are not tested", kind)
		}
	}
	for kind, privileges := range c.Cases {
		if !slices.Contains(offered, kind) {
			t.Errorf("there are no privileges of kind %s, there are %v", kind, offered)
			continue
		}
		t.Run(kind, func(t *testing.T) {
			p := provision{ProvisionCase: c, PrivilegeCase: privileges}
			t.Run("given and taken", p.givenAndTaken)
			t.Run("there before", p.thereBefore)
			t.Run("levels", p.levels)
			t.Run("holder gone", p.holderGone)
			t.Run("somebody else", p.somebodyElse)
			t.Run("incomplete", p.incomplete)
			t.Run("faults", p.faults)
			t.Run("at once", p.atOnce)
			t.Run("secrets", p.secrets)
		})
	}
}

type provision struct {
	ProvisionCase
	PrivilegeCase
}

func (p provision) open(t *testing.T, seed uint64) (Provisioner, Registry) {
	registry := p.Registry(seed, token)
	return p.New(t, Options{URL: serve(t, registry), Token: token, PageSize: 2, Impatient: true}), registry
}

// reads wants Read to say that a privilege is there, gone or pending.
func (p provision) reads(t *testing.T, source Provisioner, privilege *curfewv1.Privilege, want curfewv1.Presence) *curfewv1.PrivilegeState {
	t.Helper()
	state, err := source.Read(t.Context(), privilege)
	if err != nil {
		t.Errorf("read: %v", err)
		return nil
	}
	if state.GetPresence() != want || len(state.GetReads()) == 0 || state.GetRead() == nil {
		t.Errorf("read: got %v by %q at %v, want %v, how and when", state.GetPresence(), state.GetReads(), state.GetRead(), want)
	}
	return state
}

func (p provision) givenAndTaken(t *testing.T) {
	for _, privilege := range p.Privileges {
		source, registry := p.open(t, 0)
		p.reads(t, source, privilege, curfewv1.Presence_PRESENCE_ABSENT)
		// A revocation of what is not there does no harm.
		p.outcome(t, "revoke what is not there", curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY)(source.Revoke(t.Context(), privilege, nil))
		p.give(t, source, registry, privilege)
		if p.Invites {
			p.reads(t, source, privilege, curfewv1.Presence_PRESENCE_PENDING)
		} else {
			state := p.reads(t, source, privilege, curfewv1.Presence_PRESENCE_PRESENT)
			if p.Lower != "" && state.GetLevel() != privilege.GetLevel() {
				t.Errorf("read: got level %q, want %q", state.GetLevel(), privilege.GetLevel())
			}
			if !p.GrantTask {
				p.outcome(t, "grant again", curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY)(source.Grant(t.Context(), privilege))
			}
		}
		for _, other := range p.Privileges {
			if _, held := registry.Holds(other); held && !proto.Equal(other, privilege) {
				t.Errorf("%v is held too", other)
			}
		}
		if p.RevokeTask {
			p.task(t, "revoke")(source.Revoke(t.Context(), privilege, nil))
			p.reads(t, source, privilege, curfewv1.Presence_PRESENCE_PRESENT)
			registry.Hold(privilege, "", false)
		} else {
			p.outcome(t, "revoke", curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE)(source.Revoke(t.Context(), privilege, nil))
			p.outcome(t, "revoke again", curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY)(source.Revoke(t.Context(), privilege, nil))
		}
		if _, held := registry.Holds(privilege); held {
			t.Error("it is held after it was revoked")
		}
		p.reads(t, source, privilege, curfewv1.Presence_PRESENCE_ABSENT)
		ended, err := source.EndSessions(t.Context(), privilege.GetHolder())
		if err != nil || ended.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_UNSPECIFIED {
			t.Errorf("end sessions: got %v, %v, want an outcome", ended, err)
		}
	}
}

// give makes a privilege held by Grant, or by hand where that is a person's task.
func (p provision) give(t *testing.T, source Provisioner, registry Registry, privilege *curfewv1.Privilege) {
	t.Helper()
	if p.GrantTask {
		p.task(t, "grant")(source.Grant(t.Context(), privilege))
		registry.Hold(privilege, privilege.GetLevel(), true)
		return
	}
	p.outcome(t, "grant", curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE)(source.Grant(t.Context(), privilege))
	level, held := registry.Holds(privilege)
	if held == p.Invites || held && p.Lower != "" && level != privilege.GetLevel() {
		t.Errorf("grant: it is held: %v, at level %q, want %v at %q", held, level, !p.Invites, privilege.GetLevel())
	}
}

func (p provision) outcome(t *testing.T, what string, want curfewv1.ProvisionOutcome) func(*curfewv1.Provisioned, error) {
	return func(got *curfewv1.Provisioned, err error) {
		t.Helper()
		if err != nil || got.GetOutcome() != want {
			t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
		}
		if want == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE && len(got.GetCalls()) == 0 {
			t.Errorf("%s: it says not by which calls", what)
		}
	}
}

func (p provision) task(t *testing.T, what string) func(*curfewv1.Provisioned, error) {
	return func(got *curfewv1.Provisioned, err error) {
		t.Helper()
		if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK || got.GetTask() == "" {
			t.Errorf("%s: got %v, %v, want a task for a person and what it is", what, got, err)
		}
	}
}

// thereBefore wants what was held before a grant to be left, and a lower level to be put back.
func (p provision) thereBefore(t *testing.T) {
	privilege := p.Privileges[0]
	levels := []string{privilege.GetLevel()}
	if p.Lower != "" {
		levels = append(levels, p.Lower)
	}
	for _, level := range levels {
		source, registry := p.open(t, 0)
		registry.Hold(privilege, level, true)
		prior := p.reads(t, source, privilege, curfewv1.Presence_PRESENCE_PRESENT)
		if !p.GrantTask {
			granted, err := source.Grant(t.Context(), privilege)
			if already := granted.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY; err != nil || already != (level == privilege.GetLevel()) {
				t.Errorf("grant what is held at level %q: got %v, %v", level, granted, err)
			}
			if now, held := registry.Holds(privilege); !held || now != privilege.GetLevel() {
				t.Errorf("grant what is held at level %q: now it is held: %v, at %q, want %q", level, held, now, privilege.GetLevel())
			}
		}
		if p.GrantTask && level != privilege.GetLevel() {
			registry.Hold(privilege, privilege.GetLevel(), true)
		}
		if _, err := source.Revoke(t.Context(), privilege, prior); err != nil {
			t.Errorf("revoke what was held before: %v", err)
		}
		if now, held := registry.Holds(privilege); !held || !p.RevokeTask && now != level {
			t.Errorf("revoke what was held before at level %q: it is held: %v, at %q, want it as it was", level, held, now)
		}
	}
}

// holderGone wants a revocation to see that there is nobody left to take it from.
func (p provision) holderGone(t *testing.T) {
	source, registry := p.open(t, 0)
	privilege := p.Privileges[0]
	registry.Hold(privilege, privilege.GetLevel(), true)
	registry.Remove(privilege.GetHolder())
	state, err := source.Read(t.Context(), privilege)
	if err != nil || state.GetPresence() != curfewv1.Presence_PRESENCE_ABSENT || state.GetHolder() != curfewv1.Presence_PRESENCE_ABSENT {
		t.Errorf("read: got %v, %v, want that holder and privilege are gone", state, err)
	}
	p.outcome(t, "revoke", curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE)(source.Revoke(t.Context(), privilege, nil))
}

// somebodyElse wants nothing to be given to an id that goes by another name than the privilege says, and what it has to be
// taken all the same: vendors rename accounts and do not give their ids to others, so it is most likely the same holder,
// and whoever it is holds what was given to that id.
func (p provision) somebodyElse(t *testing.T) {
	privilege := proto.CloneOf(p.Privileges[0])
	if privilege.GetHolderName() == "" {
		return
	}
	source, registry := p.open(t, 0)
	privilege.HolderName = "somebody.else@example.com"
	before := registry.Changes()
	granted, err := source.Grant(t.Context(), privilege)
	if err == nil && granted.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE && granted.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK {
		t.Errorf("grant to an id that goes by another name: got %v, want GONE or an error", granted)
	}
	if registry.Changes() != before {
		t.Error("something was given to an id that goes by another name")
	}
	registry.Hold(privilege, privilege.GetLevel(), true)
	state := p.reads(t, source, privilege, curfewv1.Presence_PRESENCE_PRESENT)
	if state.GetDetail() == "" {
		t.Error("read says nothing of the other name")
	}
	if p.RevokeTask {
		p.task(t, "revoke")(source.Revoke(t.Context(), privilege, nil))
		return
	}
	p.outcome(t, "revoke from an id that goes by another name", curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE)(source.Revoke(t.Context(), privilege, nil))
	if _, held := registry.Holds(privilege); held {
		t.Error("it is held after it was revoked")
	}
}

// incomplete wants errors for privileges that are none.
func (p provision) incomplete(t *testing.T) {
	source, registry := p.open(t, 0)
	for name, spoil := range map[string]func(*curfewv1.Privilege){
		"no kind": func(q *curfewv1.Privilege) { q.Kind = "" }, "another kind": func(q *curfewv1.Privilege) { q.Kind = "no_such_kind" },
		"no holder": func(q *curfewv1.Privilege) { q.Holder = "" }, "no resource": func(q *curfewv1.Privilege) { q.Resource = "" },
		"a holder that leads elsewhere":   func(q *curfewv1.Privilege) { q.Holder = "../../" + q.GetHolder() },
		"a resource that leads elsewhere": func(q *curfewv1.Privilege) { q.Resource = q.GetResource() + "/../x?y=#" },
	} {
		privilege := proto.CloneOf(p.Privileges[0])
		spoil(privilege)
		if state, err := source.Read(t.Context(), privilege); err == nil && state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT {
			t.Errorf("%s: read got %v, want an error or that it is not there", name, state)
		}
		granted, err := source.Grant(t.Context(), privilege)
		if outcome := granted.GetOutcome(); err == nil && outcome != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE && outcome != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK {
			t.Errorf("%s: grant got %v, want an error", name, granted)
		}
	}
	if registry.Changes() > 0 {
		t.Errorf("%d changes were made for privileges that are none", registry.Changes())
	}
}

// faults gives and takes at vendors that break, lose replies and lie, as the collector does: until a read shows it.
func (p provision) faults(t *testing.T) {
	if p.GrantTask || p.RevokeTask || p.Invites {
		return
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		source, registry := p.open(t, seed)
		for _, privilege := range p.Privileges {
			p.until(t, seed, "grant", source, registry, privilege, true)
			p.until(t, seed, "revoke", source, registry, privilege, false)
		}
		for _, privilege := range p.Privileges {
			if _, held := registry.Holds(privilege); held {
				t.Errorf("seed %d: %v is held at the end", seed, privilege)
			}
		}
	}
}

// until asks until a read shows what is wanted, and wants the truth to be that.
func (p provision) until(t *testing.T, seed uint64, what string, source Provisioner, registry Registry, privilege *curfewv1.Privilege, want bool) {
	t.Helper()
	ask := func() error {
		_, err := source.Grant(t.Context(), privilege)
		return err
	}
	presence := curfewv1.Presence_PRESENCE_PRESENT
	if !want {
		presence = curfewv1.Presence_PRESENCE_ABSENT
		ask = func() error {
			_, err := source.Revoke(t.Context(), privilege, nil)
			return err
		}
	}
	var last error
	for range enough {
		last = ask()
		state, err := source.Read(t.Context(), privilege)
		_, held := registry.Holds(privilege)
		if err == nil && state.GetPresence() != curfewv1.Presence_PRESENCE_UNSPECIFIED && (state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT) != held {
			t.Fatalf("seed %d: %s: read says %v, and it is held: %v", seed, what, state, held)
		}
		if err == nil && state.GetPresence() == presence {
			return
		}
	}
	t.Fatalf("seed %d: %s: not done after %d tries, last: %v", seed, what, enough, last)
}

// atOnce gives and takes several at once: none undoes another.
func (p provision) atOnce(t *testing.T) {
	if p.GrantTask || p.RevokeTask || p.Invites {
		return
	}
	source, registry := p.open(t, 0)
	for round := range 4 {
		give := round%2 == 0
		var group sync.WaitGroup
		for _, privilege := range p.Privileges {
			group.Go(func() {
				var err error
				if give {
					_, err = source.Grant(t.Context(), privilege)
				} else {
					_, err = source.Revoke(t.Context(), privilege, nil)
				}
				if err != nil {
					t.Errorf("at once: %v", err)
				}
			})
		}
		group.Wait()
		for _, privilege := range p.Privileges {
			if _, held := registry.Holds(privilege); held != give {
				t.Errorf("at once: %v is held: %v, want %v", privilege, held, give)
			}
		}
	}
}

// secrets lets vendors throw the request back: no error tells of the token.
func (p provision) secrets(t *testing.T) {
	for _, status := range []int{200, 204, 400, 401, 403, 404, 409, 500} {
		address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { throwBack(w, r, status, 40) }))
		source := p.New(t, Options{URL: address, Token: token, PageSize: 2, Impatient: true})
		privilege := p.Privileges[0]
		state, readErr := source.Read(t.Context(), privilege)
		if readErr == nil && state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT {
			t.Errorf("status %d and nonsense: read got %v", status, state)
		}
		granted, grantErr := source.Grant(t.Context(), privilege)
		revoked, revokeErr := source.Revoke(t.Context(), privilege, nil)
		ended, endErr := source.EndSessions(t.Context(), privilege.GetHolder())
		for _, text := range []string{errorText(readErr), errorText(grantErr), errorText(revokeErr), errorText(endErr), fmt.Sprint(state, granted, revoked, ended)} {
			if strings.Contains(text, token[:8]) {
				t.Errorf("status %d: it tells of the token: %s", status, text)
			}
		}
	}
}
