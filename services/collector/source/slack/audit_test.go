// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// recorder answers and keeps what was asked.
func recorder(t *testing.T, plan string, answer func(w http.ResponseWriter, r *http.Request, nth int)) (*Source, *[]*url.URL) {
	t.Helper()
	var asked []*url.URL
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL)
		answer(w, r, len(asked))
	}))
	t.Cleanup(server.Close)
	return newSource(t, plan, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 1000, Impatient: true}), &asked
}

func entries(w http.ResponseWriter, next string, records ...string) {
	_, _ = fmt.Fprintf(w, `{"entries":[%s],"response_metadata":{"next_cursor":%q}}`, strings.Join(records, ","), next)
}

func poll(t *testing.T, source *Source, feed string, cursor *string) *curfewv1.EventBatch {
	t.Helper()
	batch, err := source.Poll(t.Context(), feed, *cursor)
	if err != nil {
		t.Fatal(err)
	}
	*cursor = batch.GetCursor()
	return batch
}

var morning = time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)

func TestAuditQueries(t *testing.T) {
	source, asked := recorder(t, enterprise, func(w http.ResponseWriter, _ *http.Request, nth int) {
		if nth == 2 {
			entries(w, "opaque+1", string(fake.SlackAudit{}.JSON()))
			return
		}
		entries(w, "")
	})
	source.config.Since = time.Hour
	now := morning
	source.client.Now = func() time.Time { return now }
	cursor := ""
	seconds := func(at time.Time) string { return fmt.Sprint(at.Unix()) }
	tests := []struct {
		name           string
		at             time.Time
		oldest, latest time.Time
		next           string
		from, until    time.Time // covered; zero for nothing
		more           bool
	}{
		{"the first", morning, morning.Add(-time.Hour), morning, "", morning.Add(-time.Hour), morning.Add(-settle), false},
		{"from where coverage ended", morning.Add(15 * time.Second), morning.Add(-settle), morning.Add(15 * time.Second), "", time.Time{}, time.Time{}, true},
		{"its second page, within the same bounds", morning.Add(time.Minute), morning.Add(-settle), morning.Add(15 * time.Second), "opaque+1", morning.Add(-settle), morning.Add(15*time.Second - settle), false},
		{"a sweep, from as far before the last one", morning.Add(time.Hour), morning.Add(-sweep), morning.Add(time.Hour), "", morning.Add(15*time.Second - settle), morning.Add(time.Hour - settle), false},
		{"behind the sweep", morning.Add(time.Hour + time.Minute), morning.Add(time.Hour - settle), morning.Add(time.Hour + time.Minute), "", morning.Add(time.Hour - settle), morning.Add(time.Hour + time.Minute - settle), false},
		{"a clock that was set back", morning, morning.Add(-maxWindow), morning, "", time.Time{}, time.Time{}, false},
		{"after a long absence, from before the last sweep, in pieces", morning.Add(10 * time.Hour), morning.Add(-sweep), morning.Add(-sweep).Add(maxWindow), "", time.Time{}, time.Time{}, true},
		{"the second piece, behind the last second of the first", morning.Add(10 * time.Hour), morning.Add(maxWindow - sweep + time.Second), morning.Add(2*maxWindow - sweep + time.Second), "", time.Time{}, time.Time{}, true},
	}
	for i, test := range tests {
		now = test.at
		batch := poll(t, source, audit, &cursor)
		query := (*asked)[i].Query()
		want := url.Values{"oldest": {seconds(test.oldest)}, "latest": {seconds(test.latest)}, "limit": {"1000"}}
		if test.next != "" {
			want.Set("cursor", test.next)
		}
		if query.Encode() != want.Encode() || (*asked)[i].Path != "/audit/v1/logs" {
			t.Errorf("%s: got %s, want the query %s", test.name, (*asked)[i], want.Encode())
		}
		covered := batch.GetCoverage()
		if batch.GetMore() != test.more || (covered == nil) != test.until.IsZero() {
			t.Errorf("%s: got more %v, coverage %v, want %v, %v until %v", test.name, batch.GetMore(), covered, test.more, test.from, test.until)
		} else if covered != nil && (!covered.GetFrom().AsTime().Equal(test.from) || !covered.GetUntil().AsTime().Equal(test.until)) {
			t.Errorf("%s: got coverage %v, want %v until %v", test.name, covered, test.from, test.until)
		}
	}
}

