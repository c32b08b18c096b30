// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// An alert is answered by clicks: what comes of them is seen in Slack and by the command line.
func TestAlertsAnsweredInSlack(t *testing.T) {
	inSlack(
		t,
		deed{"it was not me", disown},
		deed{"it was me", confirm},
		deed{"what two say is expected is quiet", expect},
		deed{"what is muted is quiet until somebody ends that", mute},
		deed{"who may not ask is told why", refuse},
	)
}

// paid is an act at a list in the drive that finance alone may read.
func paid(act string) fake.GoogleAct {
	return fake.GoogleFileAct(act, "1-payouts-2026", "Payouts 2026", mail("kim"), "private")
}

// asksWhether is Ida, who sees what somebody did and has them asked; it returns where the alert stands.
func (o *office) asksWhether(ctx context.Context, t *testing.T, login string, says ...string) string {
	t.Helper()
	ida := o.as(t, "ida")
	ida.press(ctx, o.see(ctx, t, o.team.channel, append(says, login+"@", `"ask"`)...), "ask")
	o.isTold(ctx, t, ida.as, 1, "Done: person:"+login+" is being asked.")
	shown := o.see(ctx, t, o.team.channel, append(says, login+"@", "was asked whether it was them")...)
	o.hear(ctx, t, o.team.channel, shown.TS, "person:ida: Asked person:"+login)
	return shown.TS
}

// disown is Pat, who is asked about the payouts and says that it was somebody else.
func disown(ctx context.Context, t *testing.T, o *office) {
	pat := o.as(t, "pat")
	o.happens(atGoogle("pat", "drive", paid("download")))
	ts := o.asksWhether(ctx, t, "pat", "Payouts 2026")
	question := o.see(ctx, t, pat.as, "person:ida asks: was this you?", "Payouts 2026", "Yes, it was me", "No, it was not me")
	if a := o.alert(ctx, t, "pat", "Payouts 2026"); a.GetSeverity() == curfewv1.Severity_SEVERITY_CRITICAL {
		t.Errorf("the alert is critical before Pat answered")
	}

	pat.press(ctx, question, "disown")
	o.hear(ctx, t, pat.as, question.TS, "Done: Thank you. Those who handle the alert are told.")
	said := o.hear(ctx, t, o.team.channel, ts, "person:pat says that it was NOT them")
	if !said.Broadcast {
		t.Error("that it was not Pat is said in the thread alone, want it in the channel too")
	}
	now := o.see(ctx, t, o.team.channel, "CRITICAL", "Payouts 2026", "says that it was not them")
	if now.TS != ts {
		t.Errorf("the critical card is message %s, want %s edited", now.TS, ts)
	}
	if a := o.alert(ctx, t, "pat", "Payouts 2026"); a.GetSeverity() != curfewv1.Severity_SEVERITY_CRITICAL || a.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN {
		t.Errorf("got %v %v, want it critical and open", a.GetSeverity(), a.GetState())
	}

	// Who thinks better of it has to say so to people.
	pat.pressStale(ctx, o, question, "confirm")
	o.hear(ctx, t, pat.as, question.TS, "Refused: You answered otherwise at")
}

// confirm is Max, who is asked about the customer list and says that it was him.
func confirm(ctx context.Context, t *testing.T, o *office) {
	max := o.as(t, "max")
	o.happens(atGoogle("max", "drive", customers("download")))
	ts := o.asksWhether(ctx, t, "max", "Customers 2026")
	question := o.see(ctx, t, max.as, "person:ida asks: was this you?", "Customers 2026")
	before := o.alert(ctx, t, "max", "Customers 2026")

	max.press(ctx, question, "confirm")
	o.hear(ctx, t, max.as, question.TS, "Done: Thank you.")
	said := o.hear(ctx, t, o.team.channel, ts, "person:max says that it was them")
	o.see(ctx, t, o.team.channel, "Customers 2026", "max@", "says that it was them")
	if a := o.alert(ctx, t, "max", "Customers 2026"); said.Broadcast || a.GetSeverity() != before.GetSeverity() || a.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN {
		t.Errorf("got %v %v, said to all %v; want it as it was, noted in the thread", a.GetSeverity(), a.GetState(), said.Broadcast)
	}
	life := o.says(ctx, t, "alert", "show", before.GetId())
	if !strings.Contains(life, "person:max says that it was them.") {
		t.Errorf("got\n%s\nwant what Max said", life)
	}
}

