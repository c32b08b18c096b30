// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// contacts is where receivers reach people, as the evaluator says. Safe for concurrent use.
type contacts struct {
	Options
	mu     sync.Mutex
	people map[string][]*curfewv1.Contact
}

func newContacts(o Options) *contacts {
	return &contacts{Options: o, people: map[string][]*curfewv1.Contact{}}
}

// follow keeps them until ctx ends or the bus breaks off.
func (c *contacts) follow(ctx context.Context) error {
	return c.Bus.Watch(ctx, bus.Contacts, func(e *bus.Entry) error {
		if e == nil || len(e.Key) != 2 || e.Key[0] != c.Tenant {
			return nil
		}
		list := new(curfewv1.Contacts)
		if err := proto.Unmarshal(e.Value, list); err != nil {
			c.Metrics.Unread("notifier")
			c.Log.Error("where to reach a person cannot be read; they are named in the channel instead", "person", e.Key[1], "error", err)
			return nil
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.people[e.Key[1]] = list.GetContacts()
		return nil
	})
}

// of is where receivers reach these people.
func (c *contacts) of(people ...string) []*curfewv1.Contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*curfewv1.Contact
	for _, person := range people {
		list = append(list, slices.Clone(c.people[person])...)
	}
	return list
}
