// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

const (
	done    = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE
	already = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY
	task    = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK
)

// interposed is a source whose vendor is the registry behind a handler that may answer by itself.
func interposed(t *testing.T, plan string, r *registry, answers func(w http.ResponseWriter, request *http.Request) bool) *Source {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !answers(w, request) {
			r.ServeHTTP(w, request)
		}
	}))
	t.Cleanup(server.Close)
	return admin(t, plan, "all", sourcetest.Options{URL: server.URL, Token: "invented"})
}

// Slack's not_in_channel means the account or the token's owner: who is in the channel tells which.
func TestNotInChannel(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		r := newRegistry(other, 0, "invented")
		privilege := privileges(channelKind, "", "C0SHOP")[0]
		source := interposed(t, other, r, func(w http.ResponseWriter, request *http.Request) bool {
			if !strings.HasSuffix(request.URL.Path, "conversations.kick") {
				return false
			}
			if leaves { // between the look and the kick
				r.Hold(privilege, "", false)
			}
			_, _ = w.Write([]byte(`{"ok":false,"error":"not_in_channel"}`))
			return true
		})
		r.Hold(privilege, "", true)
		want := map[bool]curfewv1.ProvisionOutcome{false: task, true: already}[leaves]
		if got, err := source.Revoke(t.Context(), privilege, nil); err != nil || got.GetOutcome() != want {
			t.Errorf("the account left: %v: got %v, %v, want %v", leaves, got, err, want)
		}
	}
}

// A role is never lowered by a grant, and a revocation leaves alone whom somebody else changed since.
func TestRoleRanks(t *testing.T) {
	tests := []struct {
		name                 string
		before, grant, since string // since is the level that somebody sets after the grant; "=" for none
		granted, revoked     curfewv1.ProvisionOutcome
		after                string
	}{
		{"an owner is to be administrator", "owner", "admin", "=", already, already, "owner"},
		{"an administrator is to be owner", "admin", "owner", "=", done, done, "admin"},
		{"stripped since", "admin", "owner", "", done, already, ""},
		{"lowered since", "", "owner", "admin", done, already, "admin"},
		{"raised since", "", "admin", "owner", done, already, "owner"},
		{"lowered below what they had", "owner", "admin", "admin", already, already, "admin"},
	}
	for _, test := range tests {
		r, source := provisioner(t, enterprise)
		p := privileges(workspaceRoleKind, test.grant, workplace)[0]
		r.Hold(p, test.before, test.before != "")
		prior, err := source.Read(t.Context(), p)
		if err != nil || prior.GetLevel() != test.before {
			t.Errorf("%s: got %v, %v, want level %q", test.name, prior, err, test.before)
		}
		if got, err := source.Grant(t.Context(), p); err != nil || got.GetOutcome() != test.granted {
			t.Errorf("%s: grant: got %v, %v, want %v", test.name, got, err, test.granted)
		}
		if test.since != "=" {
			r.Hold(p, test.since, test.since != "")
		}
		if got, err := source.Revoke(t.Context(), p, prior); err != nil || got.GetOutcome() != test.revoked {
			t.Errorf("%s: revoke: got %v, %v, want %v", test.name, got, err, test.revoked)
		}
		if level, _ := r.Holds(p); level != test.after {
			t.Errorf("%s: got level %q in the end, want %q", test.name, level, test.after)
		}
	}
}

// A guest who was made administrator by a person does not become a full member.
func TestGuestRole(t *testing.T) {
	r, source := provisioner(t, enterprise)
	guest := fake.SlackMember{ID: "W0GUEST", Name: "guest", Guest: true}
	r.Put(guest)
	p := &curfewv1.Privilege{Kind: workspaceRoleKind, Holder: guest.ID, Resource: workplace, Level: "admin"}
	prior, err := source.Read(t.Context(), p)
	if err != nil || prior.GetPresence() != curfewv1.Presence_PRESENCE_ABSENT || prior.GetLevel() != "guest" || !strings.Contains(prior.GetDetail(), "guest") {
		t.Fatalf("got %v, %v, want that it is a guest", prior, err)
	}
	for _, stillGuest := range []bool{false, true} {
		if stillGuest {
			prior = nil // Then what is shown now has to do.
		}
		guest.Guest, guest.Levels = stillGuest, map[string]string{workplace: "admin"}
		r.Put(guest)
		before := r.Changes()
		if got, err := source.Revoke(t.Context(), p, prior); err != nil || got.GetOutcome() != task || !strings.Contains(got.GetTask(), "a guest of workspace") || r.Changes() != before {
			t.Errorf("shown as a guest: %v: got %v, %v, want a task and nothing changed", stillGuest, got, err)
		}
	}
}

