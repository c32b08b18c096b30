// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// askForAccess is Sam, who asks by the form of /curfew request; Ida and Lea are asked, and Lea says yes.
func askForAccess(ctx context.Context, t *testing.T, o *office) {
	sam, ida, lea := o.as(t, "sam"), o.as(t, "ida"), o.as(t, "lea")
	sam.post(ctx, "/_say", url.Values{"text": {"/curfew request"}})
	if err := sam.fill(ctx, o.scene, url.Values{"v.role": {"analyst"}, "v.length": {"3600"}, "v.reason": {"to count, OPS-7"}}); err != nil {
		t.Fatal(err)
	}
	o.see(ctx, t, sam.as, "Done", "Asked for role:analyst for person:sam")
	asks := []string{"person:sam asks for role:analyst", "to count, OPS-7", `"approve"`, `"deny"`}
	o.see(ctx, t, ida.as, asks...)
	asked := o.see(ctx, t, lea.as, asks...)
	if isIn(o.demo) {
		t.Error("Sam is in the group before anybody said yes")
	}

	lea.press(ctx, asked, "approve")
	o.hear(ctx, t, lea.as, asked.TS, "Done", "Approved: role:analyst for person:sam until")
	o.see(ctx, t, sam.as, "Your request for role:analyst", "was approved by person:lea")
	g, err := o.awaitSams(ctx, isActive)
	if err != nil {
		t.Fatal(err)
	}
	if !isIn(o.demo) || len(g.GetApprovals()) != 1 || g.GetApprovals()[0].GetAuthor() != "person:lea" {
		t.Errorf("in the group %v, approved by %v; want Sam in it, by Lea", isIn(o.demo), g.GetApprovals())
	}
	o.see(ctx, t, sam.as, "You have role:analyst", "until")
}

// approveOwn is Ida, who asks by a typed command while only the channel can be told, and clicks there herself.
func approveOwn(ctx context.Context, t *testing.T, o *office) {
	max, ida := o.as(t, "max"), o.as(t, "ida")
	_ = max
	lea := workspace.User{ID: o.id("lea"), Name: "lea", RealName: "Lea Lund", Email: mail("lea")}
	away := lea
	away.Deleted = true
	o.team.AddUser(away)
	ida.post(ctx, "/_say", url.Values{"text": {"/curfew request role:support 1h to stand in for Sam"}})
	o.isTold(ctx, t, ida.as, "Asked for role:support for 1 h.")
	asked := o.see(ctx, t, o.team.channel, "For person:lea", "person:ida asks for role:support", `"approve"`)
	o.team.AddUser(lea)

	ida.press(ctx, asked, "approve")
	o.isTold(ctx, t, ida.as, "Refused")
	t.Log(o.team.Ephemerals(ida.as))
	waiting, err := o.grants.ListGrants(ctx, &curfewv1.ListGrantsRequest{Subject: "person:ida"})
	if err != nil || strings.Contains(waiting.String(), "ACTIVE") {
		t.Errorf("got %v, %v after Ida's own yes; want it to wait", waiting, err)
	}
	o.as(t, "lea").press(ctx, asked, "approve")
	o.see(ctx, t, ida.as, "Your request for role:support was approved by person:lea")
	o.see(ctx, t, ida.as, "You have role:support")
}

// refuse is those who may ask for nothing, each of whom clicks and types.
func refuse(ctx context.Context, t *testing.T, o *office) {
	o.happens(atM365("ann", "FileAccessed", payouts()))
	card := o.see(ctx, t, o.team.channel, "Payouts 2026", "ann@", `"acknowledge"`)
	for _, c := range []struct {
		name, want string
		account    workspace.User
	}{
		{"who was deactivated since", "Refused: your account is deactivated.", workspace.User{ID: o.id("ann"), Name: "ann", Deleted: true}},
		{"a guest", "Refused: a guest may not ask for anything here.", workspace.User{Name: "gus", IsRestricted: true}},
		{"somebody of another workspace", "Refused: your account is of another workspace than this app is for.", workspace.User{Name: "rex", TeamID: "T0OTHER", IsStranger: true}},
		{"a member whom nobody put into the policy", "Refused: Curfew does not know whose account", workspace.User{ID: "U0NOBODY", Name: "uma"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := browser{t, o.team, o.team.AddUser(c.account)}
			b.press(ctx, card, "acknowledge")
			o.isTold(ctx, t, b.as, c.want)
			b.post(ctx, "/_say", url.Values{"text": {"/curfew request role:analyst 1h to see"}})
			o.await(ctx, t, "an answer to what was typed", func() bool {
				told := 0
				for _, e := range o.team.Ephemerals(b.as) {
					if strings.Contains(e.Text, c.want) {
						told++
					}
				}
				var seen workspace.Message
				return told == 2 || newest(o.team.Messages(b.as), &seen, []string{c.want})
			})
		})
	}
	if a := o.alert(ctx, t, "ann", "Payouts 2026"); a.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN || len(a.GetNotes()) > 0 {
		t.Errorf("got %v with %v, want the alert as it was", a.GetState(), a.GetNotes())
	}
	all, err := o.grants.ListGrants(ctx, &curfewv1.ListGrantsRequest{Subject: "person:ann", Ended: true})
	if err != nil || len(all.GetGrants()) > 0 {
		t.Errorf("got %v, %v; want nothing asked for", all, err)
	}
}
