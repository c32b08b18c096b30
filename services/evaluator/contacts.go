// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// contactsEvery is how often at most what is known is looked through for where people can be reached.
const contactsEvery = 2 * time.Second

// contactSystems are the sources at which receivers can reach people.
func contactSystems() []string { return []string{"slack"} }

// keepContacts writes where people can be reached whenever that changes, until ctx ends. Every replica does, and writes what
// differs alone.
func (e *evaluator) keepContacts(ctx context.Context) error {
	k := &contacts{evaluator: e}
	for {
		if err := k.renew(ctx); err != nil && ctx.Err() == nil {
			e.Log.Error("where people can be reached could not be written; trying again", "error", err)
			e.Metrics.Failed("evaluator", "contacts")
			k.by = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(contactsEvery):
		}
	}
}

// contacts is what one process knows of the bucket. It is for one goroutine.
type contacts struct {
	*evaluator
	by      *picture          // what it was made of last; nil = of nothing
	policy  *judge.Policy     // as above: a revision comes into force later than it is known
	written map[string][]byte // by person, as "person:ann"
}

// renew writes what differs from what is known now.
func (k *contacts) renew(ctx context.Context) error {
	if k.by == nil { // what another process wrote last
		if _, err := k.knowledge.since(ctx, time.Now()); err != nil {
			return err
		}
		if err := k.read(ctx); err != nil {
			return err
		}
	}
	by, now := k.knowledge.now(), time.Now()
	policy, _ := by.Policies(now)
	if by == k.by && policy == k.policy {
		return nil
	}
	known := map[string]bool{}
	for _, person := range policy.Persons() {
		known[person] = true
		if err := k.write(ctx, person, contactsOf(by, person, now)); err != nil {
			return err
		}
	}
	for person := range k.written {
		if !known[person] {
			if err := k.write(ctx, person, contactsOf(by, person, now)); err != nil {
				return err
			}
		}
	}
	k.by, k.policy = by, policy
	return nil
}

// keepContact writes where one person can be reached, whether or not the policy names them.
func (e *evaluator) keepContact(ctx context.Context, person string) error {
	now := time.Now()
	by, err := e.knowledge.since(ctx, now)
	if err != nil {
		return err
	}
	k := &contacts{evaluator: e, written: map[string][]byte{}}
	return k.write(ctx, person, contactsOf(by, person, now))
}

// contactsOf is where a person can be reached; nowhere where nobody has that id any more.
func contactsOf(by *picture, person string, now time.Time) *curfewv1.Contacts {
	found := &curfewv1.Contacts{}
	id := strings.TrimPrefix(person, "person:")
	if !by.Caller(id, now).Known {
		return found
	}
	for _, c := range by.Contacts(id, contactSystems(), now) {
		found.Contacts = append(found.Contacts, &curfewv1.Contact{Person: person, System: c.System, Id: c.ID})
	}
	return found
}

func (k *contacts) read(ctx context.Context) error {
	k.written = map[string][]byte{}
	done := errors.New("done")
	err := k.Bus.Watch(ctx, bus.Contacts, func(entry *bus.Entry) error {
		if entry == nil {
			return done
		}
		if len(entry.Key) == 2 && entry.Key[0] == k.Tenant {
			k.written[entry.Key[1]] = entry.Value
		}
		return nil
	})
	if errors.Is(err, done) {
		return nil
	}
	return err
}

// write stores a person's contacts where they are not what is known to stand there.
func (k *contacts) write(ctx context.Context, person string, found *curfewv1.Contacts) error {
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(found)
	if err != nil {
		return fmt.Errorf("encode contacts: %w", err)
	}
	if was, there := k.written[person]; string(was) == string(content) && (there || len(found.GetContacts()) == 0) {
		return nil
	}
	for {
		entry, err := k.Bus.Get(ctx, bus.Contacts, k.Tenant, person)
		switch {
		case errors.Is(err, bus.ErrNotFound):
			_, err = k.Bus.Create(ctx, bus.Contacts, content, k.Tenant, person)
		case err == nil && string(entry.Value) != string(content):
			_, err = k.Bus.Update(ctx, bus.Contacts, content, entry.Revision, k.Tenant, person)
		}
		if errors.Is(err, bus.ErrConflict) {
			continue // another replica was at it
		}
		if err == nil {
			k.written[person] = content
		}
		return err
	}
}
