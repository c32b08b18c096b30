// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/inventory"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
	"github.com/curfewhq/curfew/services/evaluator/workbench"
)

// suggested is a policy, the judge by it, and what was recorded.
type suggested struct {
	*testing.T
	files  map[string][]byte
	judge  *judge.Judge
	bench  workbench.Bench
	known  *temporal.Known
	record []recorded
}

// recorded is a decision and when its event happened.
type recorded struct {
	decision *curfewv1.Decision
	at       time.Time
}

// then is when everything happens; a role can be held until it, and from it on.
var then = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func newSuggested(t *testing.T, rows, people string, known *temporal.Known) *suggested {
	t.Helper()
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := &suggested{T: t, files: map[string][]byte{"policy.csv": []byte(rows)}, bench: workbench.Bench{Catalog: cat, Tenant: "main", Now: then.Add(time.Hour)}, known: known}
	if people != "" {
		s.files["identities.yaml"] = []byte(people)
	}
	s.judge = s.judgeWith("")
	return s
}

// judgeWith is a judge by the policy with more rows.
func (s *suggested) judgeWith(rows string) *judge.Judge {
	s.Helper()
	files := maps.Clone(s.files)
	files["policy.csv"] = append(slices.Clone(files["policy.csv"]), rows...)
	policy, err := judge.NewPolicy(files, s.bench.Catalog)
	if err != nil {
		s.Fatal(err)
	}
	return &judge.Judge{Tenant: "main", Known: s.known, Policies: func(time.Time) (*judge.Policy, time.Time) { return policy, time.Time{} }}
}

// verdict is what the judge's policy makes of all classes together.
func verdict(t *testing.T, j *judge.Judge, d *curfewv1.Decision, at time.Time) curfewv1.Verdict {
	t.Helper()
	v := curfewv1.Verdict_VERDICT_ALLOWED
	for _, class := range d.GetClasses() {
		asked, err := j.Ask(d.GetSubject(), d.GetObject(), class, d.GetAct(), at)
		switch {
		case err != nil:
			t.Fatal(err)
		case asked.Open:
			return curfewv1.Verdict_VERDICT_UNKNOWN
		case !asked.Allowed:
			v = curfewv1.Verdict_VERDICT_VIOLATION
		}
	}
	return v
}

// did records that somebody did something some time after then.
func (s *suggested) did(who, act, source, classes string, after time.Duration) {
	s.Helper()
	d := &curfewv1.Decision{Subject: who, Act: act, Source: source, Object: source + "/app/1", Classes: strings.Fields(classes)}
	d.Verdict = verdict(s.T, s.judge, d, then.Add(after))
	s.record = append(s.record, recorded{d, then.Add(after)})
}

// answer is the suggestion for the record, which must not hang on its order.
func (s *suggested) answer(people ...string) *curfewv1.SuggestPolicyResponse {
	s.Helper()
	ask := func(record []recorded) *curfewv1.SuggestPolicyResponse {
		suggestion, err := s.bench.Suggest(s.judge, people)
		if err != nil {
			s.Fatal(err)
		}
		for _, r := range record {
			suggestion.Add(r.decision, r.at)
		}
		answer, err := suggestion.Answer()
		if err != nil {
			s.Fatal(err)
		}
		return answer
	}
	answer := ask(s.record)
	other := slices.Clone(s.record)
	slices.Reverse(other)
	if !proto.Equal(answer, ask(other)) {
		s.Fatal("the order of the decisions must not matter")
	}
	return answer
}

const suggestRows = `p, role:anyone, *, *, level:low, *, allow
p, role:unknown, *, *, level:high, *, deny
p, role:legal, *, *, pii.hr, read, allow
p, role:anyone, *, *, secret, read, deny
p, service:admin, *, curfew/api/*, admin, *, allow
g, person:a, role:support
g, person:b, role:support
g, person:c, role:support
g, person:d, role:finance
g, person:e, role:finance
g, person:b, role:lead
g, person:f, role:past, _, 2026-11-02T09:00:00Z
`

