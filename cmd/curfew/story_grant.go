// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// granted is how long Kim's grant lasts: two minutes would keep the audience waiting.
const granted = 3 * time.Second

// The group of the story's grants at the fake Okta, which is that of the demo's policy, and Curfew itself there.
const (
	exportsGroup = "00gexports000000001"
	itself       = "app:okta/0oaCurfew" // by which Curfew gives and takes
)

// scene is the story as it is played.
type scene struct {
	*demo
	grants   curfewv1.GrantServiceClient
	watching <-chan error
	n        uint64 // acts so far
}

// all plays the story. What was taken away is read back for some twenty seconds, in which other things happen.
func (s *scene) all(ctx context.Context) error {
	kims, err := s.lend(ctx)
	if err != nil {
		return err
	}
	if err := s.plays(ctx, morning()...); err != nil {
		return err
	}
	sams, err := s.answer(ctx)
	if err != nil {
		return err
	}
	fmt.Fprint(s.out, "\nKim's two minutes are over, too. Of both Okta is asked until it no longer shows them in the group. Meanwhile:\n")
	if err := s.plays(ctx, meanwhile()...); err != nil {
		return err
	}
	if err := s.takeOn(ctx); err != nil {
		return err
	}
	if kims, err = s.awaitGrant(ctx, kims.GetId(), grant.IsOver); err != nil {
		return err
	}
	fmt.Fprint(s.out, "\nKim is seen to be gone from the group: access that ends by itself.\n")
	s.printEnd(kims)
	if err := s.plays(ctx, act{"Kim downloads the customer list once more.", 1, 1, atGoogle("kim", "drive", customers("download"))}); err != nil {
		return err
	}
	if sams, err = s.awaitGrant(ctx, sams.GetId(), grant.IsOver); err != nil {
		return err
	}
	fmt.Fprint(s.out, "\nSam is seen to be gone from it as well. The receipt:\n")
	s.printEnd(sams)
	s.printReceipt(sams)
	return nil
}

// lend gives access that ends by itself, and shows its use.
func (s *scene) lend(ctx context.Context) (*curfewv1.Grant, error) {
	fmt.Fprintf(s.out, "\nKim has to count, once. She gets the analyst's role for two minutes (here: %v), and with it a group at Okta.\n", granted)
	g, err := s.give(ctx)
	if err != nil {
		return nil, err
	}
	if g, err = s.awaitGrant(ctx, g.GetId(), isActive); err != nil {
		return nil, err
	}
	s.printHeld(g)
	return g, s.plays(ctx, act{"Kim downloads the whole customer list. Now she may.", 1, 0, atGoogle("kim", "drive", customers("download"))})
}

// give creates the grant. The first inventory, by which Kim's account is known, may still be on its way.
func (s *scene) give(ctx context.Context) (*curfewv1.Grant, error) {
	for {
		answer, err := s.grants.CreateGrant(ctx, &curfewv1.CreateGrantRequest{
			Subject: "person:kim", Role: "role:analyst", Duration: durationpb.New(granted), Reason: "quarterly numbers", Ticket: "OPS-12",
		})
		if status.Code(err) != codes.FailedPrecondition && status.Code(err) != codes.InvalidArgument {
			return answer.GetGrant(), err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("give Kim a grant: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func isActive(g *curfewv1.Grant) bool {
	return g.GetState() == curfewv1.GrantState_GRANT_STATE_ACTIVE
}

// awaitGrant returns the grant once it is as wanted.
func (s *scene) awaitGrant(ctx context.Context, id string, wanted func(*curfewv1.Grant) bool) (g *curfewv1.Grant, err error) {
	err = s.until(ctx, "grant "+id, func() (bool, error) {
		answer, err := s.grants.GetGrant(ctx, &curfewv1.GetGrantRequest{Id: id})
		g = answer.GetGrant()
		return wanted(g), err
	})
	return g, err
}

// plays plays acts, one after another.
func (s *scene) plays(ctx context.Context, acts ...act) error {
	for _, a := range acts {
		if err := s.play(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// play plays one act, and shows what was decided of it, and what is said of that in Slack.
func (s *scene) play(ctx context.Context, a act) error {
	fmt.Fprintf(s.out, "\n%s\n", a.says)
	said := s.team.alerts() + a.alerts
	s.n++
	a.happen(s.demo, time.Now(), s.n)
	for shown := 0; shown < a.events; {
		select {
		case decision := <-s.decided:
			shown += s.print(decision)
		case err := <-s.watching:
			return fmt.Errorf("watch the access log: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("play the demo: no decision came within %s; please report this", patience)
		}
	}
	if err := s.until(ctx, "the alert", func() (bool, error) { return s.team.alerts() >= said, nil }); err != nil {
		return err
	}
	select {
	case <-time.After(s.pace):
	case <-ctx.Done():
	}
	return nil
}

func (s *scene) printHeld(g *curfewv1.Grant) {
	held := g.GetPrivileges()[0]
	fmt.Fprintf(s.out, "  active     %s holds %s until %s\n             Okta shows the account in the group %s since %s\n", g.GetSubject(), g.GetRole(),
		clockTime(grant.End(g)), held.GetPrivilege().GetResourceName(), clockTime(held.GetSeen().AsTime()))
}

func (s *scene) printEnd(g *curfewv1.Grant) {
	held := g.GetPrivileges()[0]
	fmt.Fprintf(s.out, "  %-9s  due %s, called %s, seen gone %s\n", grant.Say(g.GetState()), clockTime(grant.End(g)), clockTime(held.GetCalled().AsTime()), clockTime(held.GetGone().AsTime()))
}

func (s *scene) printReceipt(g *curfewv1.Grant) {
	held := g.GetPrivileges()[0]
	for _, call := range held.GetCalls() {
		if strings.HasPrefix(call, http.MethodDelete) {
			fmt.Fprintf(s.out, "             taken:     %s\n", call)
		}
	}
	for _, read := range held.GetReads() {
		if !strings.HasPrefix(read, http.MethodGet) { // what the calls came to
			fmt.Fprintf(s.out, "             read back: %s\n", read)
		}
	}
	fmt.Fprintf(s.out, "             sessions:  %s\n", held.GetSessions())
	if held.GetResidual() != "" {
		fmt.Fprintf(s.out, "             lives on:  %s\n", held.GetResidual())
	}
}

func clockTime(at time.Time) string { return at.UTC().Format("15:04:05.0") }
