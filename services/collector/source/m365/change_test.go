// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func consent(level string) *curfewv1.Privilege {
	return &curfewv1.Privilege{Source: source, Kind: "delegated_grant", Holder: merge, HolderName: "Mail merge", Resource: graph, Scope: anna.ID, Level: level}
}

// Somebody else changes the consent: before our last read that is kept, behind our write it is seen.
func TestConsentIsChangedByTwo(t *testing.T) {
	for name, test := range map[string]struct {
		reads int // others write behind so many of our reads
		want  string
		err   bool
	}{
		"before the last read": {1, "Calendars.Read", false}, "behind the write": {-1, "Calendars.Read Mail.Read", true},
	} {
		r := newRegistry(0, fake.M365Config{Token: "invented"})
		r.Hold(consent("Mail.Read"), "Mail.Read", true)
		if test.reads < 0 {
			r.Hold(consent("Mail.Read"), "Mail.Read User.Read", true)
		}
		id, _ := r.holding(consent(""))
		reads := 0
		source := behind(t, r, nil, 0, func(w http.ResponseWriter, q *http.Request) bool {
			read := strings.HasSuffix(q.URL.Path, "/oauth2PermissionGrants")
			if !read && (test.reads > 0 || q.Method != http.MethodPatch) {
				return false
			}
			if reads++; read && reads != test.reads {
				return false
			}
			answer := httptest.NewRecorder()
			r.ServeHTTP(answer, q)
			r.Put(fake.M365Grant{ID: id, Client: merge, Resource: graph, Principal: anna.ID, Scope: "Mail.Read Calendars.Read"})
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			fmt.Fprint(w, answer.Body)
			return true
		})
		revoked, err := source.Revoke(t.Context(), consent("Mail.Read"), nil)
		_, level := r.holding(consent(""))
		if (err != nil) != test.err || tidied(level) != test.want {
			t.Errorf("%s: got %v, %v and %q, want %q, an error: %v", name, revoked, err, level, test.want, test.err)
		}
	}
}

func tidied(scopes string) string { return strings.Join(tidy(strings.Fields(scopes)), " ") }

func TestConsentWithoutCase(t *testing.T) {
	r := newRegistry(0, fake.M365Config{Token: "invented"})
	r.Hold(consent("Mail.Read"), "Mail.Read User.Read", true)
	source := serveTenant(t, r)
	state, err := source.Read(t.Context(), consent("mail.read"))
	if err != nil || state.GetLevel() != "mail.read" {
		t.Errorf("read: got %v, %v, want it held", state, err)
	}
	if granted, err := source.Grant(t.Context(), consent("mail.read")); err != nil || granted.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY {
		t.Errorf("grant: got %v, %v, want ALREADY", granted, err)
	}
	if revoked, err := source.Revoke(t.Context(), consent("mail.read"), nil); err != nil || revoked.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
		t.Errorf("revoke: got %v, %v, want it done", revoked, err)
	}
	if _, level := r.holding(consent("")); level != "User.Read" {
		t.Errorf("got %q, want the other one", level)
	}
}