const suggestPeople = "people: [{id: a}, {id: b}, {id: c}, {id: d}, {id: e}, {id: f}]\n"

func TestSuggest(t *testing.T) {
	for _, c := range []struct {
		name string
		acts string // who act classes; "x" behind the name: an hour before
		want string // rows: decisions, people, holders
		sums [2]uint64
	}{
		{"a whole role", "person:a read order, person:b read order, person:c read order, person:a read order", "role:support okta/* order read: 4 of person:a person:b person:c, 3", [2]uint64{4, 0}},
		{"half a role", "person:d read order", "person:d okta/* order read: 1 of person:d, 1", [2]uint64{1, 0}},
		{"a role of one", "person:b read order", "role:lead okta/* order read: 1 of person:b, 1", [2]uint64{1, 0}},
		{"a role and somebody else", "person:a read order, person:b read order, person:c read order, person:d read order", "role:support okta/* order read: 3 of person:a person:b person:c, 3 | person:d okta/* order read: 1 of person:d, 1", [2]uint64{4, 0}},
		{"a role that was held no more", "person:f read order", "person:f okta/* order read: 1 of person:f, 1", [2]uint64{1, 0}},
		{"a role that was held once of twice", "person:fx read order, person:f read order", "person:f okta/* order read: 2 of person:f, 1", [2]uint64{2, 0}},
		{"several classes at once", "person:d read chd pii.contact", "person:d okta/* chd read: 1 of person:d, 1 | person:d okta/* pii.contact read: 1 of person:d, 1", [2]uint64{1, 0}},
		{"nobody known", "unknown:okta/9 read order", "", [2]uint64{0, 1}},
		{"a person whom nobody lists", "person:z read order", "", [2]uint64{0, 1}},
		{"a deny", "person:a read secret, person:b read secret", "# policy.csv:4 denies read of secret at okta, and no row is suggested around that: 2 of person:a person:b, 0", [2]uint64{0, 2}},
		{"what a deny spoils needs nothing else", "person:a read secret chd", "# policy.csv:4 denies read of secret at okta, and no row is suggested around that: 1 of person:a, 0", [2]uint64{0, 1}},
		{"an app", "app:okta/x read order", "app:okta/x okta/* order read: 1 of app:okta/x, 1", [2]uint64{1, 0}},
		{"nothing wrong", "person:a read internal", "", [2]uint64{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSuggested(t, suggestRows, suggestPeople, nil)
			for _, act := range strings.Split(c.acts, ", ") {
				words := strings.SplitN(act, " ", 3)
				who, before := strings.CutSuffix(words[0], "x")
				after := time.Minute
				if before && strings.HasPrefix(who, "person:") {
					after = -time.Hour
				} else {
					who = words[0]
				}
				s.did(who, words[1], "okta", words[2], after)
			}
			answer := s.answer()
			var rows []string
			for _, row := range answer.GetRows() {
				text := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(row.GetText(), "p, "), ", allow"), ", *,", "")
				if !strings.HasPrefix(text, "#") {
					text = strings.ReplaceAll(text, ",", "")
				}
				rows = append(rows, fmt.Sprintf("%s: %d of %s, %d", text, row.GetDecisions(), strings.Join(row.GetPeople(), " "), row.GetHolders()))
			}
			if got := strings.Join(rows, " | "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := [2]uint64{answer.GetExplained(), answer.GetUnexplained()}; got != c.sums || answer.GetDecisions() != uint64(len(s.record)) {
				t.Errorf("got %v explained and not, %d decisions, want %v, %d", got, answer.GetDecisions(), c.sums, len(s.record))
			}
		})
	}
}

