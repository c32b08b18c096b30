// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// team is the shop's Slack, in which alerts are told and answered.
type team struct {
	*workspace.Workspace
	url, channel string
	people       []workspace.User
	shown        map[string]bool
}

// staff gives those of the story their accounts, at Okta and in Slack, and opens the channel.
func (d *demo) staff(ctx context.Context) error {
	t := &team{Workspace: workspace.New(workspace.Options{Name: "Linden & Lark"}), shown: map[string]bool{}}
	context.AfterFunc(ctx, t.Close)
	for _, name := range []string{"Ida Iversen", "Lea Lund", "Ann Arnold", "Sam Sommer", "Max Moser", "Kim Keller", "Pat Peters"} {
		first, last, _ := strings.Cut(name, " ")
		login := strings.ToLower(first)
		account := workspace.User{ID: fake.SlackPerson(login).ID, Name: login, RealName: name, Email: mail(login)}
		t.people = append(t.people, account)
		t.AddUser(account)
		d.slack.Put(fake.SlackMember{ID: account.ID, Name: login, RealName: name, Email: mail(login), MFA: true})
		d.okta.Put(fake.OktaUser{ID: "00u" + login + "0000000000001", Login: mail(login), First: first, Last: last})
	}
	d.okta.Put(fake.OktaGroup{ID: exportsGroup, Name: "Exports"})
	t.channel = t.AddChannel("security-alerts")
	d.team = t
	var err error
	t.url, err = serveFake(ctx, t)
	return err
}

// answer is Ida, who answers the alerts about Sam, by clicks alone.
func (s *scene) answer(ctx context.Context) (*curfewv1.Grant, error) {
	fmt.Fprint(s.out, "\nIda, who sees to security, asks Sam: he has to count. She clicks \"Make temporary…\" on the alert, for an hour.\n")
	select { // vendors stamp in seconds, so what is given counts for the whole second: what Sam did lies in one before
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second))):
	}
	if err := s.click(ctx, "make_temporary", "sam@", "Customers 2026"); err != nil {
		return nil, err
	}
	if err := s.until(ctx, "the form", func() (bool, error) { return len(s.team.Views(s.ida())) > 0, nil }); err != nil {
		return nil, err
	}
	values := map[string]string{"role": "role:analyst", "length": "3600", "reason": "quarterly numbers, OPS-12"}
	if _, err := s.team.Submit(ctx, s.ida(), s.team.Views(s.ida())[0].ID, values); err != nil {
		return nil, fmt.Errorf("submit the form of the demo: %w", err)
	}
	g, err := s.awaitSams(ctx, isActive)
	if err != nil {
		return nil, err
	}
	s.printHeld(g)
	if err := s.plays(ctx,
		act{"Sam downloads the whole customer list. Now he may.", 1, 0, atGoogle("sam", "drive", customers("download"))},
		act{"Sam opens the payouts as well.", 1, 1, atM365("sam", "FileAccessed", payouts())},
	); err != nil {
		return nil, err
	}
	fmt.Fprint(s.out, "\nThat is not what he was given it for. Ida clicks \"Revoke now\" on the alert.\n")
	if err := s.click(ctx, "revoke", "sam@", "Payouts 2026"); err != nil {
		return nil, err
	}
	return s.awaitSams(ctx, func(g *curfewv1.Grant) bool { return g.GetEndedAt() != nil })
}

// awaitSams returns what Sam holds for a time, once it is as wanted.
func (s *scene) awaitSams(ctx context.Context, wanted func(*curfewv1.Grant) bool) (g *curfewv1.Grant, err error) {
	err = s.until(ctx, "Sam's grant", func() (bool, error) {
		answer, err := s.grants.ListGrants(ctx, &curfewv1.ListGrantsRequest{Subject: "person:sam", Ended: true})
		if len(answer.GetGrants()) > 0 {
			g = answer.GetGrants()[0]
		}
		return g != nil && wanted(g), err
	})
	return g, err
}

// takeOn is Ida, who takes an alert on.
func (s *scene) takeOn(ctx context.Context) error {
	fmt.Fprint(s.out, "\nIda will look into what Pat did: she clicks \"Acknowledge\".\n")
	if err := s.click(ctx, "acknowledge", "pat@"); err != nil {
		return err
	}
	return s.until(ctx, "the answer", func() (bool, error) {
		_, is := s.team.find("pat@", "acknowledged by person:ida")
		return is, nil
	})
}

