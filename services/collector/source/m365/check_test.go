// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

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

// configured is a source of a fake tenant as the configuration makes it: the token is fetched.
func configured(t *testing.T, tenant http.Handler, feeds ...string) *Source {
	t.Helper()
	server := httptest.NewServer(tenant)
	t.Cleanup(server.Close)
	c := sound(server.URL)
	if len(feeds) > 0 {
		c.Feeds = feeds
	}
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestCheck(t *testing.T) {
	readers := []string{"ActivityFeed.Read", "AuditLog.Read.All", "User.Read.All", "GroupMember.Read.All", "RoleManagement.Read.Directory", "Application.Read.All", "Directory.Read.All"}
	tests := []struct {
		name   string
		setup  fake.M365Config
		feeds  []string
		forbid []string
		want   map[string]string // by subject; all others YES
		why    map[string]string
		how    map[string]string
	}{
		{
			name: "all that there is", setup: fake.M365Config{Subscribed: []string{"Audit.Exchange"}},
			why: map[string]string{
				"poll audit_exchange": "it is subscribed to", "poll audit_general": "nobody has subscribed to it yet", "poll sign_ins": "microsoft answers",
				"provision group": "the access token names GroupMember.ReadWrite.All, User.Read.All, Application.Read.All",
			},
		},
		{
			name: "to read alone, without plans", setup: fake.M365Config{Permissions: readers, NoPremium: true}, feeds: []string{feedExchange, feedDLP, feedSignIns},
			want: map[string]string{
				"poll audit_azure_active_directory": "OFF", "poll audit_sharepoint": "OFF", "poll audit_general": "OFF", "poll directory_audits": "OFF",
				"poll dlp_all": "NO", "poll sign_ins": "NO",
				"provision app_role": "NO", "provision delegated_grant": "NO", "provision directory_role": "NO", "provision group": "NO", "provision end_sessions": "NO",
			},
			why: map[string]string{"inventory roles": "the tenant has no Entra ID P2", "poll dlp_all": "does not name ActivityFeed.ReadDlp"},
			how: map[string]string{
				"poll sign_ins": "sign-in logs take Entra ID P1", "provision group": "the application permission GroupMember.ReadWrite.All of Microsoft Graph",
				"provision directory_role": "RoleManagement.ReadWrite.Directory",
			},
		},
		{
			name: "parts that may not be seen", forbid: []string{"GET /v1.0/applications", "GET /v1.0/servicePrincipals", "GET " + eligiblePath},
			want: map[string]string{"inventory apps": "NO", "inventory tokens": "NO"},
			why:  map[string]string{"inventory memberships": "without Application.Read.All: microsoft answered 403", "inventory roles": "without RoleManagement.Read.Directory: "},
			how:  map[string]string{"inventory tokens": "give the app registration the application permission Application.Read.All", "inventory memberships": "Application.Read.All"},
		},
		{
			name: "a token that says nothing", setup: fake.M365Config{Token: "opaque"},
			want: map[string]string{
				"provision app_role": "UNSPECIFIED", "provision delegated_grant": "UNSPECIFIED", "provision directory_role": "UNSPECIFIED",
				"provision group": "UNSPECIFIED", "provision end_sessions": "UNSPECIFIED",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tenant := fake.NewM365(test.setup)
			tenant.Directory.Forbid(test.forbid...)
			checks := configured(t, tenant, test.feeds...).Check(t.Context())
			words, whys, hows := verdicts(checks)
			if len(checks) != 18 {
				t.Errorf("got %d answers, want 18", len(checks))
			}
			for _, check := range checks {
				want := test.want[check.GetSubject()]
				if want == "" {
					want = "YES"
				}
				if got := words[check.GetSubject()]; got != want {
					t.Errorf("%s: got %s (%s), want %s", check.GetSubject(), got, check.GetWhy(), want)
				}
				if check.GetNeeds() == "" || check.GetWhy() == "" || strings.Contains(check.GetWhy()+check.GetHow(), "\n") || want == "NO" && check.GetHow() == "" {
					t.Errorf("%s: got %v, want why, how and what it needs, in one line", check.GetSubject(), check)
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
			if tenant.Directory.Changes() > 0 {
				t.Errorf("a check changed %d things", tenant.Directory.Changes())
			}
		})
	}
}

func TestCheckOfNobody(t *testing.T) {
	var requests atomic.Int32
	source := configured(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		panic(http.ErrAbortHandler)
	}))
	for _, check := range source.Check(t.Context()) {
		if check.GetVerdict() != curfewv1.CheckVerdict_CHECK_VERDICT_NO || !strings.Contains(check.GetWhy(), "EOF") || check.GetHow() == "" {
			t.Errorf("got %v, want NO because nobody answers", check)
		}
	}
	if requests.Load() > 2 {
		t.Errorf("got %d requests, want it asked once", requests.Load())
	}
}

func TestCheckOfSecrets(t *testing.T) {
	tenant := fake.NewM365(fake.M365Config{ClientID: appID, Secret: "invented-secret-1"})
	source := configured(t, tenant)
	for name, test := range map[string]struct {
		secret   config.Secret
		why, how string
	}{
		"another":   {config.SecretValue("invented-secret-2"), "(invalid_client)", "client_secret is not valid"},
		"not there": {config.Secret{Env: "CURFEW_TEST_NO_SUCH"}, "CURFEW_TEST_NO_SUCH is not set", ""},
	} {
		source.config.ClientSecret = test.secret
		words, whys, hows := verdicts(source.Check(t.Context()))
		for _, subject := range []string{"poll audit_exchange", "poll sign_ins", "inventory people", "provision group"} {
			if words[subject] != "NO" || !strings.Contains(whys[subject], test.why) || !strings.Contains(hows[subject], test.how) || strings.Contains(whys[subject]+hows[subject], "invented-secret") {
				t.Errorf("%s: %s: got %s, %q, %q, want NO with %q and %q", name, subject, words[subject], whys[subject], hows[subject], test.why, test.how)
			}
		}
	}
}