// To the token of another workspace everything is unknown: nothing is said to be gone.
func TestTokenOfAnotherWorkspace(t *testing.T) {
	for _, plan := range []string{enterprise, other} {
		server := httptest.NewServer(fake.NewSlack(fake.SlackConfig{Token: "invented", Plan: plan}))
		t.Cleanup(server.Close)
		source := admin(t, plan, "all", sourcetest.Options{URL: server.URL, Token: "invented"})
		unscoped := privileges(userGroupKind, "", "S0SUPPORT")[0]
		unscoped.Scope = ""
		for _, p := range []*curfewv1.Privilege{
			unscoped, {Kind: userGroupKind, Holder: anna.ID, Resource: "S0SUPPORT", Scope: "T0THEIRS"}, privileges(channelKind, "", "C0SHOP")[0],
			privileges(workspaceRoleKind, "admin", "T0THEIRS")[0], {Kind: appKind, Holder: "A0POLLS", Resource: workplace},
		} {
			if state, err := source.Read(t.Context(), p); err == nil && state.GetPresence() != curfewv1.Presence_PRESENCE_UNSPECIFIED {
				t.Errorf("plan %s, %s: read: got %v, want an error or nothing settled", plan, p.GetKind(), state)
			}
			if got, err := source.Revoke(t.Context(), p, nil); err == nil {
				t.Errorf("plan %s, %s: revoke: got %v, want an error", plan, p.GetKind(), got)
			}
		}
	}
}

// Whose the token is is asked once for each token.
func TestWhoseTokenIsAskedOnce(t *testing.T) {
	asked := 0
	source := interposed(t, other, newRegistry(other, 0, ""), func(_ http.ResponseWriter, request *http.Request) bool {
		if request.URL.Path == "/api/auth.test" {
			asked++
		}
		return false
	})
	for range 3 {
		if _, err := source.Read(t.Context(), privileges(userGroupKind, "", "S0SUPPORT")[0]); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("got %d questions, want 1", asked)
	}
}

// answering is a vendor that knows one account, one channel and one workspace, whose lists say what list says.
func answering(t *testing.T, account string, list func(method, cursor string) string) *Source {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch method := strings.TrimPrefix(r.URL.Path, "/api/"); method {
		case "users.info":
			_, _ = fmt.Fprintf(w, `{"ok":true,"user":{"id":%q,"name":"anna.berg"}}`, account)
		case "conversations.info":
			_, _ = fmt.Fprintf(w, `{"ok":true,"channel":{"id":"C0SHOP","name":"shop"}}`)
		default:
			_, _ = w.Write([]byte(list(method, r.URL.Query().Get("cursor"))))
		}
	}))
	t.Cleanup(server.Close)
	return admin(t, enterprise, "all", sourcetest.Options{URL: server.URL, Token: "invented"})
}

func paged(method, next string, ids ...string) string {
	name := map[string]string{"conversations.members": "members", "admin.teams.owners.list": "owner_ids", "admin.teams.admins.list": "admin_ids"}[method]
	return fmt.Sprintf(`{"ok":true,%q:["%s"],"response_metadata":{"next_cursor":%q}}`, name, strings.Join(ids, `","`), next)
}

var ofLists = []*curfewv1.Privilege{
	{Kind: channelKind, Holder: "W0A", Resource: "C0SHOP"},
	{Kind: workspaceRoleKind, Holder: "W0A", Resource: "T0X", Level: "owner"}, {Kind: workspaceRoleKind, Holder: "W0A", Resource: "T0X", Level: "admin"},
}

