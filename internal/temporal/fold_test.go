// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// seen makes the records of readings of one kind, the first with an object.
func seen(t *testing.T, from library, kind string, readings ...*curfewv1.Inventory) []proto.Message {
	t.Helper()
	s := &shelf{library: from, source: "okta", kind: kind}
	var records []proto.Message
	for _, r := range readings {
		records = append(records, s.store(t, r, false, false))
	}
	return records
}

func TestEventsNameWhomTheyMean(t *testing.T) {
	ann := temporal.Account("okta", "u1")
	for _, test := range []struct {
		name   string
		fact   *curfewv1.LinkFact
		holder string
		want   string
	}{
		{"by id", told("e", 20, 20, "+", "u1", "g1"), ann, "group:okta/g1 20.."},
		{"by login and the group's name", told("e", 20, 20, "+", "ann", "Support"), ann, "group:okta/g1 20.."},
		{"by e-mail in other letters", told("e", 20, 20, "+", "Ann@Shop.example.com", "support"), ann, "group:okta/g1 20.."},
		{"by a login that is another's id", told("e", 20, 20, "+", "u2", "g1"), temporal.Account("okta", "u2"), "group:okta/g1 20.."},
		{"by a name that two have", told("e", 20, 20, "+", "team@shop.example.com", "g1"), "account:okta/team@shop.example.com", "group:okta/g1 20.."},
		{"by a name that nobody has", told("e", 20, 20, "+", "zoe", "g1"), "account:okta/zoe", "group:okta/g1 20.."},
		{"by no name", told("e", 20, 20, "+", "", "g1"), "account:okta/", "group:okta/g1 20.."},
		{"a group that two are called", told("e", 20, 20, "+", "ann", "Twins"), ann, "group:okta/Twins 20.."},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := library{}
			accounts := seen(t, from, "people", whole(5, 6,
				account("u1", "ann", "ann@shop.example.com", "team@shop.example.com"), account("u2", "ben", "ben@shop.example.com", "team@shop.example.com"),
				account("u3", "u2", "u3@shop.example.com"), account("u4", "")))
			groups := seen(t, from, "groups", whole(5, 6, group("g1", "Support"), group("g2", "Twins"), group("g3", "twins"), group("g4", "")))
			events := []proto.Message{batch("okta", test.fact)}
			for seed := range uint64(12) {
				fold := folded(t, from, interleave(rand.New(rand.NewPCG(seed, 6)), accounts, groups, events)...)
				if got := held(fold, test.holder, "group:"); got != test.want {
					t.Errorf("order %d: got %q, want %q", seed, got, test.want)
				}
				// Five addresses, each way round, and three logins, uncertain and then certain; and the fact.
				if got, want := fold.Relation().Len(), (5*2+3)*2+1; got != want {
					t.Errorf("order %d: got %d links in all, want %d:\n%s", seed, got, want, dump(fold.Relation()))
				}
			}
		})
	}
}

// An address that moved means whoever had it when the event happened; while it moved it means nobody.
func TestAddressMoved(t *testing.T) {
	const address = "desk@shop.example.com"
	from := library{}
	accounts := seen(t, from, "people",
		whole(0, 1, account("u1", "ann", address), account("u2", "ben")),
		whole(100, 101, account("u1", "ann"), account("u2", "ben")),
		whole(200, 201, account("u1", "ann"), account("u2", "ben", address)),
		whole(300, 301, account("u1", "ann"), account("u2", "ben", address)))
	events := []proto.Message{batch("okta",
		told("e1", 50, 50, "+", address, "g1"), told("e2", 80, 80, "-", address, "g1"),
		told("e3", 90, 500, "+", address, "g2"), told("e4", 150, 150, "+", address, "g3"), told("e5", 250, 250, "+", address, "g4"))}
	for seed := range uint64(10) {
		fold := folded(t, from, interleave(rand.New(rand.NewPCG(seed, 7)), accounts, events)...)
		for _, test := range []struct{ holder, prefix, want string }{
			{temporal.Account("okta", "u1"), "group:", "group:okta/g1 50..80, group:okta/g2 90.."},
			{temporal.Account("okta", "u2"), "group:", "group:okta/g3 150.., group:okta/g4 250.."},
			{temporal.Account("okta", address), "group:", ""},
			{temporal.Email(address), "account:", "account:okta/u1 ..101?, account:okta/u2 ..1?, account:okta/u2 100..201?, account:okta/u2 201.."},
		} {
			if got := held(fold, test.holder, test.prefix); got != test.want {
				t.Errorf("order %d: %s: got %q, want %q", seed, test.holder, got, test.want)
			}
		}
	}
}

