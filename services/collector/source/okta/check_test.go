// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// verdicts are the answers by their subject, each with the last word of its verdict.
func verdicts(checks []*curfewv1.Check) (words, whys, hows map[string]string) {
	words, whys, hows = map[string]string{}, map[string]string{}, map[string]string{}
	for _, check := range checks {
		words[check.GetSubject()] = strings.TrimPrefix(check.GetVerdict().String(), "CHECK_VERDICT_")
		whys[check.GetSubject()], hows[check.GetSubject()] = check.GetWhy(), check.GetHow()
	}
	return words, whys, hows
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		role   *fake.OktaRole
		hooks  []fake.OktaHook
		forbid []string
		want   map[string]string // by subject; all others YES
		why    map[string]string
		how    map[string]string
	}{
		{
			name: "a Super Administrator", role: &fake.OktaRole{Type: "SUPER_ADMIN"}, hooks: []fake.OktaHook{{ID: "who1", Name: "Curfew", Events: []string{"a", "b"}}},
			why: map[string]string{"receive system_log": `the event hook "Curfew" sends 2 event types`, "provision group": "SUPER_ADMIN"},
		},
		{
			name: "a Read-only Administrator, and a hook that is not verified", role: &fake.OktaRole{Type: "READ_ONLY_ADMIN"},
			hooks: []fake.OktaHook{{ID: "who1", Unverified: true}, {ID: "who2", Inactive: true}},
			want: map[string]string{
				"receive system_log": "NO", "provision admin_role": "NO", "provision app": "NO", "provision group": "NO", "provision oauth_grant": "NO", "provision end_sessions": "NO",
			},
			how: map[string]string{"provision group": "give the role Group Membership Administrator", "receive system_log": "add an event hook"},
		},
		{
			name: "a custom role", role: &fake.OktaRole{Type: "CUSTOM", Role: "cr01", Set: "iam1"}, hooks: []fake.OktaHook{{ID: "who1"}},
			want: map[string]string{
				"provision admin_role": "UNSPECIFIED", "provision app": "UNSPECIFIED", "provision group": "UNSPECIFIED", "provision oauth_grant": "UNSPECIFIED", "provision end_sessions": "UNSPECIFIED",
			},
		},
		{
			name: "a Group Administrator who may not see some things", role: &fake.OktaRole{Type: "USER_ADMIN"},
			forbid: []string{"GET /api/v1/logs", "GET /api/v1/eventHooks", "GET /api/v1/groups/rules", "GET /api/v1/api-tokens"},
			want: map[string]string{
				"poll system_log": "NO", "receive system_log": "UNSPECIFIED", "inventory tokens": "NO", "provision admin_role": "NO", "provision app": "NO", "provision oauth_grant": "NO",
			},
			why: map[string]string{"poll system_log": "okta answered 403 Forbidden (E0000006", "inventory groups": "okta answers; without okta.groups.read: okta answered 403"},
			how: map[string]string{"poll system_log": "give them the role Read-only Administrator", "inventory groups": "give them the role Read-only Administrator"},
		},
		{
			name: "own roles that may not be seen", role: &fake.OktaRole{Type: "SUPER_ADMIN"}, hooks: []fake.OktaHook{{ID: "who1"}}, forbid: []string{"GET /api/v1/users/00uCurfew/roles"},
			want: map[string]string{
				"provision admin_role": "UNSPECIFIED", "provision app": "UNSPECIFIED", "provision group": "UNSPECIFIED", "provision oauth_grant": "UNSPECIFIED", "provision end_sessions": "UNSPECIFIED",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			org := fake.NewOkta(fake.OktaConfig{Token: "invented", Owner: "00uCurfew"})
			org.Put(fake.OktaUser{ID: "00uCurfew", Login: "curfew@example.com"}, fake.OktaApp{ID: "0oa1", Label: "Reports", Service: true})
			test.role.Holder = "00uCurfew"
			org.Put(*test.role)
			for _, hook := range test.hooks {
				org.Put(hook)
			}
			org.Forbid(test.forbid...)
			checks := serveOrg(t, org).Check(t.Context())
			words, whys, hows := verdicts(checks)
			if len(checks) != 13 {
				t.Errorf("got %d answers, want 13", len(checks))
			}
			for _, check := range checks {
				want := test.want[check.GetSubject()]
				if want == "" {
					want = "YES"
				}
				if got := words[check.GetSubject()]; got != want {
					t.Errorf("%s: got %s (%s), want %s", check.GetSubject(), got, check.GetWhy(), want)
				}
				if check.GetNeeds() == "" || check.GetWhy() == "" || strings.Contains(check.GetWhy()+check.GetHow(), "\n") {
					t.Errorf("%s: got %v, want why and what it needs, in one line", check.GetSubject(), check)
				}
			}
			for subject, why := range test.why {
				if !strings.Contains(whys[subject], why) {
					t.Errorf("%s: got why %q, want %q in it", subject, whys[subject], why)
				}
			}
			for subject, how := range test.how {
				if !strings.Contains(hows[subject], how) {
					t.Errorf("%s: got how %q, want %q in it", subject, hows[subject], how)
				}
			}
			if org.Changes() > 0 {
				t.Errorf("a check changed %d things", org.Changes())
			}
		})
	}
}