// Who stands on a later page of a list is in it.
func TestHolderOnALaterPage(t *testing.T) {
	for _, p := range ofLists {
		source := answering(t, "W0A", func(method, cursor string) string {
			switch {
			case cursor == "":
				return paged(method, "two", "W0B")
			case p.GetLevel() == "admin" && method == "admin.teams.owners.list":
				return paged(method, "", "W0C")
			}
			return paged(method, "", "W0C", "W0A")
		})
		state, err := source.Read(t.Context(), p)
		if err != nil || state.GetPresence() != curfewv1.Presence_PRESENCE_PRESENT || state.GetLevel() != p.GetLevel() {
			t.Errorf("%s %s: got %v, %v, want it held", p.GetKind(), p.GetLevel(), state, err)
		}
	}
}

// A list whose cursors lead in a circle does not say who is not in it.
func TestCircles(t *testing.T) {
	for name, next := range map[string]map[string]string{
		"to itself": {"": "a", "a": "a"}, "round": {"": "a", "a": "b", "b": "a"},
	} {
		for _, p := range ofLists {
			source := answering(t, "W0A", func(method, cursor string) string { return paged(method, next[cursor], "W0B") })
			if state, err := source.Read(t.Context(), p); err == nil || !strings.Contains(err.Error(), "do not come to an end") {
				t.Errorf("%s: %s: got %v, %v, want an error", name, p.GetKind(), state, err)
			}
		}
		source := answering(t, "W0A", func(_, cursor string) string {
			return fmt.Sprintf(`{"ok":true,"users":[],"response_metadata":{"next_cursor":%q}}`, next[cursor])
		})
		if inventory, err := source.Observe(t.Context(), "people"); err == nil {
			t.Errorf("%s: an inventory: got %v, want an error", name, inventory)
		}
	}
}

// An answer about another account says nothing of the one that was asked for.
func TestAnotherAccount(t *testing.T) {
	source := answering(t, "W0Z", func(method, _ string) string { return paged(method, "", "W0A") })
	for _, p := range ofLists {
		if state, err := source.Read(t.Context(), p); err == nil {
			t.Errorf("%s: got %v, want an error", p.GetKind(), state)
		}
	}
}

// An app that is disabled is not there, and of one that the log does not name nothing is known.
func TestAppStates(t *testing.T) {
	r, source := provisioner(t, enterprise)
	for app, changes := range map[string][]string{
		"A0OFF": {"added", "disabled"}, "A0ON": {"added", "disabled", "enabled"}, "A0ODD": {"something"},
	} {
		for i, change := range changes {
			r.Install(fake.SlackInstall{SlackIntegration: fake.SlackIntegration{Time: morning.Add(time.Duration(i) * time.Minute), AppID: app, App: app, Change: change}})
		}
	}
	for app, want := range map[string]curfewv1.Presence{
		"A0OFF": curfewv1.Presence_PRESENCE_ABSENT, "A0ON": curfewv1.Presence_PRESENCE_PRESENT,
		"A0ODD": curfewv1.Presence_PRESENCE_UNSPECIFIED, "A0NEVER": curfewv1.Presence_PRESENCE_UNSPECIFIED,
	} {
		p := &curfewv1.Privilege{Kind: appKind, Holder: app, Resource: workplace}
		state, err := source.Read(t.Context(), p)
		unknown := want == curfewv1.Presence_PRESENCE_UNSPECIFIED
		if err != nil || state.GetPresence() != want || unknown && state.GetDetail() == "" {
			t.Errorf("%s: got %v, %v, want %v", app, state, err, want)
		}
		if got, err := source.Revoke(t.Context(), p, nil); (err != nil) != unknown {
			t.Errorf("%s: revoke: got %v, %v, want an error where nothing is known", app, got, err)
		}
	}
}

// Who waits for another to write the same group stops waiting when it is cancelled, and holds up nobody.
func TestLockIsCancelled(t *testing.T) {
	var groups keyed
	unlock, err := groups.lock(t.Context(), "S1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := groups.lock(ctx, "S1")
		second <- err
	}()
	other, err := groups.lock(t.Context(), "S2")
	if err != nil {
		t.Fatal(err)
	}
	other()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	unlock()
	again, err := groups.lock(t.Context(), "S1")
	if err != nil {
		t.Fatal(err)
	}
	again()
}
