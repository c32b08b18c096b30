// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func TestAKeyMakesOneGrant(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	grants := curfewv1.NewGrantServiceClient(conn)
	q := samAnalyst()
	q.IdempotencyKey = "OPS-12"
	first, err := grants.CreateGrant(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := grants.CreateGrant(ctx, q); err != nil || !proto.Equal(again, first) {
		t.Errorf("sent again: got %v, %v, want %v", again, err, first)
	}
	for name, change := range map[string]func(*curfewv1.CreateGrantRequest){
		"subject": func(q *curfewv1.CreateGrantRequest) { q.Subject = "person:kim" },
		"role":    func(q *curfewv1.CreateGrantRequest) { q.Role = "role:finance" },
		"begin":   func(q *curfewv1.CreateGrantRequest) { q.From = in(time.Minute) },
		"end":     func(q *curfewv1.CreateGrantRequest) { q.ExpiresAt = in(2 * time.Hour) },
		"reason":  func(q *curfewv1.CreateGrantRequest) { q.Reason = "another" },
		"ticket":  func(q *curfewv1.CreateGrantRequest) { q.Ticket = "" },
	} {
		other := proto.CloneOf(q)
		change(other)
		_, err := grants.CreateGrant(ctx, other)
		if status.Code(err) != codes.AlreadyExists || !strings.Contains(err.Error(), first.GetGrant().GetId()) {
			t.Errorf("another %s: got %v, want AlreadyExists with the grant's id", name, err)
		}
	}
	if _, err := grants.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: first.GetGrant().GetId(), Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if again, err := grants.CreateGrant(ctx, q); err != nil || again.GetGrant().GetState() != revoked {
		t.Errorf("sent again after the revocation: got %v, %v, want the revoked one", again, err)
	}
	if steps := grantSteps(t, b); len(steps) != 2 {
		t.Errorf("got %d steps, want 2", len(steps))
	}
	q.IdempotencyKey = ""
	if free, err := grants.CreateGrant(ctx, q); err != nil || free.GetGrant().GetId() == first.GetGrant().GetId() {
		t.Errorf("without a key: got %v, %v, want a grant of its own", free, err)
	}
}

// Everybody at once on one key, and then on one grant, over two replicas: one step each, and everybody sees the same.
func TestGrantsAtOnce(t *testing.T) {
	b := bustest.New(t)
	one, ctx := dialAPI(t, b, nil)
	two, _ := dialAPI(t, b, func(o *Options) { o.Holder = "other" })
	clients := []curfewv1.GrantServiceClient{curfewv1.NewGrantServiceClient(one), curfewv1.NewGrantServiceClient(two)}
	const calls = 16
	atOnce := func(call func(curfewv1.GrantServiceClient) (*curfewv1.Grant, error)) *curfewv1.Grant {
		answers := make([]*curfewv1.Grant, calls)
		var group sync.WaitGroup
		for i := range calls {
			group.Go(func() {
				var err error
				if answers[i], err = call(clients[i%2]); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, answer := range answers {
			if !proto.Equal(answer, answers[0]) {
				t.Errorf("got %v and %v, want one answer", answers[0], answer)
			}
		}
		return answers[0]
	}
	for i := range 5 {
		q := samAnalyst()
		q.IdempotencyKey = fmt.Sprint("key ", i)
		g := atOnce(func(c curfewv1.GrantServiceClient) (*curfewv1.Grant, error) {
			answer, err := c.CreateGrant(ctx, q)
			return answer.GetGrant(), err
		})
		if steps := grantSteps(t, b); len(steps) != 2*i+1 {
			t.Fatalf("made: got %d steps, want %d", len(steps), 2*i+1)
		}
		atOnce(func(c curfewv1.GrantServiceClient) (*curfewv1.Grant, error) {
			answer, err := c.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: g.GetId(), Reason: "x"})
			return answer.GetGrant(), err
		})
		if steps := grantSteps(t, b); len(steps) != 2*i+2 {
			t.Fatalf("revoked: got %d steps, want %d", len(steps), 2*i+2)
		}
	}
}
