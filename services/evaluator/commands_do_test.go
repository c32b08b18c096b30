// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Commands that a test says by one word.
const (
	toAcknowledge = curfewv1.CommandKind_COMMAND_KIND_ACKNOWLEDGE
	toResolve     = curfewv1.CommandKind_COMMAND_KIND_RESOLVE
	toAsk         = curfewv1.CommandKind_COMMAND_KIND_ASK
	toConfirm     = curfewv1.CommandKind_COMMAND_KIND_CONFIRM
	toDisown      = curfewv1.CommandKind_COMMAND_KIND_DISOWN
	toRevoke      = curfewv1.CommandKind_COMMAND_KIND_REVOKE
	toGive        = curfewv1.CommandKind_COMMAND_KIND_MAKE_TEMPORARY
	toExpect      = curfewv1.CommandKind_COMMAND_KIND_EXPECT
	toMute        = curfewv1.CommandKind_COMMAND_KIND_MUTE
	toRequest     = curfewv1.CommandKind_COMMAND_KIND_REQUEST
	toApprove     = curfewv1.CommandKind_COMMAND_KIND_APPROVE
	toDeny        = curfewv1.CommandKind_COMMAND_KIND_DENY
)

// full is a command of a kind with all that it needs; setup makes what it is about.
func (r *responders) full(kind curfewv1.CommandKind) (allowed, forbidden string, fill func(*curfewv1.Command)) {
	r.Helper()
	fill = func(*curfewv1.Command) {}
	switch kind {
	case toResolve:
		fill = func(q *curfewv1.Command) { q.Reason = "a false alarm" }
	case toConfirm, toDisown:
		r.change(func(was *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(was, "person:ann", time.Now()) })
		return "eve", "ann", fill
	case toRevoke:
		r.give("eve")
	case toGive:
		return "ann", "", func(q *curfewv1.Command) { q.Role, q.Duration = "role:support", durationpb.New(time.Hour) }
	case toExpect:
		fill = func(q *curfewv1.Command) { q.Reason, q.Duration = "the yearly audit", durationpb.New(24*time.Hour) }
	case toMute:
		fill = func(q *curfewv1.Command) { q.Duration = durationpb.New(time.Hour) }
	case toRequest:
		return "fay", "", func(q *curfewv1.Command) {
			q.AlertId, q.Role, q.Duration, q.Reason = "", "support", durationpb.New(time.Hour), "a customer waits"
		}
	case toApprove, toDeny:
		asked := r.click("fay", toRequest, func(q *curfewv1.Command) {
			q.AlertId, q.Role, q.Duration, q.Reason = "", "role:support", durationpb.New(time.Hour), "a customer waits"
		})
		r.want("the request", r.take(asked), done, "Asked for role:support for person:fay")
		id := grantID("main", "person:fay", commandKey(asked))
		entry, err := r.api.newest(r.Context(), id)
		if err != nil {
			r.Fatal(err)
		}
		return "cat", "ann", func(q *curfewv1.Command) { q.AlertId, q.GrantId, q.Digest = "", id, grant.Digest(entry.Value) }
	default:
	}
	return "ann", "fay", fill
}

// effects is all that was stored besides commands and the log: what must not be there twice.
func (r *responders) effects() (steps int) {
	r.Helper()
	for _, root := range []string{"alert", "grant"} {
		if err := r.bus.Read(r.Context(), bus.All(root), bus.From{}, func(bus.Message) error {
			steps++
			return nil
		}); err != nil {
			r.Fatal(err)
		}
	}
	return steps + len(r.silences())
}

func (r *responders) silences() (all []*curfewv1.Silence) {
	r.Helper()
	answer, err := r.api.ListSilences(r.as("service:admin"), &curfewv1.ListSilencesRequest{Ended: true})
	if err != nil {
		r.Fatal(err)
	}
	return answer.GetSilences()
}

// Every kind: it is done where the policy lets the person, however often it comes and whatever dies between act and outcome;
// it is refused of one whom the policy does not let, of an account of nobody, of somebody who has left, and late.
func TestEveryCommand(t *testing.T) {
	for _, kind := range []curfewv1.CommandKind{
		toAcknowledge, toResolve, toAsk, toConfirm, toDisown, toRevoke, toGive, toExpect, toMute, toRequest, toApprove, toDeny,
	} {
		t.Run(commandWord(&curfewv1.Command{Kind: kind}), func(t *testing.T) {
			t.Parallel()
			r := newResponders(t)
			allowed, forbidden, fill := r.full(kind)
			before := r.effects()

			nobody := r.take(r.click("x-unknown", kind, fill))
			r.want("nobody's account", nobody, refused, "Curfew does not know whose account U-X-UNKNOWN at slack is: it is nobody's by identities.yaml. Ask whoever keeps Curfew's policy to write it in identities.yaml, under your name: accounts: {slack: [U-X-UNKNOWN]}.")
			if nobody.GetPerson() != "" {
				t.Errorf("got person %q, want none", nobody.GetPerson())
			}
			if forbidden != "" {
				r.want("not allowed", r.take(r.click(forbidden, kind, fill)), refused, "")
			}
			early := func(q *curfewv1.Command) { fill(q); q.Time = timestamppb.New(time.Now().Add(-300 * time.Hour)) } // before there was a policy
			if kind != toConfirm && kind != toDisown {                                                                 // theirs whatever the policy says
				r.want("not allowed when they clicked", r.take(r.click(allowed, kind, early)), refused, "")
			}
			if kind != toRequest && kind != toApprove && kind != toDeny && kind != toDisown { // that it was not them is heard always
				stale := r.take(r.click(allowed, kind, func(q *curfewv1.Command) { fill(q); q.Episode = 7 }))
				r.want("of another episode", stale, refused, "it was opened again at")
			}
			r.show("00unone")
			r.want("left", r.take(r.click(allowed, kind, fill)), refused, "person:"+allowed+" cannot call: the account in the directory (okta) is gone. Ask")
			r.show("ann", "ben", "cat", "eve", "fay", "hal")
			if after := r.effects(); after != before {
				t.Fatalf("what was refused stored %d things", after-before)
			}

			q := r.click(allowed, kind, fill)
			r.lost(q)
			did := r.effects()
			outcome := r.take(q)
			r.want("done", outcome, done, "")
			if after := r.effects(); after != did || did == before || outcome.GetPerson() != "person:"+allowed || outcome.GetText() == "" {
				t.Errorf("done twice: got %d things stored, then %d, then %d; %v", before, did, after, outcome)
			}
			log := strings.Join(r.logged(), "\n")
			for _, want := range []string{"slack/U-X-UNKNOWN commands.take on commands/", allowed + " "} {
				if !strings.Contains(log, want) {
					t.Errorf("got log\n%s\nwant %q in it", log, want)
				}
			}
		})
	}
}
