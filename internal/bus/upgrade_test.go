// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// TestGrantsOfAnEarlierVersionLive opens a data directory whose GRANTS took no batches, with a grant in it: it is there, and
// batches are taken behind it.
func TestGrantsOfAnEarlierVersionLive(t *testing.T) {
	dir := t.TempDir()
	open := func() *Bus {
		b, err := Open(t.Context(), Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	subject := GrantSubject("shop", "g-1")
	step := &curfewv1.GrantStep{Format: 1, Grant: &curfewv1.Grant{Id: "g-1", Tenant: "shop", State: curfewv1.GrantState_GRANT_STATE_ACTIVE}}
	b := open()
	if err := b.js.DeleteStream(t.Context(), "GRANTS"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "GRANTS", Subjects: []string{"grant.>"}, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(t.Context(), subject, 0, step); err != nil {
		t.Fatal(err)
	}
	if _, err := b.AppendAll(t.Context(), []Pending{{Subject: subject, Last: 1, Message: step}}); err == nil {
		t.Fatal("the earlier version's stream takes batches, so that this test shows nothing")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open()
	defer b.Close()
	if first, err := b.AppendAll(t.Context(), []Pending{{Subject: subject, Last: 1, Message: step}}); err != nil || first != 2 {
		t.Errorf("a batch behind what was stored: got %d, %v, want 2", first, err)
	}
}
