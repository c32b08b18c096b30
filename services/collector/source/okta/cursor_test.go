// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
)

func TestCoverage(t *testing.T) {
	full := "[" + strings.TrimSuffix(strings.Repeat(string(fake.OktaEvent{}.JSON())+",", 1000), ",") + "]"
	source, _ := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
		if nth == 2 {
			page(w, r, "2", full)
			return
		}
		page(w, r, strconv.Itoa(nth), "[]")
	})
	start := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	now := start
	source.client.Now = func() time.Time { return now }
	tests := []struct {
		name        string
		at          time.Time
		from, until time.Time
		more        bool
	}{
		{"caught up at once", start, start.Add(-defaultSince), start, false},
		{"a full page", start.Add(time.Minute), time.Time{}, time.Time{}, true},
		{"caught up again", start.Add(2 * time.Minute), start, start.Add(2 * time.Minute), false},
		{"a clock that went back", start.Add(time.Minute), time.Time{}, time.Time{}, false},
		{"a year off", start.AddDate(1, 0, 0), start.AddDate(1, 0, 0).Add(-retention), start.AddDate(1, 0, 0), false},
	}
	cursor := ""
	for _, test := range tests {
		now = test.at
		batch, err := source.Poll(t.Context(), feed, cursor)
		if err != nil {
			t.Fatal(err)
		}
		cursor = batch.GetCursor()
		if batch.GetMore() != test.more {
			t.Errorf("%s: got more %v, want %v", test.name, batch.GetMore(), test.more)
		}
		if covered := batch.GetCoverage(); test.until.IsZero() != (covered == nil) {
			t.Errorf("%s: got coverage %v, want it from %v until %v", test.name, covered, test.from, test.until)
		} else if covered != nil && (!covered.GetFrom().AsTime().Equal(test.from) || !covered.GetUntil().AsTime().Equal(test.until)) {
			t.Errorf("%s: got coverage %v, want it from %v until %v", test.name, covered, test.from, test.until)
		}
	}
}

func TestRefusedCursor(t *testing.T) {
	published := time.Date(2026, time.March, 9, 7, 0, 0, 0, time.UTC)
	record := string(fake.OktaEvent{Published: published}.JSON())
	future := string(fake.OktaEvent{Published: published.AddDate(74, 0, 0)}.JSON())
	now := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		body   string
		status int
		later  time.Duration
		want   string // the since of the restart; "" for none
	}{
		{"400", "[" + record + "]", 400, 0, "2026-03-09T06:00:00.000Z"},
		{"404", "[" + record + "]", 404, 0, "2026-03-09T06:00:00.000Z"},
		{"410", "[" + record + "]", 410, 0, "2026-03-09T06:00:00.000Z"},
		{"401 says nothing of the cursor", "[" + record + "]", 401, 0, ""},
		{"500 says nothing of the cursor", "[" + record + "]", 500, 0, ""},
		{"no event yet", "[]", 400, 0, "2026-03-09T07:00:00.000Z"},
		{"a time to come does not lead beyond now", "[" + record + "," + future + "]", 400, 0, "2026-03-09T07:00:00.000Z"},
		{"longer ago than Okta keeps", "[" + record + "]", 400, 100 * 24 * time.Hour, "2026-03-19T08:00:00.000Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
				if nth == 2 {
					w.WriteHeader(test.status)
					return
				}
				page(w, r, strconv.Itoa(nth), test.body)
			})
			at := now
			source.client.Now = func() time.Time { return at }
			batch, err := source.Poll(t.Context(), feed, "")
			if err != nil {
				t.Fatal(err)
			}
			at = now.Add(test.later)
			_, err = source.Poll(t.Context(), feed, batch.GetCursor())
			if test.want == "" {
				if err == nil || len(*asked) != 2 {
					t.Errorf("got error %v after %d requests, want one after 2", err, len(*asked))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again, err := url.Parse((*asked)[2])
			if err != nil {
				t.Fatal(err)
			}
			if got := again.Query().Get("since"); got != test.want || again.Query().Has("after") {
				t.Errorf("got %s, want since %s and no cursor", (*asked)[2], test.want)
			}
		})
	}
}

// A first request has no cursor that could be at fault: asking again the same way would be a loop.
func TestRefusedFirstRequest(t *testing.T) {
	source, asked := recorder(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusBadRequest) })
	if _, err := source.Poll(t.Context(), feed, ""); err == nil || len(*asked) != 1 {
		t.Errorf("got error %v after %d requests, want one after 1", err, len(*asked))
	}
}

func TestNextLink(t *testing.T) {
	source, err := New(Config{URL: "https://shop.example.com", Token: config.SecretValue("invented")})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		links []string
		want  string
		err   string
	}{
		{"as Okta sends it", []string{`<https://shop.example.com/api/v1/logs?a=1>; rel="self"`, `<https://shop.example.com/api/v1/logs?limit=2&after=1_2>; rel="next"`}, "/api/v1/logs?limit=2&after=1_2", ""},
		{"on one line", []string{`<https://shop.example.com/api/v1/logs?a=1,2>; rel="self", <https://shop.example.com/api/v1/logs?after=3,4>; rel="next"`}, "/api/v1/logs?after=3,4", ""},
		{"without quotes, host in capitals, port given", []string{`<https://SHOP.example.com:443/api/v1/logs?after=3>;rel=next`}, "/api/v1/logs?after=3", ""},
		{"relative", []string{`</api/v1/logs?after=3>; rel="next"`}, "/api/v1/logs?after=3", ""},
		{"none", nil, "", "no link to the next one"},
		{"another alone", []string{`<https://shop.example.com/api/v1/logs?a=1>; rel="self"`}, "", "no link to the next one"},
		{"another host", []string{`<https://shop.example.net/api/v1/logs?after=3>; rel="next"`}, "", "another host"},
		{"a host that begins alike", []string{`<https://shop.example.com.example.net/api/v1/logs?after=3>; rel="next"`}, "", "another host"},
		{"another host by user info", []string{`<https://shop.example.com@192.0.2.1/api/v1/logs?after=3>; rel="next"`}, "", "another host"},
		{"another host without a scheme", []string{`<//192.0.2.1/api/v1/logs?after=3>; rel="next"`}, "", "another host"},
		{"another port", []string{`<https://shop.example.com:8443/api/v1/logs?after=3>; rel="next"`}, "", "another host"},
		{"another path", []string{`<https://shop.example.com/api/v1/users?after=3>; rel="next"`}, "", "does not lead to the log"},
		{"not an address", []string{`<https://shop.example.com:port/>; rel="next"`}, "", "not an address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := source.nextLink(http.Header{"Link": test.links})
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("got error %v, want %q", err, test.err)
			}
		})
	}
}

// A stored cursor is not trusted to lead where it should: it would take the token along.
func TestForeignCursor(t *testing.T) {
	source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, _ int) { page(w, r, "1", "[]") })
	for _, next := range []string{"", "http://192.0.2.1/api/v1/logs", "//192.0.2.1/api/v1/logs", "@192.0.2.1/api/v1/logs", "/api/v1/users", ".example.net/api/v1/logs"} {
		text, err := json.Marshal(cursor{Next: next})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := source.Poll(t.Context(), feed, string(text)); err == nil {
			t.Errorf("cursor %s: got no error, want one", text)
		}
	}
	if len(*asked) > 0 {
		t.Errorf("got requests %q, want none", *asked)
	}
}
