// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// astray are links to a next page that must not be followed, of the n-th request for /api/v1/<list>: what it leads to and
// the most requests that may come of it.
var astray = []struct {
	name, link, want string
	requests         int
}{
	{"another host", "https://192.0.2.1/api/v1/%s?after=1", "leads to another host", 1},
	{"another list", "/api/v1/iam?list=%s", "leads to another list", 1},
	{"the same page", "/api/v1/%s", "the same one", 2},
	{"a page that leads to itself", "/api/v1/%s?after=1", "the same one", 2},
	{"two pages in turn", "/api/v1/%s?after=TURN", "one that was read before", 3},
}

func TestListsThatLeadAstray(t *testing.T) {
	for _, test := range astray {
		for _, list := range []string{"api-tokens", "iam/assignees/users", "users/00uAnna/groups"} {
			requests := 0
			source := serveOrg(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next := strings.Replace(fmt.Sprintf(test.link, list), "TURN", fmt.Sprint(requests%2), 1)
				switch r.URL.Path {
				case "/api/v1/users/00uAnna":
					_, _ = w.Write([]byte(`{"id":"00uAnna"}`))
					return
				case "/api/v1/groups/00gPayments":
					_, _ = w.Write([]byte(`{"id":"00gPayments"}`))
					return
				case "/api/v1/iam/assignees/users":
					requests++
					_, _ = fmt.Fprintf(w, `{"value":[],"_links":{"next":{"href":%q}}}`, next)
					return
				case "/api/v1/groups", "/api/v1/apps":
					_, _ = w.Write([]byte(`[]`))
					return
				}
				requests++
				w.Header().Set("Link", "<"+next+`>; rel="next"`)
				_, _ = w.Write([]byte(`[{"id":"00T1"},{"id":"00gPayments"}]`))
			}))
			var told string
			switch list {
			case "api-tokens":
				got, err := source.Observe(t.Context(), "tokens")
				told = fmt.Sprint(got.GetMissing(), err)
			case "iam/assignees/users":
				_, err := source.Observe(t.Context(), "roles")
				told = fmt.Sprint(err)
			default:
				_, err := source.Read(t.Context(), privileges("group", []string{"00gPayments"}, []string{"00uAnna"})[0])
				told = fmt.Sprint(err)
			}
			if !strings.Contains(told, test.want) || requests > test.requests {
				t.Errorf("%s of %s: after %d requests got %q, want %q after %d at most", test.name, list, requests, told, test.want, test.requests)
			}
		}
	}
}

// A full page that leads to itself would be read for ever; one that is not full is the end of the log for now.
func TestFullPageThatLeadsToItself(t *testing.T) {
	record := string(fake.OktaEvent{}.JSON())
	for body, sound := range map[string]bool{"[" + record + "," + record + "]": false, "[" + record + "]": true, "[]": true} {
		source, asked := recorder(t, func(w http.ResponseWriter, _ *http.Request, nth int) {
			link := "/api/v1/logs?limit=2&after=x"
			if nth > 1 {
				link = "/api/v1/logs?after=x&limit=2"
			}
			w.Header().Set("Link", "<"+link+`>; rel="next"`)
			_, _ = w.Write([]byte(body))
		})
		source.config.PageSize = 2
		batch, err := source.Poll(t.Context(), feed, "")
		if err != nil {
			t.Fatal(err)
		}
		batch, err = source.Poll(t.Context(), feed, batch.GetCursor())
		if (err == nil) != sound || sound && batch.GetMore() || len(*asked) != 2 {
			t.Errorf("%d bytes: got %v, %v, want it sound: %v", len(body), batch, err, sound)
		}
	}
}

// Every list that a privilege is read from has several pages here.
func TestPrivilegesBehindTheFirstPage(t *testing.T) {
	tests := map[string]func(r *registry){
		"group 00gRefunds": func(r *registry) { r.Join("00gPayments", "00uAnna"); r.Join("00gRefunds", "00uAnna") },
		"admin_role USER_ADMIN": func(r *registry) {
			r.Put(fake.OktaRole{ID: "ra1", Holder: "00uAnna", Type: "APP_ADMIN"}, fake.OktaRole{ID: "ra2", Holder: "00uAnna", Type: "USER_ADMIN"})
		},
		"oauth_grant okta.users.read": func(r *registry) {
			r.Put(fake.OktaGrant{ID: "oag1", App: "0oaSync", Scope: "okta.apps.read"}, fake.OktaGrant{ID: "oag2", App: "0oaSync", Scope: "okta.users.read"})
		},
	}
	for name, before := range tests {
		r := newRegistry(0, "invented")
		before(r)
		source := serveOrg(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			for _, list := range []string{"/groups", "/roles", "/grants"} {
				if query := q.URL.Query(); strings.HasSuffix(q.URL.Path, list) && q.Method == http.MethodGet && query.Get("limit") == "" {
					query.Set("limit", "1")
					q.URL.RawQuery = query.Encode()
				}
			}
			r.ServeHTTP(w, q)
		}))
		kind, resource, _ := strings.Cut(name, " ")
		holder := "00uAnna"
		if kind == "oauth_grant" {
			holder = "0oaSync"
		}
		p := privileges(kind, []string{resource}, []string{holder})[0]
		if state, err := source.Read(t.Context(), p); err != nil || state.GetPresence() != curfewv1.Presence_PRESENCE_PRESENT {
			t.Errorf("%s on the second page: got %v, %v, want it present", name, state, err)
		}
	}
}
