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

	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// granted is how long the story's grant lasts: two minutes would keep the audience waiting.
const granted = 4 * time.Second

// The person and the group of the story's grant, as the fake Okta knows them; the group is that of the example policy.
const (
	samAtOkta    = "00usam0000000000001"
	exportsGroup = "00gexports000000001"
	itself       = "app:okta/0oaCurfew" // by which Curfew gives and takes it
)

// people puts those of the story into Okta whose accounts must be known.
func (d *demo) people() {
	d.okta.Put(
		fake.OktaUser{ID: samAtOkta, Login: mail("sam"), First: "Sam", Last: "Sommer"},
		fake.OktaGroup{ID: exportsGroup, Name: "Exports"},
	)
}

// performGrant plays access for a time: given, used, ended, read back, and tried again.
func (d *demo) performGrant(ctx context.Context, api *client, watching <-chan error) error {
	conn, err := api.dial()
	if err != nil {
		return err
	}
	defer conn.Close() // nothing is written through it
	grants := curfewv1.NewGrantServiceClient(conn)
	fmt.Fprintf(d.out, "\nSam has to count, once. He gets the analyst's role for two minutes (here: %v), and with it a group at Okta.\n", granted)
	g, err := d.give(ctx, grants)
	if err != nil {
		return err
	}
	if g, err = d.awaitGrant(ctx, grants, g.GetId(), func(g *curfewv1.Grant) bool { return g.GetState() == curfewv1.GrantState_GRANT_STATE_ACTIVE }); err != nil {
		return err
	}
	held := g.GetPrivileges()[0]
	fmt.Fprintf(d.out, "  active     %s holds %s until %s\n             Okta shows him in the group %s since %s\n", g.GetSubject(), g.GetRole(),
		clockTime(grant.End(g)), held.GetPrivilege().GetResourceName(), clockTime(held.GetSeen().AsTime()))
	download := atGoogle("sam", "drive", fake.GoogleFileAct("download", "1-customer-export-2026", "Customers 2026", mail("ann"), "shared_internally"))
	if err := d.play(ctx, act{"Sam downloads the whole customer list. Now he may.", 1, download}, 200, watching); err != nil {
		return err
	}
	fmt.Fprint(d.out, "\nThe time is over. Curfew takes the group away and asks Okta until it no longer shows it: the receipt.\n")
	if g, err = d.awaitGrant(ctx, grants, g.GetId(), grant.IsOver); err != nil {
		return err
	}
	d.printReceipt(g)
	return d.play(ctx, act{"Sam downloads it once more.", 1, download}, 201, watching)
}

// give creates the grant. The first inventory, by which Sam's account is known, may still be on its way.
func (d *demo) give(ctx context.Context, grants curfewv1.GrantServiceClient) (*curfewv1.Grant, error) {
	for {
		answer, err := grants.CreateGrant(ctx, &curfewv1.CreateGrantRequest{
			Subject: "person:sam", Role: "role:analyst", Duration: durationpb.New(granted), Reason: "quarterly numbers", Ticket: "OPS-12",
		})
		if status.Code(err) != codes.FailedPrecondition && status.Code(err) != codes.InvalidArgument {
			return answer.GetGrant(), err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("give Sam a grant: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// awaitGrant returns the grant once it is as wanted.
func (d *demo) awaitGrant(ctx context.Context, grants curfewv1.GrantServiceClient, id string, wanted func(*curfewv1.Grant) bool) (*curfewv1.Grant, error) {
	for {
		answer, err := grants.GetGrant(ctx, &curfewv1.GetGrantRequest{Id: id})
		if err != nil || wanted(answer.GetGrant()) {
			return answer.GetGrant(), err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("play the demo: grant %s is still %s after %s; please report this", id, grant.Say(answer.GetGrant().GetState()), patience)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (d *demo) printReceipt(g *curfewv1.Grant) {
	held := g.GetPrivileges()[0]
	fmt.Fprintf(d.out, "  %-9s  due %s, called %s, seen gone %s\n", grant.Say(g.GetState()), clockTime(grant.End(g)), clockTime(held.GetCalled().AsTime()), clockTime(held.GetGone().AsTime()))
	for _, call := range held.GetCalls() {
		if strings.HasPrefix(call, http.MethodDelete) {
			fmt.Fprintf(d.out, "             taken:     %s\n", call)
		}
	}
	for _, read := range held.GetReads() {
		fmt.Fprintf(d.out, "             read back: %s\n", read)
	}
	fmt.Fprintf(d.out, "             sessions:  %s\n", held.GetSessions())
	if held.GetResidual() != "" {
		fmt.Fprintf(d.out, "             lives on:  %s\n", held.GetResidual())
	}
}

func clockTime(at time.Time) string { return at.UTC().Format("15:04:05.0") }
