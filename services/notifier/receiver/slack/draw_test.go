// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// hostile is text by which somebody wants to be more than text.
const hostile = "<!channel> <@U1> <https://evil.example.com|click> @here *bold* `code` :white_check_mark: &lt; \u202e\x1b[2J\x00\nResolved by ann https://evil.example.com"

// many are n alerts that differ.
func many(n int, change func(i int, a *curfewv1.Alert)) []*curfewv1.Alert {
	var list []*curfewv1.Alert
	for i := range n {
		list = append(list, alert(func(a *curfewv1.Alert) {
			a.Id = fmt.Sprintf("%032x", i)
			if change != nil {
				change(i, a)
			}
		}))
	}
	return list
}

func poisoned() *curfewv1.Alert {
	return alert(func(a *curfewv1.Alert) {
		f := a.GetFinding()
		f.Title, f.Reason, f.Detection = hostile, hostile, hostile
		f.NextSteps, f.Controls = []string{hostile, hostile}, []string{hostile}
		f.Event.Actor.Name, f.Event.Resource.Name, f.Event.Source = hostile, strings.Repeat("x", 1<<20), hostile
		f.Event.Changes[0].After = hostile
		f.Decision.Row.Text = hostile
		f.Context.Reach, f.Context.History = []string{hostile}, []string{strings.Repeat("<", 5000)}
		f.Context.AllowingRoles, f.Context.Grants[0].Text = []string{hostile, "role:support"}, hostile
		a.Repeats = []string{hostile}
	})
}

func TestDraw(t *testing.T) {
	acknowledged := func(a *curfewv1.Alert) {
		a.State, a.Assignee, a.Acknowledged = curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED, "person:bob", at(20)
		a.Count, a.Newest, a.Repeats, a.Episode = 7, at(19), []string{"ida@example.com shared again"}, 2
	}
	resolved := func(a *curfewv1.Alert) {
		acknowledged(a)
		a.State, a.Resolver, a.Resolved, a.Resolution = curfewv1.AlertState_ALERT_STATE_RESOLVED, "person:bob", at(40), "agreed with sales"
	}
	repeated := post("p1", alert(nil))
	repeated.Repeated = true
	storm := post("p1", many(100, func(i int, a *curfewv1.Alert) {
		a.Entity, a.Severity = fmt.Sprintf("person:p%d", i%7), curfewv1.Severity(1+i%5)
	})...)
	storm.Summary = true
	for _, c := range []struct {
		name string
		in   *curfewv1.Post
	}{
		{"plain", post("p1", alert(nil))},
		{"repeated", repeated},
		{"acknowledged", post("p1", alert(acknowledged))},
		{"resolved", post("p1", alert(resolved))},
		{"digest", post("p1", many(45, func(i int, a *curfewv1.Alert) {
			a.Severity = curfewv1.Severity(5 - i/10)
			if i == 3 {
				resolved(a)
			}
		})...)},
		{"summary", storm},
		{"hostile", post("p1", poisoned())},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &Receiver{now: noon}
			m := r.draw(c.in)
			if err := m.check(); err != nil {
				t.Errorf("Slack would refuse it: %v", err)
			}
			golden(t, "testdata/"+c.name+".golden.json", m)
			for _, text := range texts(t, m) {
				unharmed(t, text)
			}
		})
	}
}

// What people do stands on the card, and what stands before it leaves room for what to do next.
func TestACardIsShort(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	a := alert(func(a *curfewv1.Alert) {
		a.Finding.Context = &curfewv1.FindingContext{Reach: []string{"reach 1", "reach 2", "reach 3", "reach 4", "reach 5"}}
		a.Revoked, a.Notes = []string{"g-1"}, []*curfewv1.AlertNote{{Number: 1, Time: at(15), Text: "ended"}}
	})
	for clickable, want := range map[bool]string{true: "and more: choose Details", false: "reach 5"} {
		var said strings.Builder
		for _, text := range texts(t, s.r.card(a, false, clickable)) {
			said.WriteString(text.Text + "\n")
		}
		if got := said.String(); !strings.Contains(got, want) || strings.Contains(got, "reach 4") == clickable || !strings.Contains(got, "a grant was ended from here") {
			t.Errorf("clickable %v: got %s, want %q, and what was ended", clickable, got, want)
		}
	}
}

