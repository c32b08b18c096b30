// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"testing"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func TestMeant(t *testing.T) {
	account := func(id, login string, emails ...string) *curfewv1.Entry {
		return &curfewv1.Entry{Thing: &curfewv1.Entry_Account{Account: &curfewv1.Account{Id: id, Login: login, Emails: emails}}}
	}
	group := func(id, name string, aliases ...string) *curfewv1.Entry {
		return &curfewv1.Entry{Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{Id: id, Name: name, Aliases: aliases}}}
	}
	d := directoryOf([]*curfewv1.Entry{
		account("u1", "anna", "anna@example.com", "desk@example.com"), account("u2", "ben", "desk@example.com"), account("u3", "u1"),
		group("g1", "Finance", "finance@example.com", "finance"), group("g2", "Staff", "staff@example.com"), group("g3", "staff"),
	})
	for _, test := range []struct{ kind, in, want string }{
		{"account", "u1", "u1"},
		{"account", "ANNA", "u1"},
		{"account", "Anna@example.com", "u1"},
		{"account", "desk@example.com", `desk@example.com, which means ["u1" "u2"]`},
		{"account", "finance", `finance, which means []`},
		{"group", "Finance@example.com", "g1"},
		{"group", "finance", "g1"},
		{"group", "staff@example.com", "g2"},
		{"group", "Staff", `Staff, which means ["g2" "g3"]`},
		{"group", "u1", `u1, which means []`},
		{"app", "client", "client"},
	} {
		if got := d.meant(test.kind, test.in); got != test.want {
			t.Errorf("%s %s: got %s, want %s", test.kind, test.in, got, test.want)
		}
	}
}
