// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// verdicts are the checks of a source as "subject: verdict".
func verdicts(t *testing.T, source *Source) (all map[string]*curfewv1.Check, list []string) {
	t.Helper()
	all = map[string]*curfewv1.Check{}
	for _, check := range source.Check(t.Context()) {
		if all[check.GetSubject()] != nil {
			t.Errorf("%s is there twice", check.GetSubject())
		}
		all[check.GetSubject()] = check
		list = append(list, check.GetSubject()+": "+strings.TrimPrefix(check.GetVerdict().String(), "CHECK_VERDICT_"))
		if check.GetNeeds() == "" || check.GetVerdict() == no && (check.GetWhy() == "" || check.GetHow() == "") {
			t.Errorf("%v: want what it needs, and of what cannot be done why and how", check)
		}
		if text := fmt.Sprint(check); strings.Contains(text, "invented-token") || strings.Contains(check.GetWhy(), "\n") {
			t.Errorf("%s tells of the token or has several lines: %s", check.GetSubject(), text)
		}
	}
	return all, list
}

// checked is a source of a vendor with a personal token.
func checked(t *testing.T, setup fake.GitHubConfig, change func(*Config)) (*Source, *fake.GitHub) {
	t.Helper()
	setup.Token = "invented-token"
	vendor := fake.NewGitHub(setup)
	server := httptest.NewServer(vendor)
	t.Cleanup(server.Close)
	c := Config{URL: server.URL, Org: "example", Token: config.SecretValue("invented-token"), WebhookSecret: config.SecretValue("invented")}
	change(&c)
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	source.client.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return source, vendor
}

func TestCheck(t *testing.T) {
	wants := func(exceptions map[string]string) []string {
		all := map[string]string{
			"poll audit_log": "YES", "receive audit_log": "YES", "inventory people": "YES", "inventory groups": "YES", "inventory memberships": "YES",
			"inventory roles": "YES", "inventory apps": "YES", "inventory tokens": "NO", "provision collaborator": "YES",
			"provision installation": "YES", "provision org_role": "YES", "provision team": "YES",
		}
		maps.Copy(all, exceptions)
		var list []string
		for subject, verdict := range all {
			if verdict != "" {
				list = append(list, subject+": "+verdict)
			}
		}
		slices.Sort(list)
		return list
	}
	falseValue := false
	tests := []struct {
		name   string
		setup  fake.GitHubConfig
		change func(*Config)
		forbid string
		want   map[string]string // besides what a sound personal token can do
	}{
		{"sound", fake.GitHubConfig{}, func(*Config) {}, "", nil},
		{"another plan", fake.GitHubConfig{NoAuditLog: true}, func(*Config) {}, "", map[string]string{"poll audit_log": "NO"}},
		{
			"another plan that knows", fake.GitHubConfig{NoAuditLog: true}, func(c *Config) { c.AuditLog = &falseValue }, "",
			map[string]string{"poll audit_log": "OFF", "receive audit_log": "", "receive webhook": "YES"},
		},
		{"no webhook", fake.GitHubConfig{}, func(c *Config) { c.WebhookSecret = config.Secret{} }, "", map[string]string{"receive audit_log": "OFF"}},
		{
			"a small token", fake.GitHubConfig{Scopes: "read:org, read:audit_log"}, func(*Config) {}, "/orgs/example/hooks",
			map[string]string{"receive audit_log": "UNSPECIFIED", "inventory roles": "NO", "provision collaborator": "NO", "provision org_role": "NO", "provision team": "NO"},
		},
		{
			"a token without repositories", fake.GitHubConfig{Scopes: "admin:org, read:audit_log"}, func(*Config) {}, "",
			map[string]string{"inventory roles": "NO", "provision collaborator": "NO"},
		},
		{
			"a fine-grained token", fake.GitHubConfig{Scopes: "-"}, func(*Config) {}, "",
			map[string]string{"provision collaborator": "UNSPECIFIED", "provision org_role": "UNSPECIFIED", "provision team": "UNSPECIFIED"},
		},
		{"identities hidden", fake.GitHubConfig{}, func(*Config) {}, "/graphql/Identities", map[string]string{"inventory people": "NO"}},
		{
			"no owner", fake.GitHubConfig{}, func(*Config) {}, "/user/memberships",
			map[string]string{"provision collaborator": "NO", "provision org_role": "NO", "provision team": "NO"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, vendor := checked(t, test.setup, test.change)
			if test.forbid != "" {
				vendor.Forbid(test.forbid)
			}
			_, got := verdicts(t, source)
			slices.Sort(got)
			if want := wants(test.want); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if vendor.Changes() > 0 {
				t.Errorf("%d changes were made", vendor.Changes())
			}
		})
	}
}

