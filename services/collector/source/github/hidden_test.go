// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

const (
	done    = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE
	already = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY
	gone    = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE
	task    = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK
)

// between is a source whose requests are looked at on their way, and answered where look says that it did.
func between(t *testing.T, vendor http.Handler, look func(w http.ResponseWriter, r *http.Request, body []byte) bool) *Source {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // What is broken off is refused behind.
		if look(w, r, body) {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		vendor.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return newManager(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 2, Impatient: true})
}

func notFound(w http.ResponseWriter) bool {
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"message":"Not Found"}`)) // The client may have gone.
	return true
}

// each is a privilege of each kind that a person has.
func each() []*curfewv1.Privilege {
	return []*curfewv1.Privilege{
		privileges(kindTeam, "maintainer", [2]string{"ada", "team red"})[0], privileges(kindCollaborator, "admin", [2]string{"ada", "repo store"})[0],
		privileges(kindOrgRole, "", [2]string{"ada", ownerRole})[0], privileges(kindOrgRole, "", [2]string{"ada", "role auditor"})[0],
	}
}

// What is hidden from a token that lost a right is not gone: no 404 is believed of it.
func TestHidden(t *testing.T) {
	for name, lose := range map[string]func(*fake.GitHub){
		"the scopes":    func(g *fake.GitHub) { g.SetScopes("read:audit_log") },
		"the ownership": func(g *fake.GitHub) { g.SetOwner(false) },
		"all of a fine-grained token's": func(g *fake.GitHub) {
			g.SetScopes("-")
			g.SetOwner(false)
		},
	} {
		for _, p := range each() {
			r := newRegistry(0, "invented")
			r.Hold(p, p.GetLevel(), true)
			lose(r.GitHub)
			source := serveShop(t, shop(r))
			source.tokens = nil
			if got, err := source.Revoke(t.Context(), p, nil); err == nil {
				t.Errorf("%s, %s: revoke got %v, want an error", name, p.GetKind(), got)
			}
			if got, err := source.Read(t.Context(), p); err == nil {
				t.Errorf("%s, %s: read got %v, want an error", name, p.GetKind(), got)
			}
		}
	}
	// Without the scope for repositories alone.
	r := newRegistry(0, "invented")
	p := each()[1]
	r.Hold(p, "admin", true)
	r.SetScopes("admin:org")
	if got, err := serveShop(t, shop(r)).Revoke(t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), "scope repo") {
		t.Errorf("without repo: got %v, %v, want an error that says so", got, err)
	}
}

// What a sufficient token is not shown is gone, whichever kind of token it is; nothing tells it of a fine-grained one's
// repositories.
func TestGone(t *testing.T) {
	for _, p := range each() {
		for _, scopes := range []string{"admin:org, repo", "-"} {
			r := newRegistry(0, "invented")
			r.SetScopes(scopes)
			source := serveShop(t, shop(r))
			source.tokens = nil
			want := gone
			if p.GetResource() == ownerRole {
				want = already
				r.Directory(func(d *fake.GitHubDirectory) { d.People[id("ada")].Role = "" })
			} else {
				p.Resource = "777"
			}
			got, err := source.Revoke(t.Context(), p, nil)
			if unknown := p.GetKind() == kindCollaborator && scopes == "-"; (err != nil) != unknown || !unknown && got.GetOutcome() != want {
				t.Errorf("%s with %q: got %v, %v, want %v", p.GetKind(), scopes, got, err, want)
			}
		}
	}
}

// An app sees what its permissions and its repositories say.
func TestAppSees(t *testing.T) {
	source, _ := newApp(t, func(*Config) {})
	for kind := range sights {
		if err := source.seesAll(t.Context(), kind); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, token := range []string{
		`{"token":"t","expires_at":"2099-01-01T00:00:00Z","repository_selection":"selected","permissions":{"administration":"write","metadata":"read"}}`,
		`{"token":"t","expires_at":"2099-01-01T00:00:00Z","repository_selection":"all","permissions":{"metadata":"read"}}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/access_tokens") {
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(token)) // The client may have gone.
				return
			}
			_, _ = w.Write([]byte(`{"id":2001}`))
		}))
		source, _ = newApp(t, func(c *Config) { c.URL = server.URL })
		if err := source.seesAll(t.Context(), kindCollaborator); err == nil {
			t.Errorf("%s: got no error", token)
		}
		server.Close()
	}
}

// That a change is answered with 404 says nothing: what is still held is an error.
func TestChangeNotFound(t *testing.T) {
	for _, p := range each() {
		r := newRegistry(0, "invented")
		r.Hold(p, p.GetLevel(), true)
		source := between(t, r, func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
			return (q.Method == http.MethodDelete || q.Method == http.MethodPut) && notFound(w)
		})
		if got, err := source.Revoke(t.Context(), p, nil); err == nil {
			t.Errorf("%s: got %v, want an error", p.GetKind(), got)
		}
		// It went by itself meanwhile.
		source = between(t, r, func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
			if q.Method != http.MethodDelete && q.Method != http.MethodPut {
				return false
			}
			r.Hold(p, "", false)
			return notFound(w)
		})
		if got, err := source.Revoke(t.Context(), p, nil); err != nil || got.GetOutcome() != already || len(got.GetCalls()) != 1 {
			t.Errorf("%s went: got %v, %v, want that it was so", p.GetKind(), got, err)
		}
	}
}

