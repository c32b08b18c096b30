// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package alert

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/book"
	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

type (
	// Book is every alert of a tenant that is not over.
	Book = book.Book[*curfewv1.Alert]
	// Entry is an alert as its newest step leaves it.
	Entry = book.Entry[*curfewv1.Alert]
	// Change is a step of an alert to be stored.
	Change = book.Change[*curfewv1.Alert]
)

// NewBook makes an empty book; Follow fills it.
func NewBook(b *bus.Bus, tenant string) *Book {
	return book.New(book.Kind[*curfewv1.Alert]{
		Root: "alert", Subject: bus.AlertSubject, ID: (*curfewv1.Alert).GetId, Tenant: (*curfewv1.Alert).GetTenant, IsOver: IsOver,
		Step: func(next *curfewv1.Alert, at time.Time, author, detail string) proto.Message {
			return &curfewv1.AlertStep{Format: bus.Format, Alert: next, Time: timestamppb.New(at), Author: author, Detail: detail}
		},
		Read: func(m bus.Message) (*curfewv1.Alert, time.Time, error) {
			step := new(curfewv1.AlertStep)
			if err := m.Decode(step); err != nil {
				return nil, time.Time{}, err
			}
			return step.GetAlert(), step.GetTime().AsTime(), nil
		},
	}, b, tenant)
}
