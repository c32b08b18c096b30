// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake"
)

// One odd entry is missing, and no other.
func TestOddEntries(t *testing.T) {
	const user = `"id":"2","primaryEmail":"ben@example.com"`
	for _, odd := range []string{
		`{` + user + `,"externalIds":[{"value":4711,"type":"organization"}]}`, `{` + user + `,"name":"Ben"}`, `{` + user + `,"isAdmin":"no"}`,
		`{` + user + `,"aliases":"none"}`, `42`, `"text"`, `[]`,
	} {
		o := newOrganisation(0, "invented")
		s := before(t, o, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/users") {
				return false
			}
			fmt.Fprintf(w, `{"kind":"admin#directory#users","users":[{"id":%q},%s,{"id":%q}]}`, anna, odd, carl)
			return true
		})
		o.LetIn(fake.GoogleToken{User: anna, ClientID: mailMagic})
		o.LetIn(fake.GoogleToken{User: carl, ClientID: mailMagic})
		for _, kind := range []string{"people", "apps"} {
			seen, err := s.Observe(t.Context(), kind)
			missing := 1
			if strings.HasPrefix(odd, "{") && kind == "apps" {
				// Its id is enough.
				missing = 0
			}
			if err != nil || len(seen.GetEntries()) != 2 || len(seen.GetMissing()) != missing {
				t.Errorf("%s with %s: got %d entries, missing %q, %v, want two and %d", kind, odd, len(seen.GetEntries()), seen.GetMissing(), err, missing)
			}
			if strings.HasPrefix(odd, "{") && kind == "people" && !strings.Contains(fmt.Sprint(seen.GetMissing()), "id 2") {
				t.Errorf("got missing %q, want the id in it", seen.GetMissing())
			}
		}
	}
}

// Many odd entries are counted.
func TestManyOddEntries(t *testing.T) {
	s := before(t, newOrganisation(0, "invented"), func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprintf(w, `{"kind":"admin#directory#users","users":[{"id":"1"}%s]}`, strings.Repeat(`,{"id":2}`, 5000))
		return true
	})
	seen, err := s.Observe(t.Context(), "people")
	if err != nil || len(seen.GetMissing()) != maxFailed+1 || !strings.HasPrefix(seen.GetMissing()[maxFailed], "4980 more") {
		t.Errorf("got %d missing, the last %q, %v", len(seen.GetMissing()), seen.GetMissing()[len(seen.GetMissing())-1], err)
	}
}

// An odd member is no reason to think that the holder is none, nor an odd assignment or token.
func TestOddEntriesOfPrivileges(t *testing.T) {
	for kind, suffix := range map[string]string{"group": "/members", "admin_role": "/roleassignments", "oauth_token": "/tokens"} {
		o := newOrganisation(0, "invented")
		p := heldByAnna(o)[kind]
		s := before(t, o, func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, suffix) {
				return false
			}
			fmt.Fprintf(w, `{"kind":"admin#directory#invented","items":[{"id":%s,"role":4711,"clientId":4711,"roleId":4711}]}`, anna)
			return true
		})
		o.SetMember(fake.GoogleMember{Group: finance, Member: staff, Type: "GROUP"})
		o.SetMember(fake.GoogleMember{Group: staff, Member: anna})
		o.Hide(http.MethodGet, "/admin/directory/v1/groups/"+finance+"/members/"+anna, 1)
		o.Hide(http.MethodGet, "/admin/directory/v1/users/"+anna+"/tokens/"+mailMagic, 1)
		if state, err := s.Read(t.Context(), p); err == nil {
			t.Errorf("%s: got %v, want an error", kind, state)
		}
	}
}

// What is not there of things that are is missing; what vanished with its own is not.
func TestVanishedParts(t *testing.T) {
	const directory = "/admin/directory/v1/"
	for kind, path := range map[string]struct{ parent, part string }{
		"memberships": {"groups/", "/members"}, "apps": {"users/", "/tokens"}, "tokens": {"users/", "/asps"},
	} {
		things := []string{anna, ben, carl}
		if kind == "memberships" {
			things = []string{staff, finance}
		}
		// hidden is how many answers to each part and to the thing itself are that it is not there.
		for _, test := range []struct {
			name         string
			all          bool
			part, parent int
			missing      int
		}{
			{"one, for a moment", false, 1, 0, 0},
			{"one, for good", false, 9, 0, 1},
			{"one, and the thing for a moment", false, 1, 1, 0},
			{"one, and the thing", false, 9, 9, 0},
			{"all, for good", true, 9, 0, 0},
			{"all, and the things", true, 9, 9, 1},
		} {
			o := newOrganisation(0, "invented")
			s := at(t, o)
			for i, id := range things {
				if i == 0 || test.all {
					o.Hide(http.MethodGet, directory+path.parent+id+path.part, test.part)
					o.Hide(http.MethodGet, directory+path.parent+id, test.parent)
				}
			}
			seen, err := s.Observe(t.Context(), kind)
			if test.all && test.parent == 0 {
				// Nothing at all could be read.
				if err == nil {
					t.Errorf("%s, %s: got missing %q, want an error", kind, test.name, seen.GetMissing())
				}
				continue
			}
			if err != nil || len(seen.GetMissing()) != test.missing {
				t.Errorf("%s, %s: got missing %q, %v, want %d", kind, test.name, seen.GetMissing(), err, test.missing)
			}
		}
	}
}