// An invitation that is accepted while it is taken back is access by then.
func TestInvitationAccepted(t *testing.T) {
	r := newRegistry(0, "invented")
	r.Directory(func(d *fake.GitHubDirectory) { d.Person("guest", "") })
	p := privileges(kindCollaborator, "maintain", [2]string{"guest", "repo store"})[0]
	source := between(t, r, func(_ http.ResponseWriter, q *http.Request, _ []byte) bool {
		if q.Method == http.MethodDelete && strings.Contains(q.URL.Path, "/invitations/") {
			r.Directory(func(d *fake.GitHubDirectory) {
				repo := d.Repos[id("repo store")]
				for i, invitation := range repo.Invitations {
					repo.Collaborators[invitation.Invitee] = invitation.Role
					delete(repo.Invitations, i)
				}
			})
		}
		return false
	})
	invite := func() {
		t.Helper()
		if got, err := source.Grant(t.Context(), p); err != nil || got.GetOutcome() != done {
			t.Fatalf("grant: got %v, %v", got, err)
		}
	}
	invite()
	got, err := source.Revoke(t.Context(), p, nil)
	if level, held := r.Holds(p); err != nil || got.GetOutcome() != done || held {
		t.Errorf("revoke: got %v, %v, %q left", got, err, level)
	}
	// A grant at another level lowers nobody.
	invite()
	p.Level = "read"
	_, err = source.Grant(t.Context(), p)
	if level, _ := r.Holds(p); err == nil || level != "maintain" {
		t.Errorf("grant: got error %v, level %q, want an error and what was accepted", err, level)
	}
}

// Who has a login that many others hold as well is found among them.
func TestShortLogin(t *testing.T) {
	r, source := changed(t, func(d *fake.GitHubDirectory) {
		red := d.Teams[id("team red")]
		for i := range 300 {
			red.Members[d.Person(fmt.Sprintf("ada-%d", i), "member").ID] = "member"
		}
		red.Members[id("ada")] = "maintainer"
	})
	source.config.PageSize = maxPage
	p := privileges(kindTeam, "maintainer", [2]string{"ada", "team red"})[0]
	if got, err := source.Read(t.Context(), p); err != nil || got.GetPresence() != present || got.GetLevel() != "maintainer" {
		t.Errorf("read: got %v, %v, want the place", got, err)
	}
	got, err := source.Revoke(t.Context(), p, nil)
	if _, held := r.Holds(p); err != nil || got.GetOutcome() != done || held {
		t.Errorf("revoke: got %v, %v, held %v", got, err, held)
	}
}

// A repository that somebody else owns now keeps its collaborators: a person has to go there.
func TestMovedRepository(t *testing.T) {
	p := each()[1]
	r, source := changed(t, func(d *fake.GitHubDirectory) { d.Repos[id("repo store")].Owner = "elsewhere" })
	r.Hold(p, "admin", true)
	got, err := source.Revoke(t.Context(), p, nil)
	if err != nil || got.GetOutcome() != task || !strings.Contains(got.GetTask(), "belongs to elsewhere now") || !strings.Contains(got.GetLink(), "/elsewhere/store/") {
		t.Errorf("revoke: got %v, %v, want a task", got, err)
	}
	if got, err = source.Grant(t.Context(), p); err != nil || got.GetOutcome() != task {
		t.Errorf("grant: got %v, %v, want a task", got, err)
	}
	if got, err := source.Read(t.Context(), p); err == nil {
		t.Errorf("read: got %v, want an error", got)
	}
	if r.Changes() > 0 {
		t.Errorf("%d changes were made", r.Changes())
	}
}

// What cannot be listed is not ended, and of others nothing is ended, whatever the list holds.
func TestEndSessionsHidden(t *testing.T) {
	r, source := changed(t, func(d *fake.GitHubDirectory) { d.Credentials[1] = &fake.GitHubCredential{ID: 1, Owner: id("ada")} })
	source.tokens = nil
	holder := number(id("ada"))
	r.SetScopes("read:audit_log")
	if got, err := source.EndSessions(t.Context(), holder); err == nil {
		t.Errorf("without the scope: got %v, want an error", got)
	}
	// It may list and not end.
	r.SetScopes("read:org")
	if got, err := source.EndSessions(t.Context(), holder); err == nil {
		t.Errorf("without the right to end: got %v, want an error", got)
	}
	r.SetScopes("admin:org")
	source = between(t, r, func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
		return strings.HasSuffix(q.URL.Path, "/credential-authorizations") && notFound(w)
	})
	source.tokens = nil
	if got, err := source.EndSessions(t.Context(), holder); err == nil {
		t.Errorf("hidden while there is single sign-on: got %v, want an error", got)
	}
}

