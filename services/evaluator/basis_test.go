// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// at is a judge by exactly what a basis says was known: the streams up to there, and no more.
func at(t *testing.T, b *bus.Bus, policies *policies, basis *curfewv1.Basis) *judge.Judge {
	t.Helper()
	fold, until := temporal.NewFold(), positions(basis)
	for i, root := range linkStreams {
		err := b.Read(t.Context(), bus.All(root), bus.From{}, func(m bus.Message) error {
			if m.Sequence > until[i] {
				return nil
			}
			read, err := readMessage(t.Context(), b, "main", i, m)
			if err != nil || read == nil {
				return err
			}
			return read(fold)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := pseudonymKey(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return &judge.Judge{Tenant: "main", Pseudonyms: key, Policies: policies.now()[:basis.GetPolicyRevision()].at, Known: fold.Known()}
}

// Four replicas judge while groups, grants and the policy change under their hands; whoever judges again by a batch's
// basis comes to the same bytes.
func TestTheSameBasisGivesTheSameBytes(t *testing.T) {
	b := bustest.New(t)
	o := ago(t, b, map[string]string{
		"policy.csv": groupPolicy, "identities.yaml": groupPeople, "classes.yaml": "resources: [{object: \"google_workspace/file/*\", class: pii.contact}]\n",
	})
	now := time.Now()
	people, members := &shelf{t: t, bus: b, kind: "people"}, &shelf{t: t, bus: b, kind: "memberships"}
	people.read(now.Add(-3*time.Hour), now.Add(-3*time.Hour), person("00u1", "sam@linden-lark.example.com"))
	members.read(now.Add(-3*time.Hour), now.Add(-3*time.Hour))
	for i := range 4 {
		o.Holder = fmt.Sprint("replica ", i)
		start(t, o)
	}
	const lanes, rounds = 6, 12
	last := make([]uint64, lanes)
	for round := range rounds {
		when := now.Add(-2*time.Hour + time.Duration(round)*5*time.Minute)
		for l := range lanes {
			feed := fmt.Sprint("drive", l)
			batch := &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: "google_workspace", Feed: feed, Received: timestamppb.Now()}
			for i := range 20 {
				e := driveEvent("sam@linden-lark.example.com", "download", "export")
				e.Id, e.Time = fmt.Sprintf("google_workspace:%d-%d-%d", l, round, i), timestamppb.New(when.Add(time.Duration(i)*10*time.Second))
				batch.Events = append(batch.Events, e)
			}
			var err error
			if last[l], err = b.Append(t.Context(), bus.EventSubject("main", "google_workspace", feed), last[l], batch); err != nil {
				t.Fatal(err)
			}
		}
		// In and out of the group, as readings and the log tell; and a grant now and then.
		switch round % 3 {
		case 0:
			members.read(when, when.Add(time.Second), member("00u1"))
		case 1:
			members.read(when, when.Add(time.Second))
		}
		if round%4 == 1 {
			grant := &curfewv1.GrantStep{Format: 1, Time: timestamppb.Now(), Grant: &curfewv1.Grant{
				Id: fmt.Sprint("g", round), Tenant: "main", Subject: "person:sam", Role: "role:analyst", State: curfewv1.GrantState_GRANT_STATE_ACTIVE,
				From: timestamppb.New(when), ExpiresAt: timestamppb.New(when.Add(3 * time.Minute)),
			}}
			if _, err := b.Append(t.Context(), bus.GrantSubject("main", grant.GetGrant().GetId()), 0, grant); err != nil {
				t.Fatal(err)
			}
		}
		if round%2 == 1 {
			act(t, b, "okta", fmt.Sprint("okta:", round), when.Add(-time.Minute), &curfewv1.LinkChange{
				Kind: "memberships", Holder: "00u1", HolderType: "account", Held: "00g1", Removed: round%4 == 1,
			})
		}
	}
	verdicts, bases := map[curfewv1.Verdict]int{}, map[string]bool{}
	policies, err := openPolicies(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	err = b.Follow(t.Context(), bus.All("decision"), bus.From{}, func(m bus.Message) error {
		decided := new(curfewv1.DecisionBatch)
		if err := m.Decode(decided); err != nil {
			return err
		}
		stored, err := b.At(t.Context(), bus.All("event"), decided.GetEventSequence())
		if err != nil {
			return err
		}
		batch := new(curfewv1.EventBatch)
		if err := stored.Decode(batch); err != nil {
			return err
		}
		again := at(t, b, policies, decided.GetBasis())
		for i, was := range decided.GetDecisions() {
			verdicts[was.GetVerdict()]++
			if is := again.Decide(batch.GetEvents()[i]); !bytes.Equal(encoded(t, is), encoded(t, was)) {
				t.Fatalf("judged again by the same basis: got\n%v\nwas\n%v", is, was)
			}
		}
		bases[decided.GetBasis().String()] = true
		if decided.GetSource() == "google_workspace" {
			batches++
		}
		if batches == lanes*rounds {
			return errFound
		}
		return nil
	})
	if batches != lanes*rounds {
		t.Fatal(err)
	}
	if len(bases) < 3 || verdicts[allowed] == 0 || verdicts[violation] == 0 || verdicts[unknown] == 0 {
		t.Fatalf("this shows little: %d bases, %v", len(bases), verdicts)
	}
}

func encoded(t *testing.T, message proto.Message) []byte {
	t.Helper()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
