// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/url"
	"strings"
	"testing"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// asksWhether is Ida, who sees what somebody did and has them asked; it returns where the alert stands.
func (o *office) asksWhether(ctx context.Context, t *testing.T, login string, says ...string) string {
	t.Helper()
	ida := o.as(t, "ida")
	ida.press(ctx, o.see(ctx, t, o.team.channel, append(says, login+"@", `"ask"`)...), "ask")
	o.isTold(ctx, t, ida.as, "Done: person:"+login+" is being asked.")
	shown := o.see(ctx, t, o.team.channel, append(says, login+"@", "was asked whether it was them")...)
	o.hear(ctx, t, o.team.channel, shown.TS, "person:ida: Asked person:"+login)
	return shown.TS
}

// disown is Pat, who is asked about the payouts and says that it was somebody else.
func disown(ctx context.Context, t *testing.T, o *office) {
	pat := o.as(t, "pat")
	o.happens(atM365("pat", "FileDownloaded", payouts()))
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
	pat.press(ctx, question, "confirm")
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
	o.isTold(ctx, t, lea.as, "Refused: You proposed it yourself: somebody else has to say yes.")
	kim.press(ctx, proposal, "approve")
	o.isTold(ctx, t, kim.as, "Refused")
	if a := o.alert(ctx, t, "kim", "Customers 2026"); a.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN {
		t.Errorf("got %v by one person's word, want it open", a.GetState())
	}

	ida.press(ctx, proposal, "approve")
	o.isTold(ctx, t, ida.as, "Done: Approved: expected until")
	o.see(ctx, t, o.team.channel, "Customers 2026", "kim@", "resolved by person:ida: expected until", "the yearly audit")
	o.see(ctx, t, o.team.channel, "person:lea keeps alerts quiet until", "the yearly audit")
	ida.press(ctx, proposal, "approve") // the button is there for good
	o.isTold(ctx, t, ida.as, "Done: Approved: expected until")
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
		return a.GetEpisode() == before.GetEpisode()+1 && len(to) == 1 && to[0].GetState() != curfewv1.DeliveryState_DELIVERY_STATE_WAITING
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
	ida, taken := o.as(t, "ida"), atM365("max", "FileDownloaded", payouts())
	o.happens(taken)
	card := o.see(ctx, t, o.team.channel, "Payouts 2026", "max@", `"more"`)
	ida.choose(ctx, card, "Mute for 1 h")
	o.isTold(ctx, t, ida.as, "Done: Muted until")
	o.hear(ctx, t, o.team.channel, card.TS, "person:ida: Muted until")
	o.see(ctx, t, o.team.channel, "person:ida keeps alerts quiet until", "muted where it was shown")
	ida.choose(ctx, card, "Resolve…")
	if err := ida.fill(ctx, o.scene, url.Values{"v.reason": {"he counts, asked him"}}); err != nil {
		t.Fatal(err)
	}
	o.see(ctx, t, o.team.channel, "Payouts 2026", "max@", "resolved by person:ida: he counts, asked him")

	held := o.quietly(ctx, t, "max", "Payouts 2026", "of person:ida until", taken)
	o.says(ctx, t, "silence", "end", held.GetDeliveries()[0].GetHold().GetBy())
	o.see(ctx, t, o.team.channel, "Alerts are no longer kept quiet: alert "+alertID(held), "service:admin ended it", "1 that are open")
	o.await(ctx, t, "what was muted, in a message of its own", func() bool {
		seen := o.see(ctx, t, o.team.channel, "Payouts 2026", "max@")
		return seen.TS != card.TS && strings.Contains(string(seen.Blocks), "open")
	})
}