// The rows and links that no decision needed; not the denies, and not what opens Curfew's own API.
func TestUnused(t *testing.T) {
	s := newSuggested(t, suggestRows, suggestPeople, nil)
	s.did("person:a", "read", "okta", "internal", 0)
	s.did("person:a", "read", "okta", "secret", 0)
	var lines []uint32
	for _, row := range s.answer().GetUnused() {
		lines = append(lines, row.GetLine())
	}
	if want := []uint32{3, 6, 7, 8, 9, 10, 11, 12}; !slices.Equal(lines, want) {
		t.Errorf("got lines %v, want %v", lines, want)
	}
}

// Children become their parent where all are there.
func TestSuggestFoldsClasses(t *testing.T) {
	s := newSuggested(t, suggestRows, suggestPeople, nil)
	policy, _ := s.judge.Policies(then)
	children := 0
	for _, class := range policy.Catalog().Classes() {
		if slices.Contains(class.Parents, "payment") {
			children++
			s.did("person:d", "read", "okta", class.ID, 0)
		}
	}
	answer := s.answer()
	if len(answer.GetRows()) != 1 || answer.GetRows()[0].GetText() != "p, person:d, *, okta/*, payment, read, allow" || children < 2 || answer.GetRows()[0].GetDecisions() != uint64(children) {
		t.Errorf("got %v, want one row of payment for its %d children", answer.GetRows(), children)
	}
	s.record = s.record[1:]
	if rows := s.answer().GetRows(); len(rows) != children-1 {
		t.Errorf("without one child: got %v, want a row for each", rows)
	}
	// An only child is no reason to give its parent.
	s = newSuggested(t, suggestRows, suggestPeople, nil)
	s.files["classes.yaml"] = []byte("classes: [{id: top, sensitivity: 3}, {id: only, sensitivity: 3, parents: [top]}]\n")
	s.judge = s.judgeWith("")
	s.did("person:d", "read", "okta", "only", 0)
	if rows := s.answer().GetRows(); len(rows) != 1 || rows[0].GetText() != "p, person:d, *, okta/*, only, read, allow" {
		t.Errorf("an only child: got %v, want a row for it", rows)
	}
}

// readings is what is known of Okta's people and groups, read once at a time.
func readings(t *testing.T, at time.Time, groups map[string][]string) *temporal.Known {
	t.Helper()
	fold := temporal.NewFold()
	people, members := &curfewv1.Inventory{}, &curfewv1.Inventory{}
	for group, ids := range groups {
		for _, id := range ids {
			people.Entries = append(people.Entries, &curfewv1.Entry{Key: id, Thing: &curfewv1.Entry_Account{Account: &curfewv1.Account{Id: id}}})
			members.Entries = append(members.Entries, &curfewv1.Entry{Key: group + id, Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{Group: group, Member: id, MemberType: "account"}}})
		}
	}
	for kind, seen := range map[string]*curfewv1.Inventory{"people": people, "memberships": members} {
		state := new(inventory.State)
		record := &curfewv1.Inventory{Source: "okta", Kind: kind, Began: timestamppb.New(at), Ended: timestamppb.New(at), Changes: state.Observe(seen)}
		record.Count, record.Digest, record.Object = uint64(state.Len()), state.Digest(), kind
		content, err := state.Object()
		if err != nil {
			t.Fatal(err)
		}
		record.Changes = nil
		if err := fold.Inventory(record, func(string) ([]byte, error) { return content, nil }); err != nil {
			t.Fatal(err)
		}
	}
	return fold.Known()
}

