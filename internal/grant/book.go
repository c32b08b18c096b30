// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/book"
	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

type (
	// Book is every grant of a tenant that is not over, some 500 bytes each.
	Book = book.Book[*curfewv1.Grant]
	// Entry is a grant as its newest step leaves it.
	Entry = book.Entry[*curfewv1.Grant]
	// Change is a step of a grant to be stored.
	Change = book.Change[*curfewv1.Grant]
)

// NewBook makes an empty book; Follow fills it.
func NewBook(b *bus.Bus, tenant string) *Book {
	return book.New(book.Kind[*curfewv1.Grant]{
		Root: "grant", Subject: bus.GrantSubject, ID: (*curfewv1.Grant).GetId, Tenant: (*curfewv1.Grant).GetTenant, IsOver: IsOver,
		Step: func(next *curfewv1.Grant, at time.Time, author, detail string) proto.Message {
			return &curfewv1.GrantStep{Format: bus.Format, Grant: next, Time: stamp(at), Author: author, Detail: detail}
		},
		Read: func(m bus.Message) (*curfewv1.Grant, time.Time, error) {
			step := new(curfewv1.GrantStep)
			if err := m.Decode(step); err != nil {
				return nil, time.Time{}, err
			}
			if step.GetGrant().GetId() == "" {
				return nil, time.Time{}, fmt.Errorf("read message %d: it is a step of no grant", m.Sequence)
			}
			return step.GetGrant(), step.GetTime().AsTime(), nil
		},
	}, b, tenant)
}
