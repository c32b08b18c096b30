// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/inventory"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// place is the person whose one of some addresses is, by the policy and the inventories at this moment. Addresses of
// nobody among them say nothing; those of two people place nobody. Why says in a sentence why there is none.
func (a *api) place(ctx context.Context, emails []string) (person, why string, err error) {
	now := time.Now()
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return "", "", status.Errorf(codes.Unavailable, "it cannot be said yet who calls: %v", err)
	}
	for _, email := range emails {
		found, no := by.CallerByEmail(email, now)
		switch {
		case found == "":
			why = "its e-mail " + email + ": " + no
		case person != "" && person != found:
			return "", "its e-mails are those of person:" + person + " and person:" + found, nil
		default:
			person = found
		}
	}
	return person, why, nil
}

// checkPerson refuses a person who is lost at this moment.
func (a *api) checkPerson(ctx context.Context, person string) error {
	now := time.Now()
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return status.Errorf(codes.Unavailable, "it cannot be said yet who calls: %v", err)
	}
	why, err := a.lost(ctx, by, person, now)
	switch {
	case err != nil || why == "":
		return err
	case why == unlisted:
		return status.Errorf(codes.PermissionDenied, "person:%s is nobody: %s", person, why)
	default:
		return status.Errorf(codes.PermissionDenied, "person:%s cannot call: %s", person, why)
	}
}

// unlisted is why somebody is lost whom the policy does not know.
const unlisted = "the policy's identities.yaml has no such id"

// lost is why somebody is no person of the company any more: the policy does not know them at a moment, or the directory
// no longer shows them as one who may sign in. "" = they are, and what no inventory says is no reason.
func (e *evaluator) lost(ctx context.Context, by *picture, person string, now time.Time) (why string, err error) {
	c := by.Caller(person, now)
	if !c.Known {
		return unlisted, nil
	}
	if c.Directory == "" {
		return "", nil
	}
	ended := ""
	for _, id := range c.Accounts {
		state, err := e.accounts.state(ctx, e, c.Directory, id)
		if err != nil {
			return "", status.Errorf(codes.Unavailable, "it cannot be said yet whether person:%s still has an account: %v", person, err)
		}
		if state == "" {
			return "", nil
		}
		ended = state
	}
	if ended == "" && c.Lost {
		ended = "gone"
	}
	if ended != "" {
		return fmt.Sprintf("the account in the directory (%s) is %s", c.Directory, ended), nil
	}
	return "", nil
}

// accounts is what the inventories of people last showed, read on before each answer. The zero value is ready, and it is
// safe for concurrent use.
type accounts struct {
	mu      sync.Mutex
	sources map[string]*shownAccounts
}

// shownAccounts is what one source showed.
type shownAccounts struct {
	after  uint64
	whole  bool
	state  inventory.State
	status map[string]string // by escaped id and by what an account signs in with
}

// state is how an account ended: "suspended", "deleted", "gone", or "" while it did not, as far as is known.
func (k *accounts) state(ctx context.Context, e *evaluator, source, account string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	shown := k.sources[source]
	if shown == nil {
		shown = &shownAccounts{}
		if k.sources == nil {
			k.sources = map[string]*shownAccounts{}
		}
		k.sources[source] = shown
	}
	if err := shown.read(ctx, e, source); err != nil {
		return "", err
	}
	status, there := shown.status[account]
	switch {
	case status == "suspended" || status == "deleted":
		return status, nil
	case !there && shown.whole:
		return "gone", nil
	}
	return "", nil
}

// read takes in what came since. A record that cannot be read, or whose forerunner is missing, leaves what was known
// until one with everything comes.
func (s *shownAccounts) read(ctx context.Context, e *evaluator, source string) error {
	changed := false
	err := e.Bus.Read(ctx, bus.InventorySubject(e.Tenant, source, "people"), bus.From{After: s.after}, func(m bus.Message) error {
		record := new(curfewv1.Inventory)
		if err := m.Decode(record); err != nil {
			e.Log.Warn("inventory record left out", "source", source, "sequence", m.Sequence, "error", err)
			s.after = m.Sequence
			return nil
		}
		err := s.state.Apply(record, func(object string) ([]byte, error) { return e.Bus.GetObject(ctx, object) })
		if err != nil && !errors.Is(err, inventory.ErrGap) && !errors.Is(err, bus.ErrNotFound) {
			return err
		}
		s.after, changed = m.Sequence, changed || err == nil
		s.whole = s.whole || err == nil && len(record.GetMissing()) == 0
		return nil
	})
	if changed {
		s.index()
	}
	return err
}

func (s *shownAccounts) index() {
	s.status = make(map[string]string, s.state.Len())
	for _, entry := range s.state.Entries() {
		if login := entry.GetAccount().GetLogin(); login != "" {
			s.status[event.Escape(login)] = entry.GetAccount().GetStatus()
		}
	}
	for _, entry := range s.state.Entries() { // an id comes before somebody else's login
		s.status[event.Escape(entry.GetAccount().GetId())] = entry.GetAccount().GetStatus()
	}
}