func TestEndSessionsOfOthers(t *testing.T) {
	r := newRegistry(0, "invented")
	r.Directory(func(d *fake.GitHubDirectory) {
		for i, login := range []string{"ada", "bob"} {
			n := int64(i + 1)
			d.Credentials[n] = &fake.GitHubCredential{ID: n, Owner: id(login)}
			d.Tokens[n] = &fake.GitHubToken{ID: n, TokenID: n, Owner: id(login)}
		}
	})
	// GitHub leaves the filters out.
	source := between(t, r, func(_ http.ResponseWriter, q *http.Request, _ []byte) bool {
		query := q.URL.Query()
		query.Del("login")
		query.Del("owner[]")
		q.URL.RawQuery = query.Encode()
		return false
	})
	if got, err := source.EndSessions(t.Context(), number(id("ada"))); err != nil || len(got.GetCalls()) != 2 {
		t.Errorf("got %v, %v, want two calls", got, err)
	}
	r.Directory(func(d *fake.GitHubDirectory) {
		if len(d.Credentials) != 1 || d.Credentials[2] == nil || len(d.Tokens) != 1 || d.Tokens[2] == nil {
			t.Errorf("got %v and %v left, want bob's", d.Credentials, d.Tokens)
		}
	})
}

// An error of GraphQL that is about no right breaks the part, and data beside one is not taken.
func TestGraphErrors(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		people       int // members that are told
	}{
		{"a blip", `{"data":null,"errors":[{"message":"Something went wrong while executing your query."}]}`, 0},
		{"a part beside a blip", `{"data":{"organization":{"samlIdentityProvider":null}},"errors":[{"type":"SERVICE_UNAVAILABLE","message":"x"}]}`, 0},
		{"a right and a blip", `{"data":null,"errors":[{"type":"FORBIDDEN","message":"x"},{"message":"y"}]}`, 0},
		{"a right", `{"data":null,"errors":[{"type":"FORBIDDEN","message":"x"}]}`, 3},
		{"scopes", `{"data":null,"errors":[{"type":"INSUFFICIENT_SCOPES","message":"x"}]}`, 3},
		{"single sign-on", `{"data":null,"errors":[{"message":"Resource protected by organization SAML enforcement."}]}`, 3},
	} {
		source := between(t, newShop(0, "invented"), func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
			if !bytes.Contains(body, []byte(`"operationName":"Identities"`)) {
				return false
			}
			_, _ = w.Write([]byte(test.answer)) // The client may have gone.
			return true
		})
		got, err := source.Observe(t.Context(), "people")
		members := 0
		for _, e := range got.GetEntries() {
			if e.GetAccount().GetCreated() != nil {
				members++
			}
		}
		if err != nil || members != test.people || len(got.GetMissing()) == 0 {
			t.Errorf("%s: got %d members, missing %q, %v, want %d", test.name, members, got.GetMissing(), err, test.people)
		}
	}
}

// What was let in by single sign-on and is hidden from the token is missing.
func TestHiddenCredentials(t *testing.T) {
	s := newShop(0, "invented")
	s.SetScopes("read:org, repo")
	source := between(t, s, func(w http.ResponseWriter, q *http.Request, body []byte) bool {
		if bytes.Contains(body, []byte(`"operationName":"Identities"`)) {
			_, _ = w.Write([]byte(`{"data":{"organization":{"samlIdentityProvider":null}}}`)) // The client may have gone.
			return true
		}
		return strings.HasSuffix(q.URL.Path, "/credential-authorizations") && notFound(w)
	})
	got, err := source.Observe(t.Context(), "tokens")
	if err != nil || len(got.GetMissing()) == 0 || !strings.Contains(got.GetMissing()[0], "let in by single sign-on") {
		t.Errorf("got missing %q, %v, want what was let in by single sign-on", got.GetMissing(), err)
	}
}

// A delivery is a POST, and its signature has one spelling.
func TestNoDelivery(t *testing.T) {
	source, err := New(Config{Org: "example", Token: config.SecretValue("invented"), WebhookSecret: config.SecretValue("invented-secret")})
	if err != nil {
		t.Fatal(err)
	}
	sound := delivery("invented-secret", monday, 1, []byte(`{"action":"added"}`))
	if accepted, err := source.Receive(sound); err != nil || accepted.Seal != sound.Header.Get(signatureHeader) {
		t.Errorf("got %v, %v, want its signature as its seal", accepted, err)
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead, ""} {
		d := delivery("invented-secret", monday, 1, []byte(`{"action":"added"}`))
		d.Method = method
		if accepted, err := source.Receive(d); err == nil {
			t.Errorf("%q: got %v, want it refused", method, accepted)
		}
	}
	digits, _ := strings.CutPrefix(sound.Header.Get(signatureHeader), "sha256=")
	sound.Header.Set(signatureHeader, "sha256="+strings.ToUpper(digits))
	if accepted, err := source.Receive(sound); err == nil {
		t.Errorf("a signature in capitals: got %v, want it refused", accepted)
	}
}
