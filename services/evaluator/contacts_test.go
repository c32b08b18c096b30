// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// reached is where the bucket says that people can be reached, and how often it was written.
func (r *responders) reached() (all map[string]string, written uint64) {
	r.Helper()
	all = map[string]string{}
	for _, name := range []string{"ann", "eve", "zoe"} {
		entry, err := r.bus.Get(r.Context(), bus.Contacts, "main", "person:"+name)
		if err != nil {
			continue
		}
		list := new(curfewv1.Contacts)
		if err := proto.Unmarshal(entry.Value, list); err != nil {
			r.Fatal(err)
		}
		var said []string
		for _, c := range list.GetContacts() {
			said = append(said, fmt.Sprintf("%s at %s as %s", c.GetPerson(), c.GetSystem(), c.GetId()))
		}
		all[name] = strings.Join(said, ", ")
		written = max(written, entry.Revision)
	}
	return all, written
}

func TestContactsFollowTheIdentities(t *testing.T) {
	r := newResponders(t)
	gone, err := proto.Marshal(&curfewv1.Contacts{Contacts: []*curfewv1.Contact{{Person: "person:zoe", System: "slack", Id: "U-ZOE"}}})
	if err == nil {
		_, err = r.bus.Create(t.Context(), bus.Contacts, gone, "main", "person:zoe")
	}
	if err != nil {
		t.Fatal(err)
	}
	one, two := &contacts{evaluator: r.api.evaluator}, &contacts{evaluator: r.api.evaluator}
	if err := one.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, written := r.reached()
	if all["ann"] != "person:ann at email as ann@example.com, person:ann at slack as U-ANN" || all["zoe"] != "" {
		t.Errorf("got %q", all)
	}
	if err := two.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, again := r.reached(); again != written {
		t.Errorf("another replica wrote what stood there: got revision %d, want %d", again, written)
	}
}
