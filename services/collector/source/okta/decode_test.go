// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// corpus is a folder of real records that a developer may have beside the repository.
const corpus = "../../../../../shared/corpus/okta"

func decoder() sourcetest.DecoderCase {
	return sourcetest.DecoderCase{
		Source:  source,
		Decode:  Decode,
		Records: "testdata/records.jsonl",
		Golden:  "testdata/events.golden.jsonl",
		Typical: 20,
		Seeds:   []string{`{"target":[{"changeDetails":{"from":[1],"to":"x"}},{"type":"Entity","id":"\ud800"}]}`},
		Corpus:  corpus,
		Foreign: []string{"logout"},
	}
}

func TestDecode(t *testing.T) { sourcetest.Decoder(t, decoder()) }

func FuzzDecode(f *testing.F) { sourcetest.FuzzDecoder(f, decoder()) }

func BenchmarkDecode(b *testing.B) { sourcetest.BenchmarkDecoder(b, decoder()) }

func decodeOne(t testing.TB, record []byte) *curfewv1.Event {
	t.Helper()
	events, err := Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 {
		t.Fatalf("got %d events, want 1", len(events))
	}
	return events[0]
}

func TestDecodeID(t *testing.T) {
	same := [][2]string{
		{`{"uuid":"u1","eventType":"a"}`, `{"uuid":" u1 ","eventType":"b"}`},
		{`{"eventType":"a"}`, "{ \"eventType\" :\t\"a\" }"},
	}
	for _, pair := range same {
		if a, b := decodeOne(t, []byte(pair[0])).GetId(), decodeOne(t, []byte(pair[1])).GetId(); a != b {
			t.Errorf("%s and %s: got ids %s and %s, want one", pair[0], pair[1], a, b)
		}
	}
	long := strings.Repeat("u", 10_000)
	records := []string{
		`{"uuid":"u1"}`, `{"uuid":"u2"}`, `{}`, `{"uuid":""}`, `{"uuid":" "}`, `{"uuid":1}`, `{"eventType":"a"}`, `{"eventType":"a","other":1}`,
		`{"uuid":"` + long + `1"}`, `{"uuid":"` + long + `2"}`, `{"uuid":"u\u00001"}`,
	}
	seen := map[string]string{}
	for _, record := range records {
		id := decodeOne(t, []byte(record)).GetId()
		if other, twice := seen[id]; twice {
			t.Errorf("%.40s and %.40s: got one id %s, want two", other, record, id)
		}
		seen[id] = record
	}
	if got := decodeOne(t, []byte(records[0])).GetId(); got != "okta:u1" {
		t.Errorf("got id %s, want okta:u1", got)
	}
}

// A path is judged and kept for years: an e-mail has no place in it where Okta gives an id.

func TestNoEmailInPath(t *testing.T) {
	for _, targetType := range []string{"User", "AppUser", "UserGroup", "AppInstance", "Something New", ""} {
		record := fake.OktaEvent{Type: "user.lifecycle.create", Targets: []fake.OktaEntity{{
			ID: "00uInvented", Type: targetType, AlternateID: "anna@example.com", DisplayName: "anna@example.com",
		}}}.JSON()
		if got := decodeOne(t, record).GetResource().GetPath(); got == "" || strings.Contains(got, "@") {
			t.Errorf("target of type %q: got path %q, want one by id", targetType, got)
		}
	}
}

func TestDecodeIsBounded(t *testing.T) {
	changes, scopes := map[string]any{}, make([]string, 0, 1500)
	for i := range 1500 {
		changes[fmt.Sprintf("field%04d", i)] = i
		scopes = append(scopes, fmt.Sprintf("scope%04d", i))
	}
	e := decodeOne(t, fake.OktaEvent{
		Type: "app.oauth2.as.consent.grant", UserAgent: strings.Repeat("x", 100_000),
		Targets: []fake.OktaEntity{{ID: "0oaInvented", Type: "AppInstance", From: map[string]any{}, To: changes}},
		Debug:   map[string]string{"scopes": strings.Join(scopes, " ")},
	}.JSON())
	if len(e.GetChanges()) != 1000 || len(e.GetApp().GetScopes()) != 1000 || len(e.GetContext().GetUserAgent()) != 8<<10 {
		t.Errorf("got %d changes, %d scopes, a user agent of %d bytes, want 1000, 1000, 8192",
			len(e.GetChanges()), len(e.GetApp().GetScopes()), len(e.GetContext().GetUserAgent()))
	}
	want := []string{
		"scopes: more than 1000; the rest stands in the record",
		"client.userAgent: longer than a field may be; cut",
		"changeDetails: more than 1000 changes; the rest stands in the record",
	}
	if diff := cmp.Diff(want, e.GetOddities()); diff != "" {
		t.Errorf("oddities (-want +got):\n%s", diff)
	}
}

// The builders of records for stories give what a decoder reads.
func TestDecodeStory(t *testing.T) {
	anna, ben := fake.OktaStaff("anna.berg"), fake.OktaStaff("ben.okafor")
	app, group := fake.OktaApp{ID: "0oaReports", Label: "Reports"}, fake.OktaGroup{ID: "00gPayments", Name: "Payments"}
	for want, e := range map[string]fake.OktaEvent{
		"user.session.start by Anna Berg on  through ":                                     fake.OktaSignsIn(anna, "OKTA_VERIFY_PUSH"),
		"user.authentication.sso by Anna Berg on app/0oaReports through ":                  fake.OktaOpens(anna, app),
		"group.user_membership.add by Ben Okafor on group/00gPayments through ":            fake.OktaPutsInto(ben, anna, group),
		"user.account.privilege.grant by Ben Okafor on user/" + anna.ID + " through ":      fake.OktaMakesAdmin(ben, anna, "Super administrator"),
		"app.oauth2.as.consent.grant by Anna Berg on app/0oaReports through Reports [a b]": fake.OktaConsents(anna, app, "a", "b"),
		"system.api_token.create by Ben Okafor on token/00T1 through ":                     fake.OktaMakesToken(ben, fake.OktaToken{ID: "00T1", Name: "script"}),
	} {
		got := decodeOne(t, e.JSON())
		through := ""
		if got.GetApp() != nil {
			through = fmt.Sprint(got.GetApp().GetName(), " ", got.GetApp().GetScopes())
		}
		if text := fmt.Sprintf("%s by %s on %s through %s", got.GetAction(), got.GetActor().GetName(), got.GetResource().GetPath(), through); text != want {
			t.Errorf("got %q, want %q", text, want)
		}
		if got.GetActor().GetEmail() != strings.ToLower(strings.ReplaceAll(got.GetActor().GetName(), " ", "."))+"@linden-lark.example.com" {
			t.Errorf("got the address %q", got.GetActor().GetEmail())
		}
	}
}