// A group stands for its members, as far as it was known all the time; and those who have not acted count among them.
func TestSuggestGroups(t *testing.T) {
	const directory = "directory: okta\npeople: [{id: a, accounts: {okta: [00ua]}}, {id: b, accounts: {okta: [00ub]}}]\n"
	for _, c := range []struct {
		name   string
		read   time.Duration // when the groups were, after then
		before bool          // somebody else acted before everybody else
		others []string      // in the group, besides a and b
		want   string
	}{
		{"all of a group", -time.Hour, false, nil, "group:okta/00g1 of 2"},
		{"two of six", -time.Hour, false, []string{"00u1", "00u2", "00u3", "00u4"}, "person:a of 1 person:b of 1"},
		{"known too late", time.Minute, false, nil, "person:a of 1 person:b of 1"},
		{"known too late for somebody else", -time.Hour, true, nil, "person:a of 1 person:b of 1 app:slack/x of 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			known := readings(t, then.Add(c.read), map[string][]string{"00g1": append([]string{"00ua", "00ub"}, c.others...)})
			s := newSuggested(t, suggestRows[:strings.Index(suggestRows, "g, ")], directory, known)
			if c.before {
				s.did("app:slack/x", "read", "slack", "order", -2*time.Hour)
			}
			for _, after := range []time.Duration{0, 2 * time.Minute} {
				s.did("person:a", "read", "slack", "order", after)
				s.did("person:b", "read", "slack", "order", after)
			}
			var people []string
			for _, id := range c.others {
				people = append(people, s.judge.Owner(temporal.Account("okta", id), then.Add(time.Hour)))
			}
			var got []string
			for _, row := range s.answer(people...).GetRows() {
				got = append(got, fmt.Sprintf("%s of %d", strings.Split(row.GetText(), ", ")[1], row.GetHolders()))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The rows proposed allow what they are said to, and turn no other verdict.
func TestSuggestedRowsDoWhatTheySay(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		pick := func(from ...string) string { return from[random.IntN(len(from))] }
		rows := suggestRows
		for range random.IntN(6) {
			row := fmt.Sprintf("g, person:%s, role:%s", pick("a", "b", "c", "d", "e", "f"), pick("one", "two", "three"))
			row += pick("", ", _, 2026-11-02T09:00:00Z", ", 2026-11-02T09:00:00Z, _") + "\n"
			if !strings.Contains(rows, row) {
				rows += row
			}
		}
		s := newSuggested(t, rows, suggestPeople, nil)
		for range 20 + random.IntN(100) {
			classes := pick("order", "pii.contact", "finance", "internal", "pii.hr", "secret", "payment")
			if random.IntN(3) == 0 {
				classes += pick(" chd", " code")
			}
			s.did(pick("person:a", "person:b", "person:c", "person:d", "person:e", "person:f", "unknown:okta/1", "app:okta/x"), pick("read", "export"), pick("okta", "slack"), classes, time.Duration(random.IntN(3)-1)*time.Minute)
		}
		answer := s.answer()
		more := ""
		for _, row := range answer.GetRows() {
			more += row.GetText() + "\n"
		}
		after := s.judgeWith(more)
		turned := uint64(0)
		for _, r := range s.record {
			is := verdict(t, after, r.decision, r.at)
			switch {
			case is == r.decision.GetVerdict():
			case is == curfewv1.Verdict_VERDICT_ALLOWED && r.decision.GetVerdict() == curfewv1.Verdict_VERDICT_VIOLATION:
				turned++
			default:
				t.Fatalf("seed %d: %v became %v by\n%s", seed, r.decision, is, more)
			}
		}
		if turned != answer.GetExplained() {
			t.Fatalf("seed %d: %d turned, %d were said to, by\n%s", seed, turned, answer.GetExplained(), more)
		}
		if seed%6 != 0 {
			continue
		}
		// Each row is needed: without it something is not allowed that was to be.
		for i := range answer.GetRows() {
			fewer := ""
			for k, row := range answer.GetRows() {
				if k != i {
					fewer += row.GetText() + "\n"
				}
			}
			if strings.HasPrefix(answer.GetRows()[i].GetText(), "#") {
				continue
			}
			without, still := s.judgeWith(fewer), uint64(0)
			for _, r := range s.record {
				if verdict(t, without, r.decision, r.at) != r.decision.GetVerdict() {
					still++
				}
			}
			if still == turned {
				t.Fatalf("seed %d: %q is not needed among\n%s", seed, answer.GetRows()[i].GetText(), more)
			}
		}
	}
}
