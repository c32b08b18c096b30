// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// before is a source of an organisation at which some requests are answered otherwise, one at a time.
func before(t *testing.T, o *organisation, otherwise func(w http.ResponseWriter, r *http.Request) bool, changes ...func(*Config)) *Source {
	t.Helper()
	var turn sync.Mutex
	answers := func(w http.ResponseWriter, r *http.Request) bool {
		turn.Lock()
		defer turn.Unlock()
		return otherwise(w, r)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answers(w, r) {
			o.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", Impatient: true}, changes...)
}

func native(c *Config) { c.NativeExpiry = true }

// ends is when Anna's place in finance ends, and what it is.
func ends(o *organisation) (time.Time, string) {
	for _, m := range o.State().Members {
		if m.Group == finance && m.Member == anna {
			return m.Expires, strings.ToLower(m.Role)
		}
	}
	return time.Time{}, ""
}

// A revocation raises nobody, whatever there was before and whatever became of it.
func TestRevokeRaisesNobody(t *testing.T) {
	all := append([]string{""}, levels...)
	for _, prior := range all {
		for _, given := range levels {
			for _, now := range all {
				o := newOrganisation(0, "invented")
				s := at(t, o)
				p := inGroup(anna, "anna@example.com", given)
				o.Hold(p, prior, prior != "")
				was := read(t, s, p)
				o.Hold(p, now, now != "")
				if _, err := s.Revoke(t.Context(), p, was); err != nil {
					t.Errorf("%q, given %q, now %q: %v", prior, given, now, err)
				}
				want := now
				switch {
				case prior == "":
					want = ""
				case now == given && rank(prior) < rank(given):
					want = prior
				}
				if level, held := o.Holds(p); level != want || held != (want != "") {
					t.Errorf("%q, given %q, now %q: got %q, want %q", prior, given, now, level, want)
				}
			}
		}
	}
}

func TestEndBefore(t *testing.T) {
	later := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for _, test := range []struct {
		name  string
		after time.Duration // of the end, when it is revoked
		now   string        // what somebody makes it, if anything
		fails int           // how many attempts to set the end break
		level string
		end   time.Time
	}{
		{"put back", -time.Hour, "", 0, "member", later},
		{"over meanwhile", time.Minute, "", 0, "", time.Time{}},
		{"its end breaks", -time.Hour, "", 1, "member", later},
		{"put back by somebody without its end", -time.Hour, "member", 0, "member", later},
		{"put back by somebody, and over", time.Minute, "member", 0, "", time.Time{}},
		{"made an owner since", time.Minute, "owner", 0, "owner", time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOrganisation(0, "invented")
			broken := 0
			s := before(t, o, func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, ":modifyMembershipRoles") || broken == test.fails {
					return false
				}
				broken++
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}, native)
			p := inGroup(anna, "anna@example.com", "manager")
			o.SetMember(fake.GoogleMember{Group: finance, Member: anna, Expires: later})
			prior := read(t, s, p)
			if _, err := s.Grant(t.Context(), p); err != nil || !prior.GetExpiresAt().AsTime().Equal(later) {
				t.Fatalf("got an end at %v, %v", prior.GetExpiresAt(), err)
			}
			if test.now != "" {
				o.Hold(p, test.now, true)
			}
			s.client.Now = func() time.Time { return later.Add(test.after) }
			if test.after > 0 {
				// By Google's clock too.
				s.client.HTTP.Transport = dated{s.client.Now}
			}
			for range test.fails {
				if _, err := s.Revoke(t.Context(), p, prior); err == nil {
					t.Error("got no error, want one to be asked again")
				}
			}
			for _, want := range []bool{true, false} {
				revoked, err := s.Revoke(t.Context(), p, prior)
				if err != nil || (revoked.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE) != (want && test.now != "owner") {
					t.Errorf("got %v, %v, want it done once", revoked, err)
				}
			}
			if end, level := ends(o); !end.Equal(test.end) || level != test.level {
				t.Errorf("got %q until %v, want %q until %v", level, end, test.level, test.end)
			}
		})
	}
}

// dated is a vendor whose clock is another.
type dated struct{ now func() time.Time }

// RoundTrip dates the answer.
func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		response.Header.Set("Date", d.now().UTC().Format(http.TimeFormat))
	}
	return response, err
}

// An end that is not known to be back is no revocation.
func TestEndThatCannotBeRead(t *testing.T) {
	o := newOrganisation(0, "invented")
	s := at(t, o, native)
	p := inGroup(anna, "anna@example.com", "manager")
	o.Hold(p, "member", true)
	prior := &curfewv1.PrivilegeState{
		Presence: curfewv1.Presence_PRESENCE_PRESENT, Level: "member", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)),
	}
	o.Google.Forbid("/v1/groups")
	if revoked, err := s.Revoke(t.Context(), p, prior); err == nil {
		t.Errorf("got %v, want an error", revoked)
	}
}

