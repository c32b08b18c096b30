// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/url"
	"testing"

	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Access is asked for by /curfew request and answered by buttons, with the same rules as the API.
func TestAccessAskedForInSlack(t *testing.T) {
	inSlack(
		t,
		deed{"another person says yes", askForAccess},
		deed{"nobody says yes to their own", approveOwn},
		deed{"another person says no", deny},
	)
}

// asks is what those who may answer are shown of Sam's request.
func asks() []string {
	return []string{"person:sam asks for role:analyst", "to count, OPS-7", `"approve"`, `"deny"`}
}

// askForAccess is Sam, who asks by the form of /curfew request; Ida and Lea are asked, and Lea says yes.
func askForAccess(ctx context.Context, t *testing.T, o *office) {
	sam, ida, lea := o.as(t, "sam"), o.as(t, "ida"), o.as(t, "lea")
	sam.post(ctx, "/_say", url.Values{"text": {"/curfew request"}})
	if err := sam.fill(ctx, o.scene, url.Values{"v.role": {"analyst"}, "v.length": {"3600"}, "v.reason": {"to count, OPS-7"}}); err != nil {
		t.Fatal(err)
	}
	o.see(ctx, t, sam.as, "Done: Asked for role:analyst for person:sam", "person:ida, person:lea can give one")
	idas, leas := o.see(ctx, t, ida.as, asks()...), o.see(ctx, t, lea.as, asks()...)
	if g, err := o.awaitSams(ctx, func(*curfewv1.Grant) bool { return true }); err != nil || isIn(o.demo) || g.GetState() != curfewv1.GrantState_GRANT_STATE_REQUESTED {
		t.Errorf("got %v, %v, in the group %v before anybody said yes", g.GetState(), err, isIn(o.demo))
	}

	lea.press(ctx, leas, "approve")
	o.hear(ctx, t, lea.as, leas.TS, "Done: Approved: role:analyst for person:sam until")
	o.see(ctx, t, sam.as, "Your request for role:analyst", "was approved by person:lea")
	g, err := o.awaitSams(ctx, isActive)
	if err != nil {
		t.Fatal(err)
	}
	if !isIn(o.demo) || len(g.GetApprovals()) != 1 || g.GetApprovals()[0].GetAuthor() != "person:lea" {
		t.Errorf("in the group %v, approved by %v; want Sam in it, by Lea", isIn(o.demo), g.GetApprovals())
	}
	o.see(ctx, t, sam.as, "You have role:analyst", "until")
	ida.press(ctx, idas, "deny") // it was answered meanwhile
	o.hear(ctx, t, ida.as, idas.TS, "Refused")
	if !isIn(o.demo) {
		t.Error("a late no took what was given")
	}
}

// idaAsks is Ida, who asks by a typed command while Lea, who alone may answer, has no account to be told at: everybody in
// the channel sees the buttons. It returns that message, once Lea is back.
func (o *office) idaAsks(ctx context.Context, t *testing.T, reason string) workspace.Message {
	t.Helper()
	ida := o.as(t, "ida")
	lea := workspace.User{ID: o.id("lea"), Name: "lea", RealName: "Lea Lund", Email: mail("lea")}
	away := lea
	away.Deleted = true
	o.team.AddUser(away)
	ida.post(ctx, "/_say", url.Values{"text": {"/curfew request support 1h " + reason}})
	asked := o.see(ctx, t, o.team.channel, "For person:lea", "person:ida asks for role:support", reason, `"approve"`)
	o.isTold(ctx, t, ida.as, 1, "Asked for role:support for 1 h.")
	o.team.AddUser(lea)
	return asked
}

// approveOwn is Ida, who clicks on her own request.
func approveOwn(ctx context.Context, t *testing.T, o *office) {
	ida := o.as(t, "ida")
	asked := o.idaAsks(ctx, t, "to stand in for Sam")
	ida.press(ctx, asked, "approve")
	o.isTold(ctx, t, ida.as, 1, "Refused: Nobody answers their own request.")
	if g := o.idas(ctx, t); g.GetState() != curfewv1.GrantState_GRANT_STATE_REQUESTED || len(g.GetApprovals()) > 0 {
		t.Errorf("got %v, approved by %v; want it to wait", g.GetState(), g.GetApprovals())
	}
	o.as(t, "lea").press(ctx, asked, "approve")
	o.see(ctx, t, ida.as, "Your request for role:support was approved by person:lea")
	o.see(ctx, t, ida.as, "You have role:support")
}

// deny is Lea, who says no to what Ida asks for.
func deny(ctx context.Context, t *testing.T, o *office) {
	lea := o.as(t, "lea")
	asked := o.idaAsks(ctx, t, "to play")
	lea.press(ctx, asked, "deny")
	o.isTold(ctx, t, lea.as, 1, "Done: You said no; whoever asked is told.")
	o.see(ctx, t, o.id("ida"), "Your request for role:support was denied.")
}

// idas is what Ida asked for first.
func (o *office) idas(ctx context.Context, t *testing.T) *curfewv1.Grant {
	t.Helper()
	answer, err := o.grants.ListGrants(ctx, &curfewv1.ListGrantsRequest{Subject: "person:ida", Ended: true})
	if err != nil || len(answer.GetGrants()) != 1 {
		t.Fatalf("got %v, %v; want one request of Ida's", answer, err)
	}
	return answer.GetGrants()[0]
}
