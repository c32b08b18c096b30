// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/fake/workspace"
)

// look is the page as somebody sees it.
func (r *room) look(t *testing.T, as, in string) string {
	t.Helper()
	answer, err := http.Get(r.url + "/?" + url.Values{"as": {as}, "in": {in}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("got %d, %v", answer.StatusCode, err)
	}
	return string(body)
}

func TestPageShowsTextAsSlackDoes(t *testing.T) {
	for _, c := range []struct{ name, text, want, not string }{
		{"bold", "a *b c* d", "a <b>b c</b> d", ""},
		{"no bold in words", "2*3*4", "2*3*4", "<b>"},
		{"italic and struck", "_i_ ~s~", "<i>i</i> <s>s</s>", ""},
		{"code", "`a_b_c *d*`", "<code>a_b_c *d*</code>", "<b>"},
		{"link", "<https://example.com/?a=1&amp;b=2|there>", `href="https://example.com/?a=1&amp;b=2"`, ""},
		{"mention", "<@U0ANA>", `<span class="mention me">@Ana Ruiz</span>`, ""},
		{"channel ping", "<!channel>", `<span class="mention me">@channel</span>`, ""},
		{"escaped ping", "&lt;!channel&gt;", "&lt;!channel&gt;", `@channel`},
		{"script", "<script>alert(1)</script>", "&lt;script&gt;alert(1)", "<script>alert"},
		{"script in a label", "<https://example.com|<script>alert(1)</script>>", "", "<script>alert"},
		{"escaped script in a label", "<https://example.com|&lt;script&gt;alert(1)&lt;/script&gt;>", "&lt;script&gt;alert(1)&lt;/script&gt;</a>", "<script>alert"},
		{"attribute", `<https://example.com/" onmouseover="alert(1)|x>`, "", `" onmouseover="`},
		{"scheme", "<javascript:alert(1)|click>", "&lt;javascript:alert(1)&gt;", `href="javascript`},
		{"code in a link", "<https://example.com/`a`|`b`>", "", "\ue000"},
		{"what holds the place of HTML", "\ue0000\ue000 `x` \ue0009\ue000", "0 <code>x</code> 9", "\ue000"},
		{"entity", "&amp;lt;b&amp;gt;", "&amp;lt;b&amp;gt;", ""},
		{"date", "<!date^1772442000^{date_num} {time}|then>", "2026-03-02 10:00 AM", "then"},
		{"date that is none", "<!date^x^{time}|then>", "then", ""},
		{"quote", "&gt; said", "<blockquote>said</blockquote>", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, workspace.Options{})
			r.post(t, slack.MsgOptionText(c.text, false))
			got := r.look(t, r.ana, r.channel)
			if _, log, ok := strings.Cut(got, `<div id="log">`); ok {
				got, _, _ = strings.Cut(log, `<form class="say"`)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("the page lacks %q: %s", c.want, got)
			}
			if c.not != "" && strings.Contains(got, c.not) {
				t.Errorf("the page has %q: %s", c.not, got)
			}
		})
	}
}

// Wherever an app can put text, the page does not run it.
func TestPageEscapesHostileText(t *testing.T) {
	const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`
	r := open(t, workspace.Options{})
	plain := func() *slack.TextBlockObject {
		return slack.NewTextBlockObject("plain_text", hostile, false, false)
	}
	marked := slack.NewTextBlockObject("mrkdwn", "*"+hostile+"* `"+hostile+"` <https://example.com|"+hostile+">", false, false)
	pressed := slack.NewButtonBlockElement(hostile, hostile, plain())
	pressed.Confirm = slack.NewConfirmationBlockObject(plain(), marked, slack.NewTextBlockObject("plain_text", "<b>yes</b>", false, false), slack.NewTextBlockObject("plain_text", "<b>no</b>", false, false))
	option := slack.NewOptionBlockObject(hostile, plain(), nil)
	r.AddUser(workspace.User{ID: "U0EVE", Name: hostile, RealName: hostile})
	r.AddChannel(hostile)
	r.Say("U0EVE", r.channel, "", hostile)
	blocks := slack.MsgOptionBlocks(
		slack.NewHeaderBlock(plain()), slack.NewSectionBlock(marked, []*slack.TextBlockObject{marked, plain()}, nil), slack.NewContextBlock(hostile, marked),
		slack.NewActionBlock("acts", pressed, slack.NewOverflowBlockElement("more", option), slack.NewOptionsSelectBlockElement("static_select", plain(), "pick", option)),
	)
	ts := r.post(t, slack.MsgOptionText(hostile, false), blocks)
	r.post(t, slack.MsgOptionText(hostile+" <@U0EVE> <#C0|"+hostile+">", false), slack.MsgOptionTS(ts))
	got := r.look(t, r.ana, r.channel)
	for _, no := range []string{"<script>alert", "<img", "<b>yes"} {
		if strings.Contains(got, no) {
			t.Errorf("the page has %q", no)
		}
	}
	if n := strings.Count(got, "alert(1)"); n < 20 {
		t.Errorf("got the text %d times, want it in 20 places: it is shown, not hidden", n)
	}
}

func TestPageClicks(t *testing.T) {
	a := serveApp(t)
	r := open(t, workspace.Options{RequestURL: a.url})
	ts := r.post(t, slack.MsgOptionText("alert", false), slack.MsgOptionBlocks(button("ack")))
	if got := r.look(t, r.ana, r.channel); !strings.Contains(got, `name="action" value="ack"`) || !strings.Contains(got, "Acknowledge") {
		t.Error("the page lacks the button")
	}
	form := url.Values{"as": {r.ana}, "in": {r.channel}, "ts": {ts}, "action": {"ack"}, "block": {"acts"}}
	press := func(origin string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/_click", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", origin)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	if got := press("https://evil.example.com"); got != http.StatusForbidden || len(a.bodies) != 0 {
		t.Errorf("a click from another site: got %d and %d deliveries", got, len(a.bodies))
	}
	if got := press(r.url); got != http.StatusOK || len(a.bodies) != 1 {
		t.Errorf("got %d and %d deliveries, want the page again and one", got, len(a.bodies))
	}
	if told := a.interaction(t, 0); told.User.ID != r.ana || told.ActionCallback.BlockActions[0].Value != "alert-1" {
		t.Errorf("got %+v", told)
	}
}

func TestPageShowsEphemeralAndDirectToTheirReaderOnly(t *testing.T) {
	r := open(t, workspace.Options{})
	bob := r.AddUser(workspace.User{Name: "bob"})
	if _, err := r.PostEphemeralContext(t.Context(), r.channel, r.ana, slack.MsgOptionText("psst", false)); err != nil {
		t.Fatal(err)
	}
	dm, _, err := r.PostMessageContext(t.Context(), r.ana, slack.MsgOptionText("was this you?", false))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		as, in, text string
		want         bool
	}{
		{r.ana, r.channel, "psst", true}, {bob, r.channel, "psst", false}, {r.ana, dm, "was this you?", true}, {bob, dm, "was this you?", false},
	} {
		if got := strings.Contains(r.look(t, c.as, c.in), c.text); got != c.want {
			t.Errorf("%s sees %q: got %v, want %v", c.as, c.text, got, c.want)
		}
	}
}