// expect is Lea, who proposes that Kim's download is expected, and Ida, who says so too.
func expect(ctx context.Context, t *testing.T, o *office) {
	ida, lea, kim := o.as(t, "ida"), o.as(t, "lea"), o.as(t, "kim")
	o.happens(atGoogle("kim", "drive", customers("download")))
	card := o.see(ctx, t, o.team.channel, "Customers 2026", "kim@", `"expect"`)
	lea.press(ctx, card, "expect")
	if err := lea.fill(ctx, o.scene, url.Values{"v.scope": {"resource"}, "v.length": {"86400"}, "v.reason": {"the yearly audit"}}); err != nil {
		t.Fatal(err)
	}
	proposal := o.see(ctx, t, o.team.channel, "person:lea says that this is expected until", "the yearly audit", `"approve"`)
	o.hear(ctx, t, o.team.channel, card.TS, "person:lea: Proposed as expected until")

	lea.press(ctx, proposal, "approve")
	o.isTold(ctx, t, lea.as, 1, "Refused: You proposed it yourself: somebody else has to say yes.")
	kim.press(ctx, proposal, "approve")
	o.isTold(ctx, t, kim.as, 1, "Refused")
	if a := o.alert(ctx, t, "kim", "Customers 2026"); a.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN {
		t.Errorf("got %v by one person's word, want it open", a.GetState())
	}

	ida.press(ctx, proposal, "approve")
	o.isTold(ctx, t, ida.as, 1, "Done: Approved: expected until")
	o.see(ctx, t, o.team.channel, "Customers 2026", "kim@", "resolved by person:ida: expected until", "the yearly audit")
	o.see(ctx, t, o.team.channel, "person:lea keeps alerts quiet until", "the yearly audit")
	ida.pressStale(ctx, o, proposal, "approve")
	o.isTold(ctx, t, ida.as, 2, "Done: Approved: expected until")
	o.quietly(ctx, t, "kim", "Customers 2026", "of person:lea until", atGoogle("kim", "drive", customers("download")))
}

// quietly is something that is found once more and said to nobody; alert show says why.
func (o *office) quietly(ctx context.Context, t *testing.T, login, file, by string, again happening) *curfewv1.Alert {
	t.Helper()
	before, shown := o.alert(ctx, t, login, file), o.team.cards(login, file)
	o.happens(again)
	var a *curfewv1.Alert
	o.await(ctx, t, "the next episode, with what becomes of it", func() bool {
		a = o.alert(ctx, t, login, file)
		to := a.GetDeliveries()
		return a.GetEpisode() == before.GetEpisode()+1 && len(to) == 1 && to[0].GetEpisode() == a.GetEpisode() && to[0].GetState() != curfewv1.DeliveryState_DELIVERY_STATE_WAITING
	})
	if n := o.team.cards(login, file); n != shown {
		t.Errorf("got %d messages about %s's %s, want %d as before", n, login, file, shown)
	}
	life := o.says(ctx, t, "alert", "show", a.GetId())
	for _, part := range []string{"Status: open", "slack: kept back", "why      route: every alert", "kept     silence s-", by, "opened again"} {
		if !strings.Contains(life, part) {
			t.Errorf("alert show does not say %q:\n%s", part, life)
		}
	}
	return a
}

// cards is how many messages of the channel are about what somebody did to a file.
func (t *team) cards(login, file string) (n int) {
	for _, m := range t.Messages(t.channel) {
		if all(string(m.Blocks), []string{login + "@", file, `"more"`}) || all(string(m.Blocks), []string{login + "@", file, "resolved by"}) {
			n++
		}
	}
	return n
}