func golden(t *testing.T, file string, m message) {
	t.Helper()
	got, err := json.MarshalIndent(map[string]any{"text": m.fallback, "blocks": m.blocks}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

// text is one that Slack shows.
type text struct {
	Type, Text string
	Emoji      *bool
	Verbatim   bool
}

// texts are all of a message, the fallback as one that is marked up.
func texts(t *testing.T, m message) []text {
	t.Helper()
	raw, err := json.Marshal(m.blocks)
	if err != nil {
		t.Fatal(err)
	}
	var blocks any
	if err := json.Unmarshal(raw, &blocks); err != nil {
		t.Fatal(err)
	}
	return append(walk(blocks), text{Type: "mrkdwn", Text: m.fallback, Verbatim: true})
}

func walk(v any) (list []text) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			list = append(list, walk(one)...)
		}
	case map[string]any:
		kind, _ := v["type"].(string)
		if said, ok := v["text"].(string); ok && (kind == "plain_text" || kind == "mrkdwn") {
			one := text{Type: kind, Text: said}
			if emoji, ok := v["emoji"].(bool); ok {
				one.Emoji = &emoji
			}
			one.Verbatim, _ = v["verbatim"].(bool)
			list = append(list, one)
		}
		for _, one := range v {
			list = append(list, walk(one)...)
		}
	}
	return list
}

// unharmed is an error if Slack would make more than text of somebody's text.
func unharmed(t *testing.T, shown text) {
	t.Helper()
	rest := shown.Text
	if shown.Type == "mrkdwn" {
		// The one control sequence of ours.
		for strings.Contains(rest, "<!date^") {
			before, after, _ := strings.Cut(rest, "<!date^")
			_, after, found := strings.Cut(after, ">")
			if !found {
				t.Fatalf("a date without an end: %q", shown.Text)
			}
			rest = before + after
		}
	}
	bare := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(rest)
	if strings.ContainsAny(bare, "<>&") {
		t.Errorf("unescaped: %q", shown.Text)
	}
	if strings.ContainsFunc(shown.Text, func(r rune) bool {
		return r < ' ' && r != '\n' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}) {
		t.Errorf("a character that commands: %q", shown.Text)
	}
	if !utf8.ValidString(shown.Text) {
		t.Errorf("not UTF-8: %q", shown.Text)
	}
	if shown.Type == "plain_text" && (shown.Emoji == nil || *shown.Emoji) || shown.Type == "mrkdwn" && !shown.Verbatim {
		t.Errorf("Slack may find emoji or links: %q", shown.Text)
	}
}

func TestEveryAlertIsInADigest(t *testing.T) {
	alerts := many(shown, func(_ int, a *curfewv1.Alert) { a.GetFinding().Title = strings.Repeat("<&>", 1000) })
	m := (&Receiver{now: noon}).draw(post("p1", alerts...))
	if err := m.check(); err != nil {
		t.Error(err)
	}
	raw, err := json.Marshal(m.blocks)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts {
		if !strings.Contains(string(raw), a.GetId()) {
			t.Errorf("alert %s is not there", a.GetId())
		}
	}
}

// What is drawn anew has other ids: Slack may show the old block for an id that it knows.
func TestEachDrawingHasItsOwnIDs(t *testing.T) {
	clock := noon()
	r := &Receiver{now: func() time.Time { clock = clock.Add(1); return clock }}
	first, second := r.draw(post("p1", alert(nil))), r.draw(post("p1", alert(nil)))
	if first.blocks[0].ID() == second.blocks[0].ID() {
		t.Error("the same block id twice")
	}
}

func TestAFaultyDrawingStillSaysWhat(t *testing.T) {
	r := &Receiver{now: noon}
	m := r.draw(post("p1", alert(nil)))
	m.blocks = append(m.blocks, m.blocks...)
	got := r.sound(m)
	if err := got.check(); err != nil || got.fallback != m.fallback {
		t.Errorf("got %q, %v; want %q and nil", got.fallback, err, m.fallback)
	}
}

func TestFitLines(t *testing.T) {
	long := strings.Repeat("word ", 100)
	for _, c := range []struct {
		name  string
		in    []string
		room  int
		count int
		cut   bool
	}{
		{"all fit", []string{"a", "b"}, 100, 2, false},
		{"lines are cut first", []string{long, "b", long}, 300, 3, true},
		{"then left out", append(many1(50, long), "last"), 500, 8, true},
		{"nothing", nil, 10, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, cut := fitLines(c.in, c.room)
			if n := utf8.RuneCountInString(strings.Join(got, "\n")); n > c.room {
				t.Errorf("%d characters, of %d", n, c.room)
			}
			if len(got) != c.count || cut != c.cut {
				t.Errorf("got %d lines, %v; want %d, %v: %q", len(got), cut, c.count, c.cut, got)
			}
		})
	}
}

func many1(n int, text string) (list []string) {
	for range n {
		list = append(list, text)
	}
	return list
}