// Whatever part would be missing, the check says that not everything can be read.
func TestCheckReadsWhatIsObserved(t *testing.T) {
	parts := map[string][]string{
		"people":      {"/graphql/People", "/graphql/Identities", "/orgs/example/outside_collaborators", "/orgs/example/invitations"},
		"groups":      {"/graphql/Teams"},
		"memberships": {"/graphql/Teams", "/graphql/TeamMembers", "/orgs/example/teams/"},
		"roles": {
			"/graphql/People", "/orgs/example/organization-roles", "/orgs/example/organization-roles/" + number(id("role auditor")) + "/users",
			"/orgs/example/organization-roles/" + number(id("role auditor")) + "/teams", "/orgs/example/repos",
			"/graphql/Collaborators", "/repos/example/store/teams", "/repos/example/store/invitations",
		},
		"apps":   {"/orgs/example/installations"},
		"tokens": {"/orgs/example/personal-access-tokens", "/orgs/example/credential-authorizations", "/orgs/example/repos", "/repos/example/"},
	}
	for kind, paths := range parts {
		for _, path := range append(paths, "") {
			s := newShop(0, "invented")
			if path == "/repos/example/store/teams" || path == "/repos/example/store/invitations" {
				s.Directory(func(d *fake.GitHubDirectory) { delete(d.Repos, id("repo site")) })
			}
			if path != "" {
				s.GitHub.Forbid(path)
			}
			source := serveShop(t, s)
			c := &checking{Source: source}
			if err := c.probe(t.Context(), kind); (err != nil) != (path != "") {
				t.Errorf("%s with %q refused: got %v", kind, path, err)
			}
		}
	}
}

func TestCheckApp(t *testing.T) {
	source, _ := newApp(t, func(*Config) {})
	all, list := verdicts(t, source)
	for _, subject := range []string{"poll audit_log", "inventory tokens", "provision collaborator", "provision org_role", "provision team"} {
		if all[subject].GetVerdict() != yes {
			t.Errorf("%s: got %v, want yes, of %q", subject, all[subject], list)
		}
	}
}

// Of a vendor that is dead, or a token that is not valid, every answer says so, and it is asked once.
func TestCheckDead(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"message":"Bad credentials"}`)) // The client may have gone.
	}))
	defer server.Close()
	source, _ := checked(t, fake.GitHubConfig{}, func(c *Config) { c.URL = server.URL })
	all, _ := verdicts(t, source)
	for subject, check := range all {
		if !strings.HasPrefix(subject, "receive") && (check.GetVerdict() != no || !strings.Contains(check.GetWhy(), "Bad credentials")) {
			t.Errorf("%s: got %v, want no, and why", subject, check)
		}
	}
	if asked != 1 || len(all) != 12 {
		t.Errorf("got %d answers after %d requests, want 12 after one", len(all), asked)
	}
	server.Close()
	if all, _ = verdicts(t, source); all["poll audit_log"].GetVerdict() != no {
		t.Errorf("got %v, want no", all["poll audit_log"])
	}
	// An enterprise alone has nothing but its log.
	source, _ = checked(t, fake.GitHubConfig{Enterprise: "example-corp"}, func(c *Config) { c.Org, c.Enterprise = "", "example-corp" })
	if all, _ = verdicts(t, source); len(all) != 2 || all["poll audit_log"].GetVerdict() != yes {
		t.Errorf("an enterprise: got %v, want its log alone", all)
	}
}
