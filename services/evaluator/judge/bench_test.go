// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// benchEvents is ordinary events: mostly allowed reads by a few people, one in a hundred an export without the right.
func benchEvents(n int) []*curfewv1.Event {
	now := timestamppb.New(morning.Add(time.Hour))
	people := []string{"ann", "sam"}
	events := make([]*curfewv1.Event, n)
	for i := range events {
		action, act := "view", "read"
		person := people[i%len(people)]
		if i%100 == 0 {
			action, act, person = "download", "export", "sam"
		}
		events[i] = &curfewv1.Event{
			Id: fmt.Sprintf("google_workspace:%d", i), Tenant: "main", Source: "google_workspace", Feed: "drive", Time: now, Received: now,
			Action: action, Act: act,
			Actor:    &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: fmt.Sprint(i % 7), Email: person + "@linden-lark.example.com"},
			Resource: &curfewv1.Resource{Path: fmt.Sprintf("file/1-customer-export-%d", i), Kind: "file", Name: "Customers of November"},
			Context:  &curfewv1.Context{Ip: "192.0.2.7", UserAgent: "Mozilla/5.0"}, RawDigest: "00",
		}
	}
	return events
}

// BenchmarkJudge is one decision with all that goes into its record, and findings where there are any.
func BenchmarkJudge(b *testing.B) {
	cat, err := catalog.Load()
	if err != nil {
		b.Fatal(err)
	}
	policy, err := ReadPolicy(exampleDir, cat)
	if err != nil {
		b.Fatal(err)
	}
	judge := &Judge{Tenant: "main", Policies: func(time.Time) (*Policy, time.Time) { return policy, time.Time{} }}
	events := benchEvents(1000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		judge.Evaluate(events[i%len(events)])
	}
}