func TestRefusedCursor(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusBadRequest} {
		source, asked := recorder(t, enterprise, func(w http.ResponseWriter, r *http.Request, nth int) {
			if r.URL.Query().Has("cursor") {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"ok":false,"error":"invalid_cursor"}`))
				return
			}
			entries(w, map[bool]string{true: "opaque"}[nth == 1])
		})
		cursor := ""
		poll(t, source, audit, &cursor)
		if poll(t, source, audit, &cursor); len(*asked) != 3 || (*asked)[2].Query().Encode() != (*asked)[0].Query().Encode() {
			t.Errorf("status %d: got %v, want the query made again", status, *asked)
		}
	}
	// What is refused is not the cursor.
	source, asked := recorder(t, enterprise, func(w http.ResponseWriter, _ *http.Request, nth int) {
		if nth > 1 {
			_, _ = w.Write([]byte(`{"ok":false,"error":"invalid_arguments"}`))
			return
		}
		entries(w, "opaque")
	})
	cursor := ""
	poll(t, source, audit, &cursor)
	if _, err := source.Poll(t.Context(), audit, cursor); err == nil || len(*asked) != 2 {
		t.Errorf("got error %v in %d requests, want it told and nothing else asked", err, len(*asked))
	}
	source, _ = recorder(t, enterprise, func(w http.ResponseWriter, _ *http.Request, _ int) { entries(w, "opaque") })
	cursor = ""
	poll(t, source, audit, &cursor)
	if _, err := source.Poll(t.Context(), audit, cursor); err == nil || !strings.Contains(err.Error(), "the next page is the same one") {
		t.Errorf("a page that leads to itself: got error %v", err)
	}
}

// What Slack refuses is one line with what to do.
func TestRefusals(t *testing.T) {
	tests := []struct {
		plan   string
		feed   string
		setup  fake.SlackConfig
		reason string
		advice string
	}{
		{enterprise, audit, fake.SlackConfig{Token: "another"}, "401 Unauthorized (invalid_auth)", "install the app again"},
		{enterprise, audit, fake.SlackConfig{Plan: "other"}, "403 Forbidden (feature_not_enabled)", "set plan: other"},
		{enterprise, audit, fake.SlackConfig{Scopes: []string{"admin"}}, "403 Forbidden (missing_scope: needs auditlogs:read)", "User Token Scopes"},
		{other, integrationLogs, fake.SlackConfig{Token: "another", Plan: other}, "200 OK (invalid_auth)", "user token (xoxp-)"},
		{other, integrationLogs, fake.SlackConfig{}, "200 OK (missing_argument)", "set plan: enterprise"},
		{other, integrationLogs, fake.SlackConfig{Plan: other, Scopes: []string{"users:read"}}, "200 OK (missing_scope: needs admin)", "User Token Scopes"},
		{other, accessLogs, fake.SlackConfig{Plan: "free"}, "200 OK (paid_only)", "feeds: [integration_logs]"},
	}
	for _, test := range tests {
		t.Run(test.plan+" "+test.reason, func(t *testing.T) {
			server := httptest.NewServer(fake.NewSlack(test.setup))
			defer server.Close()
			source := newSource(t, test.plan, sourcetest.Options{URL: server.URL, Token: "invented", Impatient: true})
			_, err := source.Poll(t.Context(), test.feed, "")
			want := "poll slack " + test.feed + ": slack answered " + test.reason + "; "
			if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), test.advice) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %v, want one line that begins with %q and advises %q", err, want, test.advice)
			}
		})
	}
	for _, reason := range []string{"team_not_authorized", "not_allowed_token_type", "accesslimited", "token_revoked", "ekm_access_denied", "org_login_required", "user_not_authorized"} {
		source, _ := recorder(t, enterprise, func(w http.ResponseWriter, _ *http.Request, _ int) {
			_, _ = fmt.Fprintf(w, `{"ok":false,"error":%q}`, reason)
		})
		if _, err := source.Poll(t.Context(), audit, ""); err == nil || !strings.Contains(err.Error(), "("+reason+"); ") {
			t.Errorf("got error %v, want %s and what to do", err, reason)
		}
	}
}
