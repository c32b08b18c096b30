// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Through a lane: told before its decisions are written, once however many batches and restarts there are.
func TestALaneTellsWhatNobodyClassified(t *testing.T) {
	b := bustest.New(t)
	last := uint64(0)
	read := func(n int) {
		t.Helper()
		events := kindEvents("google_workspace", "basket", n)
		for _, e := range events {
			e.Id += "-" + timestamppb.Now().String()
		}
		batch := &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: "google_workspace", Feed: "drive", Received: timestamppb.Now(), Events: events, PreviousSequence: last}
		var err error
		if last, err = b.Append(t.Context(), bus.EventSubject("main", "google_workspace", "drive"), last, batch); err != nil {
			t.Fatal(err)
		}
	}
	stop := start(t, options(t, b, "one"))
	read(50)
	read(50)
	decided(t, b, 100)
	stop()
	start(t, options(t, b, "two"))
	read(5)
	decided(t, b, 105)
	if got := told(t, b); len(got) != 1 || got["Nobody has said what data the kind basket of google_workspace holds"] != 1 {
		t.Errorf("got %v", got)
	}
}