func TestCheckServiceApp(t *testing.T) {
	org := fake.NewOkta(fake.OktaConfig{Client: client})
	org.Permit("okta.logs.read", "okta.users.read", "okta.groups.manage", "okta.roles.read")
	org.Put(fake.OktaApp{ID: client, Service: true}, fake.OktaRole{Holder: client, Type: "ORG_ADMIN"})
	words, whys, hows := verdicts(serviceApp(t, org, org.PEM()).Check(t.Context()))
	for subject, want := range map[string]string{
		"poll system_log": "YES", "receive system_log": "OFF", "inventory people": "YES", "inventory groups": "NO", "inventory roles": "YES",
		"provision group": "YES", "provision app": "NO", "provision admin_role": "NO",
	} {
		if words[subject] != want {
			t.Errorf("%s: got %s (%s), want %s", subject, words[subject], whys[subject], want)
		}
	}
	if want := "grant the service app okta.apps.manage on its tab Okta API Scopes"; hows["provision app"] != want {
		t.Errorf("provision app: got how %q, want %q", hows["provision app"], want)
	}
}

func TestCheckOfNobody(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	source, err := New(Config{URL: server.URL, Token: config.SecretValue("invented")})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range source.Check(t.Context()) {
		if want := check.GetSubject() == "receive system_log"; (check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_OFF) != want ||
			!want && (check.GetVerdict() != curfewv1.CheckVerdict_CHECK_VERDICT_NO || !strings.Contains(check.GetWhy(), "EOF")) {
			t.Errorf("got %v, want NO because nobody answers", check)
		}
	}
	if requests.Load() > 2 {
		t.Errorf("got %d requests, want it asked once", requests.Load())
	}

	missing, err := New(Config{URL: server.URL, Token: config.Secret{Env: "CURFEW_TEST_NO_SUCH"}})
	if err != nil {
		t.Fatal(err)
	}
	words, whys, _ := verdicts(missing.Check(t.Context()))
	if words["provision group"] != "NO" || !strings.Contains(whys["inventory people"], "CURFEW_TEST_NO_SUCH is not set") {
		t.Errorf("a secret that is not there: got %v, %v", words, whys)
	}
}

// A rate limit is called by its name, and a check does not sit it out.
func TestCheckUnderARateLimit(t *testing.T) {
	for _, reset := range []time.Duration{time.Second, 5 * time.Minute} {
		org := fake.NewOkta(fake.OktaConfig{Token: "invented", ResetAfter: reset, Faults: fake.Faults{RateLimitEvery: 1}})
		source := serveOrg(t, org)
		paused := time.Duration(0)
		source.client.Pause = func(_ context.Context, wait time.Duration) error {
			paused += wait
			return nil
		}
		began := time.Now()
		for _, check := range source.Check(t.Context()) {
			why, how := check.GetWhy(), check.GetHow()
			if check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_OFF {
				t.Errorf("%v: got %v", reset, check)
			}
			if !strings.Contains(why, "rate limit") || strings.Contains(why, "did not answer within") || check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_NO && !strings.Contains(how, "check again") {
				t.Errorf("%v: %s: got why %q and how %q, want that it is the rate limit", reset, check.GetSubject(), why, how)
			}
		}
		if reset > checkTime && paused > 0 || paused > time.Minute || time.Since(began) > checkTime {
			t.Errorf("%v: it paused %v", reset, paused)
		}
	}
	busy := serviceApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"errorCode":"E0000047"}`))
	}), fake.NewOkta(fake.OktaConfig{Client: client}).PEM())
	for _, check := range busy.Check(t.Context()) {
		if check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_NO && (!strings.Contains(check.GetWhy(), "rate limit for access tokens") || !strings.Contains(check.GetHow(), "check again")) {
			t.Errorf("%s: got why %q and how %q, want that it is the token's rate limit", check.GetSubject(), check.GetWhy(), check.GetHow())
		}
	}
}
