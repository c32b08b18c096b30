// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// browser is a person who uses the fake Slack's page.
type browser struct {
	t    *testing.T
	team *team
	as   string
}

// post sends a form of the page, in the channel if it names no other place, and returns the page that follows. What the page
// says went wrong is an error.
func (b browser) post(ctx context.Context, path string, form url.Values) string {
	b.t.Helper()
	form.Set("as", b.as)
	if !form.Has("in") {
		form.Set("in", b.team.channel)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.team.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", b.team.url)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || response.Request.URL.Query().Get("err") != "" {
		b.t.Fatalf("%s: got %s %q, %v", path, response.Status, response.Request.URL.Query().Get("err"), err)
	}
	return string(page)
}

// click presses a button of the newest message that says all of that.
func (b browser) click(ctx context.Context, action string, says ...string) {
	b.t.Helper()
	ts, is := b.team.find(says...)
	if !is {
		b.t.Fatalf("no message says %q", says)
	}
	b.post(ctx, "/_click", url.Values{"ts": {ts}, "action": {action}})
}

// fill submits the form that opens with these values.
func (b browser) fill(ctx context.Context, s *scene, values url.Values) error {
	b.t.Helper()
	var form []string
	if err := s.until(ctx, "the form", func() (bool, error) {
		form = regexp.MustCompile(`name="view" value="([^"]+)"`).FindStringSubmatch(b.post(ctx, "/_say", url.Values{}))
		return len(form) > 0, nil
	}); err != nil {
		return err
	}
	values.Set("view", form[1])
	b.post(ctx, "/_submit", values)
	return nil
}

// isIn is whether Okta has Sam in the group of the analysts.
func isIn(d *demo) bool {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/api/v1/users/00usam0000000000001/groups", nil)
	if err != nil {
		return false
	}
	request.Header.Set("Authorization", "SSWS "+demoToken)
	answer := &page{header: http.Header{}}
	d.okta.ServeHTTP(answer, request)
	return strings.Contains(answer.String(), exportsGroup)
}

// page is what a handler wrote.
type page struct {
	bytes.Buffer
	header http.Header
}

func (p *page) Header() http.Header { return p.header }
func (p *page) WriteHeader(int)     {}

// A click on "make temporary" in the demo's Slack gives access at the SaaS, and one on "revoke now" takes it, both by the
// page's own forms. Who has no right to is refused, and told.
func TestClicksInTheDemosSlack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	d := &demo{dir: t.TempDir(), out: t.Output(), decided: make(chan *curfewv1.Decision, 64)}
	if err := d.run(ctx, func(ctx context.Context, api *client) error {
		return d.on(ctx, api, func(ctx context.Context, s *scene) error { return clicks(ctx, t, s) })
	}); err != nil {
		t.Error(err)
	}
}

func clicks(ctx context.Context, t *testing.T, s *scene) error {
	// Who only works at the shop is refused, which is itself told.
	ida, max := browser{t, s.team, s.ida()}, browser{t, s.team, s.team.people[4].ID}
	if err := s.plays(ctx, act{"", 1, 1, atGoogle("sam", "drive", customers("download"))}); err != nil {
		return err
	}
	max.click(ctx, "acknowledge", "sam@", "Customers 2026")
	if err := s.until(ctx, "a refusal, and the alert about it", func() (bool, error) {
		told := s.team.Ephemerals(max.as)
		_, tried := s.team.find("max tried to change")
		return tried && len(told) > 0 && strings.HasPrefix(told[0].Text, "⛔ Refused"), nil
	}); err != nil {
		return err
	}

	ida.click(ctx, "make_temporary", "sam@", "Customers 2026")
	if err := ida.fill(ctx, s, url.Values{"v.role": {"role:analyst"}, "v.length": {"3600"}, "v.reason": {"to count"}}); err != nil {
		return err
	}
	g, err := s.awaitSams(ctx, isActive)
	if err != nil {
		return err
	}
	if g.GetAuthor() != "person:ida" || g.GetReason() != "to count" || !isIn(s.demo) {
		t.Errorf("got %v, in the group %v; want Ida's, and Sam in the group", g, isIn(s.demo))
	}

	if err := s.plays(ctx, act{"", 1, 1, atM365("sam", "FileAccessed", payouts())}); err != nil {
		return err
	}
	ida.click(ctx, "revoke", "sam@", "Payouts 2026")
	return s.until(ctx, "the end at Okta, and word of it in the thread", func() (bool, error) {
		ts, _ := s.team.find("sam@", "Payouts 2026")
		replies := s.team.Replies(s.team.channel, ts)
		return !isIn(s.demo) && len(replies) > 0 && strings.Contains(string(replies[0].Blocks)+replies[0].Text, "person:ida: Revoked grant "+g.GetId()), nil
	})
}