// Where the answer to a grant is lost, the next one completes it.
func TestEndAfterALostReply(t *testing.T) {
	end := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for _, lost := range []string{"/members", ":modifyMembershipRoles"} {
		o := newOrganisation(0, "invented")
		count := 0
		s := before(t, o, func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, lost) || count > 0 {
				return false
			}
			count++
			if lost == "/members" {
				o.ServeHTTP(httptest.NewRecorder(), r)
			}
			panic(http.ErrAbortHandler)
		}, native)
		p := inGroup(anna, "anna@example.com", "")
		p.ExpiresAt = timestamppb.New(end)
		if granted, err := s.Grant(t.Context(), p); (err == nil) == (lost == "/members") {
			t.Errorf("%s: got %v, %v", lost, granted, err)
		}
		granted, err := s.Grant(t.Context(), p)
		if got, level := ends(o); err != nil || !got.Equal(end) || level != "member" {
			t.Errorf("%s: again: got %v, %v, %q until %v, want until %v", lost, granted, err, level, got, end)
		}
		// It is done then: what somebody changes stays.
		o.Hold(p, "member", true)
		granted, err = s.Grant(t.Context(), p)
		if got, _ := ends(o); err != nil || granted.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY || !got.IsZero() {
			t.Errorf("%s: a third time: got %v, %v, until %v", lost, granted, err, got)
		}
	}
}

// All assignments of the holder's own are ended, those of the second page too.
func TestSeveralAssignments(t *testing.T) {
	o := newOrganisation(0, "invented")
	p := &curfewv1.Privilege{Kind: "admin_role", Holder: anna, Resource: helpdesk}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	s := newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 2, Impatient: true})
	for i := range 5 {
		o.Assign(fake.GoogleAssignment{Role: fmt.Sprint(i), Holder: anna})
	}
	// Behind two pages of others.
	o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: anna})
	o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: anna})
	o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: anna})
	if state := read(t, s, p); state.GetPresence() != curfewv1.Presence_PRESENCE_PRESENT {
		t.Errorf("got %v, want it held", state)
	}
	if revoked, err := s.Revoke(t.Context(), p, nil); err != nil || revoked.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
		t.Errorf("got %v, %v", revoked, err)
	}
	if _, held := o.Holds(p); held || len(o.State().Assignments) != 5 {
		t.Errorf("got assignments %v, want the five others alone", o.State().Assignments)
	}
}

// What is said of another group, member, user, role or app is not believed.
func TestAnswersOfOthers(t *testing.T) {
	for _, test := range []struct{ kind, path string }{
		{"group", "/users/" + anna}, {"group", "/groups/" + finance}, {"group", "/members/" + anna},
		{"admin_role", "/users/" + anna}, {"admin_role", "/roles/" + helpdesk}, {"oauth_token", "/tokens/" + mailMagic},
	} {
		o := newOrganisation(0, "invented")
		s := before(t, o, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, test.path) {
				return false
			}
			fmt.Fprint(w, `{"id":"1777","roleId":"1777","clientId":"1777","role":"MEMBER","email":"finance@example.com","primaryEmail":"anna@example.com"}`)
			return true
		})
		p := heldByAnna(o)[test.kind]
		if state, err := s.Read(t.Context(), p); err == nil {
			t.Errorf("%s: got %v, want an error", test.path, state)
		}
		if revoked, err := s.Revoke(t.Context(), p, nil); err == nil || o.Changes() > 0 {
			t.Errorf("%s: got %v, want an error and nothing done", test.path, revoked)
		}
	}
}

// A group within that cannot be read is told of: the holder may be in it.
func TestNestedGroupThatCannotBeRead(t *testing.T) {
	o := newOrganisation(0, "invented")
	s := at(t, o)
	p := inGroup(anna, "anna@example.com", "")
	o.Hold(p, "member", true)
	o.SetMember(fake.GoogleMember{Group: finance, Member: staff, Type: "GROUP"})
	o.SetMember(fake.GoogleMember{Group: staff, Member: anna})
	o.Google.Forbid("/admin/directory/v1/groups/" + staff + "/hasMember")
	state := read(t, s, p)
	if !strings.Contains(state.GetDetail(), "whether group "+staff+" within it holds the holder could not be read") || slices.Contains(state.GetVia(), "group "+staff) {
		t.Errorf("got %v, want it told of", state)
	}
}