// Graph shows what was given some seconds late; what is revoked by then is taken all the same.
func TestRevokedBeforeItIsShown(t *testing.T) {
	r := newRegistry(0, fake.M365Config{Token: "invented"})
	source := behind(t, r, nil, 0, func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasSuffix(q.URL.Path, "/memberOf") {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"value":[]}`)
		return true
	})
	p := privileges(&curfewv1.Privilege{Kind: "group"}, []string{payments}, anna)[0]
	if _, err := source.Grant(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for _, want := range []curfewv1.ProvisionOutcome{curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE, curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY} {
		if revoked, err := source.Revoke(t.Context(), p, nil); err != nil || revoked.GetOutcome() != want {
			t.Errorf("got %v, %v, want %v", revoked, err, want)
		}
		if _, held := r.Holds(p); held {
			t.Error("it is held after it was revoked")
		}
	}
}

// What the role's settings refuse is not given without an end.
func TestRoleIsNotGivenForEverInstead(t *testing.T) {
	r := newRegistry(0, fake.M365Config{Token: "invented"})
	for _, refusal := range []string{"RoleAssignmentRequestPolicyValidationFailed", "Authorization_RequestDenied", ""} {
		source := behind(t, r, nil, 0, func(w http.ResponseWriter, q *http.Request) bool {
			return strings.HasSuffix(q.URL.Path, "ScheduleRequests") && says(w, http.StatusForbidden, refusal)
		})
		p := privileges(&curfewv1.Privilege{Kind: "directory_role"}, []string{reader}, anna)[0]
		p.ExpiresAt = timestamppb.New(time.Now().Add(time.Hour))
		granted, err := source.Grant(t.Context(), p)
		if _, held := r.Holds(p); err == nil || held {
			t.Errorf("%s: got %v, %v, held %v, want it refused", refusal, granted, err, held)
		}
	}
}

// What was deleted can be restored for 30 days with what it held.
func TestDeletedCanBeRestored(t *testing.T) {
	for name, test := range map[string]struct {
		remove, forbid, want string
		gone                 bool
	}{
		"a person":         {remove: anna.ID, want: "the holder was deleted and can be restored"},
		"a team":           {remove: refunds, want: "the group was deleted and can be restored"},
		"may not be seen":  {remove: anna.ID, forbid: "GET /v1.0/directory", want: "could not be learnt"},
		"a security group": {remove: payments, want: "the group does not exist any more", gone: true},
	} {
		r := newRegistry(0, fake.M365Config{Token: "invented"})
		resource := refunds
		if test.remove == payments {
			resource = payments
		}
		r.Remove(test.remove)
		if test.forbid != "" {
			r.Forbid(test.forbid)
		}
		state, err := serveTenant(t, r).Read(t.Context(), privileges(&curfewv1.Privilege{Kind: "group"}, []string{resource}, anna)[0])
		if err != nil || !strings.Contains(state.GetDetail(), test.want) || test.gone && strings.Contains(state.GetDetail(), "restored") {
			t.Errorf("%s: got %v, %v, want %q", name, state, err, test.want)
		}
	}
}

// Permissions of which a part could not be read, or not named, are missing; those of an app that is gone are gone.
func TestInventoryOfPermissionsInPart(t *testing.T) {
	for name, test := range map[string]struct {
		breaks func(q *http.Request) bool
		status int
		code   string
		gone   bool
	}{
		"the API is gone": {func(q *http.Request) bool { return strings.HasSuffix(q.URL.Path, "/"+graph) }, 404, codeMissing, false},
		"the app is gone": {func(q *http.Request) bool { return strings.HasSuffix(q.URL.Path, merge+"/appRoleAssignments") }, 404, codeMissing, true},
		"the second page is refused": {func(q *http.Request) bool {
			return strings.HasSuffix(q.URL.Path, merge+"/appRoleAssignments") && q.URL.Query().Get("$skiptoken") != ""
		}, 403, "Authorization_RequestDenied", false},
	} {
		r := newRegistry(0, fake.M365Config{Token: "invented"})
		roles := map[string]string{}
		for n := range 5 {
			role := fake.M365ID("app role", fmt.Sprint(n))
			roles[role] = fmt.Sprintf("Invented.%d", n)
			r.Put(fake.M365AppRole{Holder: merge, Resource: graph, Role: role})
		}
		r.Put(fake.M365Principal{ID: graph, AppID: fake.M365ID("app", "Microsoft Graph"), Name: "Microsoft Graph", Owner: microsoft, Roles: roles})
		whole, err := serveTenant(t, r).Observe(t.Context(), "apps")
		if err != nil || len(whole.GetEntries()) != 1 || len(whole.GetMissing()) != 0 {
			t.Fatalf("got %v, %v, want the one app", whole, err)
		}
		// So that there is an entry at all.
		r.Put(fake.M365Grant{Client: payroll, Resource: graph, Scope: "User.Read"})
		source := behind(t, r, nil, 0, func(w http.ResponseWriter, q *http.Request) bool {
			return test.breaks(q) && says(w, test.status, test.code)
		})
		got, err := source.Observe(t.Context(), "apps")
		if err != nil || len(got.GetEntries()) != 1 || (len(got.GetMissing()) == 0) != test.gone {
			t.Errorf("%s: got %v, %v, want nothing of the app but that it is missing: %v", name, got, err, !test.gone)
		}
	}
}

func TestListsHaveAnEnd(t *testing.T) {
	for name, next := range map[string]func(n int) int{"in a circle": func(n int) int { return n % 3 }, "for ever": func(n int) int { return n }} {
		n := 0
		source := behind(t, nil, nil, 0, func(w http.ResponseWriter, q *http.Request) bool {
			n++
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"value":[{"id":"anna"}],"@odata.nextLink":"http://%s%s?$skiptoken=%d"}`, q.Host, q.URL.Path, next(n))
			return true
		})
		got, err := source.Observe(t.Context(), "people")
		if err != nil || len(got.GetMissing()) != 1 || n > maxTurns || name == "in a circle" && n > 5 {
			t.Errorf("%s: got %v, %v after %d pages, want that the rest is missing", name, got, err, n)
		}
		n = 0
		if _, err := all[member](t.Context(), &conversation{source: source}, readsUsers, "/v1.0/users"); err == nil || n > maxTurns {
			t.Errorf("%s: got %v after %d pages, want an error", name, err, n)
		}
	}
}