// mute is Ida, who keeps an alert quiet for an hour and resolves it; somebody ends the quiet sooner by the command line.
func mute(ctx context.Context, t *testing.T, o *office) {
	ida, taken := o.as(t, "ida"), atGoogle("max", "drive", paid("download"))
	o.happens(taken)
	card := o.see(ctx, t, o.team.channel, "Payouts 2026", "max@", `"more"`)
	ida.choose(ctx, card, "Mute for 1 h")
	o.isTold(ctx, t, ida.as, 1, "Done: Muted until")
	o.hear(ctx, t, o.team.channel, card.TS, "person:ida: Muted until")
	o.see(ctx, t, o.team.channel, "person:ida keeps alerts quiet until", "muted where it was shown")
	ida.choose(ctx, card, "Resolve…")
	if err := ida.fill(ctx, o.scene, url.Values{"v.reason": {"he counts, asked him"}}); err != nil {
		t.Fatal(err)
	}
	o.see(ctx, t, o.team.channel, "Payouts 2026", "max@", "resolved by person:ida: he counts, asked him")

	held := o.quietly(ctx, t, "max", "Payouts 2026", "of person:ida until", taken)
	o.says(ctx, t, "silence", "end", held.GetDeliveries()[0].GetHold().GetBy())
	o.see(ctx, t, o.team.channel, "Alerts are no longer kept quiet: alert "+alertID(held), "service:admin ended it", "1 alert was kept back to the end, is open, and comes now.")
	o.await(ctx, t, "what was muted, in a message of its own", func() bool {
		seen := o.see(ctx, t, o.team.channel, "Payouts 2026", "max@")
		return seen.TS != card.TS && strings.Contains(string(seen.Blocks), "open")
	})
}

// refuse is those who may ask for nothing, each of whom clicks and types.
func refuse(ctx context.Context, t *testing.T, o *office) {
	o.happens(atGoogle("ann", "drive", paid("view")))
	card := o.see(ctx, t, o.team.channel, "Payouts 2026", "ann@", `"acknowledge"`)
	for _, c := range []struct {
		name, want string
		account    workspace.User
		later      bool // the policy says it, and not Slack
	}{
		{"who was deactivated since", "Refused: your account is deactivated.", workspace.User{ID: o.id("ann"), Name: "ann", Deleted: true}, false},
		{"a guest", "Refused: a guest may not ask for anything here.", workspace.User{Name: "gus", IsRestricted: true}, false},
		{"somebody of another workspace", "Refused: your account is of another workspace than this app is for.", workspace.User{Name: "rex", TeamID: "T0OTHER", IsStranger: true}, false},
		{"a member whom nobody put into the policy", "Refused: Curfew does not know whose account", workspace.User{ID: "U0NOBODY", Name: "uma"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := browser{t, o.team, o.team.AddUser(c.account)}
			b.press(ctx, card, "acknowledge")
			o.isTold(ctx, t, b.as, 1, c.want)
			b.post(ctx, "/_say", url.Values{"text": {"/curfew request role:analyst 1h to see"}})
			if c.later {
				o.see(ctx, t, b.as, c.want)
				return
			}
			o.isTold(ctx, t, b.as, 2, c.want)
		})
	}
	if a := o.alert(ctx, t, "ann", "Payouts 2026"); a.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN || len(a.GetNotes()) > 0 {
		t.Errorf("got %v with %v, want the alert as it was", a.GetState(), a.GetNotes())
	}
	asked, err := o.grants.ListGrants(ctx, &curfewv1.ListGrantsRequest{Ended: true})
	if err != nil || len(asked.GetGrants()) > 0 {
		t.Errorf("got %v, %v; want nothing asked for", asked, err)
	}
}

// pressStale clicks on what stood on a message before it was answered, as one does whose screen lags.
func (b browser) pressStale(ctx context.Context, o *office, m workspace.Message, action string) {
	b.t.Helper()
	if err := o.team.Click(ctx, workspace.Click{User: b.as, Channel: m.Channel, TS: m.TS, ActionID: action, Stale: true}); err != nil {
		b.t.Fatal(err)
	}
}
