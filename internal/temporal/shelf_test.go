// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/inventory"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// second is what one unit of a test's time comes to.
const second = int64(time.Second)

func stamp(at int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(at, 0)) }

// library is the object store.
type library map[string][]byte

func (l library) load(name string) ([]byte, error) {
	if content, found := l[name]; found {
		return content, nil
	}
	return nil, fmt.Errorf("object %s is not there", name)
}

// shelf makes records of readings as the collector stores them.
type shelf struct {
	library      library
	source, kind string
	state        inventory.State
	records      int
}

// store makes the record of a reading: by its changes, as an object besides (as now and then) or as an object alone (as
// where the changes are too many).
func (s *shelf) store(t testing.TB, seen *curfewv1.Inventory, object, alone bool) *curfewv1.Inventory {
	t.Helper()
	record := &curfewv1.Inventory{
		Format: 1, Tenant: "main", Source: s.source, Kind: s.kind, Began: seen.GetBegan(), Ended: seen.GetEnded(), Missing: seen.GetMissing(),
	}
	record.Changes = s.state.Observe(seen)
	record.Count, record.Digest = uint64(s.state.Len()), s.state.Digest()
	if s.records++; object || alone || s.records == 1 {
		content, err := s.state.Object()
		if err != nil {
			t.Fatal(err)
		}
		record.Object = fmt.Sprintf("%s/%s/%d", s.source, s.kind, s.records)
		s.library[record.GetObject()] = content
	}
	if alone {
		record.Changes = nil
	}
	return record
}

// whole is a reading of everything.
func whole(began, ended int64, entries ...*curfewv1.Entry) *curfewv1.Inventory {
	return &curfewv1.Inventory{Began: stamp(began), Ended: stamp(ended), Entries: entries}
}

// partial is a reading that could not read everything.
func partial(began, ended int64, entries ...*curfewv1.Entry) *curfewv1.Inventory {
	seen := whole(began, ended, entries...)
	seen.Missing = []string{"a part: refused"}
	return seen
}

func membership(member, group string) *curfewv1.Entry {
	return &curfewv1.Entry{Key: group + "/" + member, Thing: &curfewv1.Entry_Membership{
		Membership: &curfewv1.Membership{Group: group, Member: member, MemberType: "account"},
	}}
}

func assignment(key, holder, role string) *curfewv1.Entry {
	return &curfewv1.Entry{Key: key, Thing: &curfewv1.Entry_Assignment{
		Assignment: &curfewv1.Assignment{Id: key, Role: role, Holder: holder, HolderType: "account"},
	}}
}

func consent(key, app, status string, scopes ...string) *curfewv1.Entry {
	return &curfewv1.Entry{Key: key, Thing: &curfewv1.Entry_App{
		App: &curfewv1.AppAccess{Id: key, App: &curfewv1.App{Id: app, Scopes: scopes}, Status: status},
	}}
}

func account(id, login string, emails ...string) *curfewv1.Entry {
	return &curfewv1.Entry{Key: id, Thing: &curfewv1.Entry_Account{
		Account: &curfewv1.Account{Id: id, Login: login, Emails: emails, Status: "active"},
	}}
}

func group(id, name string) *curfewv1.Entry {
	return &curfewv1.Entry{Key: id, Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{Id: id, Name: name}}}
}

// changed is a copy of an entry with something else in it.
func changed(entry *curfewv1.Entry, change func(*curfewv1.Entry)) *curfewv1.Entry {
	other := proto.CloneOf(entry)
	change(other)
	return other
}

// told is a fact that an event told: that an account was added to a group or taken from it.
func told(event string, at, known int64, sign, holder, held string) *curfewv1.LinkFact {
	return &curfewv1.LinkFact{EventId: event, Time: stamp(at), Known: stamp(known), Change: &curfewv1.LinkChange{
		Kind: "memberships", Holder: holder, HolderType: "account", Held: held, Removed: sign == "-",
	}}
}

func batch(source string, facts ...*curfewv1.LinkFact) *curfewv1.LinkBatch {
	return &curfewv1.LinkBatch{Format: 1, Tenant: "main", Source: source, Feed: "log", Facts: facts}
}

// take gives a fold a record of any stream, as the evaluator does.
func take(t testing.TB, fold *temporal.Fold, from library, record proto.Message) {
	t.Helper()
	switch record := record.(type) {
	case *curfewv1.Inventory:
		if err := fold.Inventory(record, from.load); err != nil {
			fold.Lose(record.GetSource(), record.GetKind())
		}
	case *curfewv1.LinkBatch:
		fold.Told(record)
	case *curfewv1.GrantStep:
		fold.Grant(record)
	default:
		t.Fatalf("a record of no stream: %T", record)
	}
}

// folded is what records come to.
func folded(t testing.TB, from library, records ...proto.Message) *temporal.Fold {
	t.Helper()
	fold := temporal.NewFold()
	for _, record := range records {
		take(t, fold, from, record)
	}
	return fold
}

// dump is everything a relation says, a line a link.
func dump(r *temporal.Relation) string {
	var lines []string
	r.Each(func(holder string, links []temporal.Link) bool {
		for _, l := range links {
			lines = append(lines, fmt.Sprintf("%s > %s dom=%q known %s by %q", holder, short(l), l.Dom, seconds(l.Known), l.Origin))
		}
		return true
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// short is a link as "group:okta/g 10..20?".
func short(l temporal.Link) string {
	text := l.Held + " " + seconds(l.From) + ".." + seconds(l.Until)
	if l.Uncertain {
		text += "?"
	}
	return text
}

func seconds(at int64) string {
	switch {
	case at == temporal.Start || at == temporal.End:
		return ""
	case at%second != 0:
		return fmt.Sprintf("%dns", at)
	default:
		return fmt.Sprint(at / second)
	}
}

// held is what a name holds directly, of the kind that prefix begins, in a line.
func held(fold *temporal.Fold, holder, prefix string) string {
	var words []string
	for _, l := range fold.Relation().Links(holder) {
		if strings.HasPrefix(l.Held, prefix) {
			words = append(words, short(l))
		}
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// interleave is streams as one, each in its own order.
func interleave(random *rand.Rand, streams ...[]proto.Message) []proto.Message {
	var all []proto.Message
	for {
		streams = slices.DeleteFunc(slices.Clone(streams), func(s []proto.Message) bool { return len(s) == 0 })
		if len(streams) == 0 {
			return all
		}
		i := random.IntN(len(streams))
		all, streams[i] = append(all, streams[i][0]), streams[i][1:]
	}
}