func (s *scene) ida() string { return s.team.people[0].ID }

// click is Ida, who clicks on the newest message that says all of that.
func (s *scene) click(ctx context.Context, action string, says ...string) error {
	var ts string
	if err := s.until(ctx, fmt.Sprintf("a message that says %q", says), func() (is bool, _ error) {
		ts, is = s.team.find(says...)
		return is, nil
	}); err != nil {
		return err
	}
	if err := s.team.Click(ctx, workspace.Click{User: s.ida(), Channel: s.team.channel, TS: ts, ActionID: action}); err != nil {
		return fmt.Errorf("click on %q: %w", action, err)
	}
	return nil
}

// until shows what happens in Slack until something is so.
func (s *scene) until(ctx context.Context, what string, is func() (bool, error)) error {
	for {
		changed := s.team.Changed()
		yes, err := is()
		s.team.show(s.out)
		if yes || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("play the demo: %s did not come within %s; please report this", what, patience)
		}
	}
}

// find is the newest message of the channel that says all of that.
func (t *team) find(says ...string) (ts string, is bool) {
	for _, m := range t.Messages(t.channel) {
		all := true
		for _, part := range says {
			all = all && strings.Contains(string(m.Blocks), part)
		}
		if all {
			ts, is = m.TS, true
		}
	}
	return ts, is
}

// alerts is how many messages of the channel are about what somebody did: what is learnt later of the same may come besides.
func (t *team) alerts() (n int) {
	for _, m := range t.Messages(t.channel) {
		if !strings.Contains(string(m.Blocks), "has been learnt since") {
			n++
		}
	}
	return n
}

// show tells what was said since it was called last: in the channel, in its threads, and to somebody alone.
func (t *team) show(out io.Writer) {
	for _, m := range t.Messages(t.channel) {
		if m.ThreadTS == "" {
			t.say(out, m.TS, "in Slack", m.Blocks, m.Text)
		}
		for _, r := range t.Replies(t.channel, m.TS) {
			t.say(out, r.TS, "  thread", r.Blocks, r.Text)
		}
	}
	for _, p := range t.people {
		to := "to " + strings.ToUpper(p.Name[:1]) + p.Name[1:]
		for _, e := range t.Ephemerals(p.ID) {
			if !strings.HasPrefix(e.Text, "✅") { // what was done stands in the thread
				t.say(out, e.TS, to, e.Blocks, e.Text)
			}
		}
		for _, m := range t.Messages(p.ID) {
			t.say(out, m.TS, to, m.Blocks, m.Text)
		}
	}
}

// say tells one message, once: its first line, and what can be clicked.
func (t *team) say(out io.Writer, ts, where string, blocks json.RawMessage, text string) {
	if t.shown[ts] {
		return
	}
	t.shown[ts] = true
	line, buttons := headline(blocks)
	if line == "" {
		line = text
	}
	if first, _, more := strings.Cut(line, ". "); more {
		line = first + "." // the page has the rest
	}
	fmt.Fprintf(out, "  %-9s  %s\n", where, plain(line))
	if len(buttons) > 0 {
		fmt.Fprintf(out, "             [%s]\n", plain(strings.Join(buttons, "] [")))
	}
}

// headline is the first text of a message's blocks, and the labels of its buttons.
func headline(raw json.RawMessage) (line string, buttons []string) {
	type label struct {
		Text string `json:"text"`
	}
	var blocks []struct {
		Type     string `json:"type"`
		Text     label  `json:"text"`
		Elements []struct {
			Type string          `json:"type"`
			Text json.RawMessage `json:"text"`
		} `json:"elements"`
	}
	if json.Unmarshal(raw, &blocks) != nil {
		return "", nil // then the text says it
	}
	for _, b := range blocks {
		if line == "" {
			line, _, _ = strings.Cut(b.Text.Text, "\n")
		}
		for _, e := range b.Elements {
			var l label
			if e.Type == "button" && json.Unmarshal(e.Text, &l) == nil {
				buttons = append(buttons, l.Text)
			}
		}
	}
	return line, buttons
}