// What holds something through two entries holds it until both are gone.
func TestHeldTwice(t *testing.T) {
	admin := func(key string) *curfewv1.Entry { return assignment(key, "u1", "admin") }
	for _, test := range []struct {
		name, kind, holder string
		readings           []*curfewv1.Inventory
		want               string
	}{
		{"two assignments of one role", "roles", temporal.Account("okta", "u1"), []*curfewv1.Inventory{
			whole(0, 1, admin("a")), whole(10, 11, admin("a"), admin("b")), whole(20, 21, admin("b")), whole(30, 31),
		}, "privilege:okta/admin ..1?, privilege:okta/admin 1..20, privilege:okta/admin 20..31?"},
		{"both gone at once", "roles", temporal.Account("okta", "u1"), []*curfewv1.Inventory{
			whole(0, 1, admin("a"), admin("b")), whole(30, 31),
		}, "privilege:okta/admin ..31?"},
		{"one instead of another", "roles", temporal.Account("okta", "u1"), []*curfewv1.Inventory{
			whole(0, 1, admin("a")), whole(10, 11, admin("b")), whole(20, 21, admin("b")),
		}, "privilege:okta/admin ..1?, privilege:okta/admin 1.."},
		{"two consents of one app", "apps", "app:okta/p", []*curfewv1.Inventory{
			whole(0, 1, consent("c1", "p", "active", "read"), consent("c2", "p", "active", "read", "write")),
			whole(10, 11, consent("c1", "p", "active", "read")), whole(20, 21), whole(30, 31),
		}, "scope:okta/read ..1?, scope:okta/read 1..10, scope:okta/read 10..21?, scope:okta/write ..11?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := library{}
			fold := folded(t, from, seen(t, from, test.kind, test.readings...)...)
			if got := held(fold, test.holder, ""); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatGivesNothing(t *testing.T) {
	pending := func(e *curfewv1.Entry) { e.GetMembership().Pending = true }
	eligible := func(e *curfewv1.Entry) { e.GetAssignment().Pending = true }
	scoped := func(e *curfewv1.Entry) { e.GetAssignment().Scope = "shop/eu" }
	deleted := func(e *curfewv1.Entry) { e.GetAccount().Status = "deleted" }
	mail, role := account("u1", "ann", "ann@shop.example.com"), assignment("a", "u1", "admin")
	for _, test := range []struct {
		name, kind, holder string
		before, after      *curfewv1.Entry
		want               string
	}{
		{"an invitation", "memberships", "account:okta/u1", changed(membership("u1", "g1"), pending), changed(membership("u1", "g1"), pending), ""},
		{"an invitation is accepted", "memberships", "account:okta/u1", changed(membership("u1", "g1"), pending), membership("u1", "g1"),
			"group:okta/g1 ..11?, group:okta/g1 11.."},
		{"a role to be activated", "roles", "account:okta/u1", changed(role, eligible), changed(role, eligible), ""},
		{"a role on something", "roles", "account:okta/u1", role, changed(role, scoped),
			"privilege:okta/admin ..11?, privilege:okta/admin@shop/eu ..11?, privilege:okta/admin@shop/eu 11.."},
		{"an app is suspended", "apps", "app:okta/p", consent("c", "p", "active", "read"), consent("c", "p", "suspended", "read"), "scope:okta/read ..11?"},
		{"an app's scopes change", "apps", "app:okta/p", consent("c", "p", "active", "read", "files"), consent("c", "p", "active", "files", "write"),
			"scope:okta/files ..1?, scope:okta/files 1.., scope:okta/read ..11?, scope:okta/write ..11?, scope:okta/write 11.."},
		{"an account is deleted", "people", "email:ann@shop.example.com", mail, changed(mail, deleted), "account:okta/u1 ..11?"},
		{"a group", "groups", "group:okta/g1", group("g1", "Support"), group("g1", "Help"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := library{}
			fold := folded(t, from, seen(t, from, test.kind, whole(0, 1, test.before), whole(10, 11, test.after))...)
			if got := held(fold, test.holder, ""); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A role on a part of something is not the role called like both.
func TestPrivilegesDoNotCollide(t *testing.T) {
	from := library{}
	scoped := changed(assignment("a", "u1", "x"), func(e *curfewv1.Entry) { e.GetAssignment().Scope = "y" })
	fold := folded(t, from, seen(t, from, "roles", whole(0, 1, scoped, assignment("b", "u2", "x@y")))...)
	one, other := fold.Relation().Links("account:okta/u1"), fold.Relation().Links("account:okta/u2")
	if len(one) == 0 || len(other) == 0 || one[0].Held == other[0].Held {
		t.Errorf("got %v and %v, want two names", one, other)
	}
}

// Whether a reading was stored as an object, as changes or as both: the same is known.
func TestObjectsSayWhatChangesSay(t *testing.T) {
	for seed := range uint64(40) {
		var got []string
		for way := range 3 {
			random := rand.New(rand.NewPCG(seed, 8)) // the same readings each time
			from := library{}
			s := &shelf{library: from, source: "okta", kind: "roles"}
			fold := temporal.NewFold()
			for at := int64(0); at < 300; at += 10 {
				seen := whole(at, at+3)
				for _, key := range []string{"a", "b", "c"} {
					if random.IntN(3) > 0 {
						seen.Entries = append(seen.Entries, assignment(key, pick(random, "u1", "u2"), pick(random, "admin", "reader")))
					}
				}
				if random.IntN(3) == 0 {
					seen.Missing = []string{"a part: refused"}
				}
				take(t, fold, from, s.store(t, seen, way == 1, way == 2 && len(seen.GetMissing()) == 0))
			}
			got = append(got, dump(fold.Relation()))
		}
		if got[0] != got[1] || got[0] != got[2] {
			t.Fatalf("seed %d: changes alone say (-) and objects (+):\n%s\n%s", seed, cmp.Diff(got[0], got[1]), cmp.Diff(got[0], got[2]))
		}
	}
}

// A record that is missing leaves what follows unknown until the next object, which says what changed meanwhile.
func TestLostRecord(t *testing.T) {
	from := library{}
	s := &shelf{library: from, source: "okta", kind: "memberships"}
	x, y, z := membership("u1", "x"), membership("u1", "y"), membership("u1", "z")
	first := s.store(t, whole(0, 1, x, y), true, false)
	s.store(t, whole(10, 11, x, z), false, false) // lost
	behind := s.store(t, whole(20, 21, x, z, membership("u2", "x")), false, false)
	again := s.store(t, whole(30, 31, x, z), false, false)
	mended := s.store(t, whole(40, 41, x, z), true, false)

	fold := folded(t, from, first, behind)
	for range 2 {
		if got := held(fold, "account:okta/u1", ""); got != "group:okta/x ..1?, group:okta/x 1..?, group:okta/y ..1?, group:okta/y 1..?" {
			t.Errorf("behind the gap: got %q, want what was known before, and it is not certain", got)
		}
		if got := fold.Known().Lost("okta", "memberships"); got != 0 {
			t.Errorf("got known until %s, want 0", seconds(got))
		}
		take(t, fold, from, again)
	}
	take(t, fold, from, mended)
	if got, want := held(fold, "account:okta/u1", ""), "group:okta/x ..1?, group:okta/x 1.., group:okta/y ..41?, group:okta/z ..41?, group:okta/z 41.."; got != want {
		t.Errorf("mended: got %q, want %q", got, want)
	}
	if got := fold.Known().Lost("okta", "memberships"); got != temporal.End {
		t.Errorf("mended: got known until %s, want no end", seconds(got))
	}
	if got := held(fold, "account:okta/u2", ""); got != "" {
		t.Errorf("got %q for one whom only left out records show, want nothing", got)
	}
}

// A record that cannot be had makes all that was known a guess from the last whole reading on, also where what it says of
// names decides what events meant; the next object ends that.
func TestLose(t *testing.T) {
	from := library{}
	people := &shelf{library: from, source: "okta", kind: "people"}
	memberships := &shelf{library: from, source: "okta", kind: "memberships"}
	fold := folded(t, from,
		people.store(t, whole(0, 1, account("u1", "")), false, false),
		memberships.store(t, whole(0, 1, membership("u1", "x")), false, false),
		memberships.store(t, whole(10, 11, membership("u1", "x"), membership("u2", "x")), false, false),
		batch("okta", told("e1", 5, 5, "+", "ann", "y")))
	fold.Changed()
	fold.Lose("okta", "memberships")
	if from, ok := fold.Changed(); !ok || from != 10*second {
		t.Errorf("got changed from %s (%t), want 10", seconds(from), ok)
	}
	if got, want := held(fold, "account:okta/u1", ""), "group:okta/x ..1?, group:okta/x 1..10, group:okta/x 10..?"; got != want {
		t.Errorf("lost: got %q, want %q", got, want)
	}
	take(t, fold, from, batch("okta", told("e2", 15, 15, "+", "u3", "x")))
	if got, want := held(fold, "account:okta/u3", ""), "group:okta/x ..1?, group:okta/x 15.."; got != want {
		t.Errorf("told while it is lost: got %q, want %q", got, want)
	}
	fold.Lose("okta", "people")
	take(t, fold, from, people.store(t, whole(20, 21, account("u1", "ann")), true, false))
	if got, want := held(fold, "account:okta/u1", "group:okta/y"), "group:okta/y ..1?, group:okta/y 5..11?"; got != want {
		t.Errorf("named by what came with the object: got %q, want %q", got, want)
	}
	take(t, fold, from, memberships.store(t, whole(20, 21, membership("u1", "x"), membership("u2", "x")), true, false))
	if got, want := held(fold, "account:okta/u1", "group:okta/x"), "group:okta/x ..1?, group:okta/x 1.."; got != want {
		t.Errorf("mended: got %q, want %q", got, want)
	}
	if got := fold.Known().Lost("okta", "memberships"); got != temporal.End {
		t.Errorf("mended: got known until %s, want no end", seconds(got))
	}
	fold.Lose("okta", "roles")
	if since, awaited := fold.Known().Since("okta", "roles"); since != temporal.End || !awaited || fold.Known().Lost("okta", "roles") != temporal.Start {
		t.Errorf("the first record lost: got known since %s (awaited %t), want awaited and not known", seconds(since), awaited)
	}
}

// A record that is missing may leave the digest as it was: by the next one that which it brought is gone again.
func TestLostRecordMadeGood(t *testing.T) {
	from := library{}
	records := seen(t, from, "memberships",
		whole(0, 1, membership("u1", "x")), whole(10, 11, membership("u1", "x"), membership("u1", "y")), whole(20, 21, membership("u1", "x")),
		whole(30, 31, membership("u1", "x"), membership("u1", "y")))
	fold := folded(t, from, records[0], records[2], records[3])
	if got, want := held(fold, "account:okta/u1", ""), "group:okta/x ..1?, group:okta/x 1.., group:okta/y ..1?, group:okta/y 20..31?, group:okta/y 31.."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := fold.Known().Lost("okta", "memberships"); got != temporal.End {
		t.Errorf("got known until %s, want no end", seconds(got))
	}
}

// Behind a gap a digest that fits by chance mends nothing: what came in the records left out is not known.
func TestGapIsMendedByAnObjectAlone(t *testing.T) {
	from := library{}
	s := &shelf{library: from, source: "okta", kind: "memberships"}
	x, y, z := membership("u1", "x"), membership("u1", "y"), membership("u1", "z")
	first := s.store(t, whole(0, 1, x), false, false)
	s.store(t, whole(10, 11, x, y), false, false) // lost
	fold := folded(t, from, first, s.store(t, whole(20, 21, x, y, z), false, false), s.store(t, whole(30, 31, x, z), false, false))
	if got := fold.Known().Lost("okta", "memberships"); got != 0 {
		t.Errorf("got known until %s, want 0", seconds(got))
	}
	take(t, fold, from, s.store(t, whole(40, 41, x, z), true, false))
	if got, want := held(fold, "account:okta/u1", "group:okta/z"), "group:okta/z ..41?, group:okta/z 41.."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The order of records counts, not the clocks of those who wrote them: another collector's may be behind.
func TestClockWentBack(t *testing.T) {
	from := library{}
	records := seen(t, from, "memberships", whole(100, 101), whole(200, 210, membership("u1", "x")), whole(150, 160), whole(300, 301, membership("u1", "x")))
	for n, want := range []string{"", "group:okta/x ..210?, group:okta/x 210..", "group:okta/x ..210?", "group:okta/x ..301?, group:okta/x 301.."} {
		if got := held(folded(t, from, records[:n+1]...), "account:okta/u1", ""); got != want {
			t.Errorf("after %d records: got %q, want %q", n+1, got, want)
		}
	}
}

// An event told what no reading shows: it counts until the reading that belies it, and not after.
func TestReadingBeliesEvent(t *testing.T) {
	from := library{}
	records := seen(t, from, "memberships", whole(0, 1, membership("u1", "in")), whole(100, 101, membership("u1", "in")), whole(200, 201, membership("u1", "in")))
	events := []proto.Message{batch("okta", told("e1", 50, 50, "+", "u1", "out"), told("e2", 60, 60, "-", "u1", "in"))}
	late := []proto.Message{batch("okta", told("e3", 250, 250, "-", "u1", "out"), told("e4", 260, 260, "+", "u1", "in"))}
	for _, test := range []struct {
		name    string
		records []proto.Message
		want    string
	}{
		{"before the next reading", append(records[:1:1], events...), "group:okta/in ..1?, group:okta/in 1..60, group:okta/out ..1?, group:okta/out 50.."},
		{"after it", append(append(records[:1:1], events...), records[1:]...),
			"group:okta/in ..1?, group:okta/in 1..60, group:okta/in 101.., group:okta/in 60..101?, group:okta/out ..1?, group:okta/out 50..101?"},
		{"an end without a beginning, a beginning without an end", append(slices.Clone(records), late...),
			"group:okta/in ..1?, group:okta/in 1..200, group:okta/in 200..260?, group:okta/in 260.., group:okta/out ..1?, group:okta/out 200..250?"},
		{"told late", append(slices.Clone(records), events...),
			"group:okta/in ..1?, group:okta/in 1..60, group:okta/in 101.., group:okta/in 60..101?, group:okta/out ..1?, group:okta/out 50..101?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := held(folded(t, from, test.records...), "account:okta/u1", ""); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Who knows nothing says so.
func TestNothingKnown(t *testing.T) {
	for name, known := range map[string]*temporal.Known{"nil": nil, "empty": temporal.NewFold().Known()} {
		since, awaited := known.Since("okta", "people")
		if links := known.Links("person:ann"); since != temporal.End || awaited || links != nil || known.Lost("okta", "people") != temporal.End {
			t.Errorf("%s: got since %s (awaited %t), %v", name, seconds(since), awaited, links)
		}
		if h := temporal.Hold("person:ann", "", 0, known); h.Len() != 1 || h.From != temporal.Start || h.Until != temporal.End {
			t.Errorf("%s: got %d names over [%d, %d), want the name itself for ever", name, h.Len(), h.From, h.Until)
		}
	}
}

// An object that cannot be got is an error, and changes nothing; got later, it is taken.
func TestObjectNotThere(t *testing.T) {
	from := library{}
	record := seen(t, from, "memberships", whole(0, 1, membership("u1", "x")))[0].(*curfewv1.Inventory)
	fold := temporal.NewFold()
	gone := errors.New("the store is gone")
	for range 2 {
		if err := fold.Inventory(record, func(string) ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
			t.Errorf("got %v, want the store's error", err)
		}
		if since, awaited := fold.Known().Since("okta", "memberships"); since != temporal.End || !awaited {
			t.Errorf("got known since %s (awaited %t), want awaited and not known", seconds(since), awaited)
		}
	}
	take(t, fold, from, record)
	if got, want := held(fold, "account:okta/u1", ""), "group:okta/x ..1?, group:okta/x 1.."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
