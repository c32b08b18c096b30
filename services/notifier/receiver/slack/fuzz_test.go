// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Whatever an alert holds, Slack takes the message, and nothing of it is more than text.
func FuzzDraw(f *testing.F) {
	raw, err := proto.Marshal(poisoned())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[:1<<10], hostile, 1, 1, false)
	f.Add([]byte{}, strings.Repeat("<&>", 700), 20, 45, false)
	f.Add([]byte{}, strings.Repeat("é", 3000), 400, 3, false)
	f.Add([]byte{}, strings.Repeat("a ", 2000), 50, 100, true)
	f.Add([]byte{}, "`*_~>\n- 1. @everyone #general mailto:a@example.com http://192.0.2.1", 3, 1, true)
	f.Fuzz(func(t *testing.T, raw []byte, text string, lines, alerts int, summary bool) {
		lines, alerts = min(max(lines, 0), 60), min(max(alerts, 0), 120)
		if lines > 3 {
			alerts = min(alerts, 2) // the rest takes long and says no more
		}
		text = strings.ToValidUTF8(text, "\uFFFD")
		p := &curfewv1.Post{Id: text, Summary: summary, Repeated: lines%2 == 0}
		for i := range alerts {
			p.Alerts = append(p.Alerts, fuzzed(raw, text, lines, i))
		}
		r := &Receiver{now: noon, config: Config{Link: "https://example.com/alerts"}}
		messages := []message{r.draw(p), words(noon(), text, strings.Repeat(text, 3))}
		if alerts > 0 {
			messages = append(messages, r.card(p.GetAlerts()[0], true, true), r.note(t.Context(), []string{text}, &curfewv1.Notice{
				Kind: curfewv1.NoticeKind(1 + lines%10), Text: text, Alert: p.GetAlerts()[0], Grant: &curfewv1.Grant{Id: text, Digest: text},
				Silence: &curfewv1.Silence{Id: text, ApprovalsNeeded: 1},
			}))
		}
		for i, m := range messages {
			if err := m.check(); err != nil && (alerts > 0 || i > 0) {
				t.Errorf("message %d: Slack would refuse it: %v", i, err)
			}
			for _, shown := range texts(t, m) {
				unharmed(t, shown)
			}
		}
	})
}

// fuzzed is an alert of which every text that somebody else chose is text, and the rest is raw.
func fuzzed(raw []byte, text string, lines, i int) *curfewv1.Alert {
	a := &curfewv1.Alert{}
	if proto.Unmarshal(raw, a) != nil {
		a = alert(nil)
	}
	many := many1(lines, text)
	a.Id, a.Entity, a.DataClass, a.Repeats, a.Resolution, a.Assignee = text, "person:"+text, text, many, text, text
	a.State, a.Severity = curfewv1.AlertState([]int32{0, 1, 5, 6}[i%4]), curfewv1.Severity(i%7)
	f := a.GetFinding()
	if f == nil {
		return a
	}
	f.Title, f.Reason, f.Detection, f.GrantId, f.NextSteps, f.Controls = text, text, text, text, many, many
	f.Context = &curfewv1.FindingContext{
		History: many, Reach: many, AllowingRoles: append(many, "role:a"), Grants: []*curfewv1.HeldGrant{{Id: text, Text: text}},
	}
	f.Event = &curfewv1.Event{
		Source: text, Action: text, Act: text, Actor: &curfewv1.Actor{Name: text, Email: text}, Resource: &curfewv1.Resource{Name: text, Path: text + "x"},
		App: &curfewv1.App{Name: text, Id: text + "y", Scopes: many}, Context: &curfewv1.Context{Ip: text, UserAgent: text, Country: text},
	}
	for range lines {
		f.Event.Changes = append(f.Event.Changes, &curfewv1.Change{Field: text, Before: text, After: text})
	}
	f.Decision = &curfewv1.Decision{Subject: "person:" + text, Classes: many, Act: text, PolicyDigest: text, Row: &curfewv1.Row{File: text, Text: text}}
	return a
}

// Whatever Slack, or somebody who says to be Slack, delivers: it is a click that says who and where, or an error.
func FuzzDecode(f *testing.F) {
	f.Add(interactive, []byte(`{"type":"block_actions","team":{"id":"T"},"user":{"id":"U","team_id":"T"},"actions":[{"action_id":"acknowledge","block_id":"b","value":"{\"a\":\"f\"}","action_ts":"1.2"}],"message":{"blocks":[{"block_id":"b","text":{"text":"x"}}]}}`))
	f.Add(interactive, []byte(`{"type":"view_submission","team":null,"user":{"id":"U"},"view":{"id":"V","state":{"values":{"role":{"role":{"value":null}}}}}}`))
	f.Add(slashed, []byte(`{"team_id":"T","user_id":"U","text":"request role:a 4h x"}`))
	f.Add(interactive, []byte("payload=%7B%7D"))
	f.Fuzz(func(t *testing.T, kind string, raw []byte) {
		for _, read := range []func() ([]byte, error){func() ([]byte, error) { return raw, nil }, func() ([]byte, error) { return unform(kind, raw) }} {
			payload, err := read()
			if err != nil {
				continue
			}
			c, err := decode(kind, payload)
			if err != nil {
				continue
			}
			if c.team == "" || c.user == "" || len(c.key()) != 32 {
				t.Errorf("got a click of nobody: %+v", c)
			}
			v, _ := readValue(c.value)
			cmd, ok := c.command(v, noon())
			if ok {
				c.fill(cmd)
			}
			request(cmd, c.text)
			if cmd.GetTime().CheckValid() != nil || cmd.GetDuration() != nil && cmd.GetDuration().CheckValid() != nil {
				t.Errorf("got a command that cannot be stored: %v", cmd)
			}
			if !utf8.ValidString(c.value) {
				t.Errorf("got a value that is not UTF-8: %q", c.value)
			}
			if d := cmd.GetDuration().AsDuration(); d < 0 && ok || d > maxSeconds*time.Second {
				t.Logf("a duration that is refused: %v", d)
			}
		}
	})
}
