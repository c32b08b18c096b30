// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// checked is what a check says of each ability, in short.
func checked(t *testing.T, google *fake.Google, changes ...func(*Config)) map[string]*curfewv1.Check {
	t.Helper()
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	c := Config{URL: server.URL, Credentials: config.SecretValue(google.Credentials(server.URL)), Subject: "root@example.com"}
	for _, change := range changes {
		change(&c)
	}
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return sound(t, source)
}

// sound wants each ability checked once, in full.
func sound(t *testing.T, source *Source) map[string]*curfewv1.Check {
	t.Helper()
	got := map[string]*curfewv1.Check{}
	for _, check := range source.Check(t.Context()) {
		if got[check.GetSubject()] != nil {
			t.Errorf("%s is checked twice", check.GetSubject())
		}
		got[check.GetSubject()] = check
		yes := check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_YES
		if check.GetWhy() == "" || check.GetNeeds() == "" || !yes && check.GetHow() == "" && check.GetVerdict() != curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED {
			t.Errorf("got %v, want why, what to do and what it needs", check)
		}
		for _, text := range []string{check.GetWhy(), check.GetHow()} {
			if strings.Contains(text, "eyJ") || strings.Contains(text, "BEGIN") || strings.Contains(text, "\n") {
				t.Errorf("%s: tells of the credentials, or has several lines: %s", check.GetSubject(), text)
			}
		}
	}
	for _, kind := range source.Kinds() {
		if got["inventory "+kind] == nil {
			t.Errorf("inventory %s is not checked", kind)
		}
	}
	for _, kind := range source.Privileges() {
		if got["provision "+kind] == nil {
			t.Errorf("provision %s is not checked", kind)
		}
	}
	for _, feed := range source.Feeds() {
		if got["poll "+feed] == nil || got["receive "+feed] == nil {
			t.Errorf("poll or receive %s is not checked", feed)
		}
	}
	return got
}

func TestCheck(t *testing.T) {
	root := fake.GoogleUser{Email: "root@example.com", Super: true}
	delegate := fake.GoogleUser{Email: "root@example.com"}
	hooked := func(c *Config) { c.ChannelSecret = config.SecretValue("invented-secret") }
	native := func(c *Config) { c.NativeExpiry = true }
	yes, no, off, open := "YES", "NO", "OFF", "UNSPECIFIED"
	tests := []struct {
		name    string
		scopes  []string // nil for all
		user    fake.GoogleUser
		forbid  string
		changes []func(*Config)
		want    map[string]string
		how     map[string]string
	}{
		{"all of it", nil, root, "", []func(*Config){hooked, native}, map[string]string{
			"poll login": yes, "receive login": open, "inventory people": yes, "inventory memberships": yes, "inventory roles": yes, "inventory apps": yes,
			"inventory tokens": yes, "provision group": yes, "provision admin_role": yes, "provision oauth_token": yes,
		}, nil},
		{"no super administrator", nil, delegate, "", nil, map[string]string{
			"poll login": yes, "receive login": off, "inventory apps": yes, "provision group": open, "provision admin_role": open,
		}, map[string]string{"receive login": "channel_secret", "provision group": "may update groups"}},
		{"logs alone", []string{scopeAudit}, root, "", []func(*Config){hooked}, map[string]string{
			"poll login": yes, "receive login": open, "inventory people": no, "inventory groups": no, "inventory roles": no, "inventory apps": no,
			"provision group": no, "provision admin_role": no, "provision oauth_token": no,
		}, map[string]string{"inventory people": "Domain-wide delegation, give the service account's client id the scope " + scopeUsers, "inventory roles": scopeRoles}},
		{"no native expiry", []string{scopeAudit, scopeUsers, scopeGroups, scopeMembers}, root, "", []func(*Config){native}, map[string]string{
			"inventory groups": yes, "provision group": no,
		}, map[string]string{"provision group": scopeIdentity}},
		{"may not see reports", nil, root, "/admin/reports/", []func(*Config){hooked}, map[string]string{
			"poll login": no, "receive login": no, "inventory people": yes, "provision group": yes,
		}, map[string]string{"poll login": "may see reports"}},
		{"an application that is not allowed", nil, root, "/admin/reports/v1/activity/users/all/applications/drive", nil, map[string]string{
			"poll login": yes, "poll drive": no,
		}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			google := fake.NewGoogle(fake.GoogleConfig{Scopes: test.scopes})
			google.AddUser(test.user)
			if test.forbid != "" {
				google.Forbid(test.forbid)
			}
			got := checked(t, google, test.changes...)
			for subject, want := range test.want {
				if verdict := strings.TrimPrefix(got[subject].GetVerdict().String(), "CHECK_VERDICT_"); verdict != want {
					t.Errorf("%s: got %v, want %s", subject, got[subject], want)
				}
			}
			for subject, want := range test.how {
				if !strings.Contains(got[subject].GetHow(), want) {
					t.Errorf("%s: got how %q, want %q in it", subject, got[subject].GetHow(), want)
				}
			}
			if google.Changes() > 0 {
				t.Errorf("got %d changes by a check, want none", google.Changes())
			}
		})
	}
}

// A Google that is not there is asked once.
func TestCheckOfNobody(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	for name, credentials := range map[string]string{
		"a connection that breaks": fake.NewGoogle(fake.GoogleConfig{}).Credentials(server.URL), "no key": "s3cr3t-s3cr3t",
	} {
		asked.Store(0)
		source, err := New(Config{URL: server.URL, Credentials: config.SecretValue(credentials), Subject: "root@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		for subject, check := range sound(t, source) {
			off := strings.HasPrefix(subject, "receive ")
			if (check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_NO) == off || strings.Contains(fmt.Sprint(check), "s3cr3t") {
				t.Errorf("%s: got %v, want NO", name, check)
			}
		}
		// The transport may ask again on a connection that it had kept.
		if asked.Load() > 2 {
			t.Errorf("%s: got %d requests, want it asked once", name, asked.Load())
		}
	}
}

// A Google that says nothing is told of in words.
func TestCheckOfSomebodySilent(t *testing.T) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	for name, source := range map[string]*Source{
		"no token": undelegated(t, fake.NewGoogle(fake.GoogleConfig{})),
		"no page":  newSource(t, sourcetest.Options{URL: server.URL, Token: "invented"}),
	} {
		if name == "no token" {
			// What asks for tokens minds the client's time alone.
			source.client.HTTP.Timeout = 100 * time.Millisecond
			source.config.Credentials = config.SecretValue(fake.NewGoogle(fake.GoogleConfig{}).Credentials(server.URL))
		}
		for _, check := range source.check(t.Context(), 50*time.Millisecond) {
			off := check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_OFF
			if !off && check.GetWhy() != "google did not answer within 50ms" {
				t.Errorf("%s: got %v", name, check)
			}
		}
	}
}
