// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// corpus is a folder of real records that a developer may have beside the repository.
const corpus = "../../../../../shared/corpus/slack"

// secrets stand in the records, and may stand in no event.
var secrets = []string{
	"invented-verification-token", "invented-challenge", "invented-bot-access-token", "invented-action-token", "invented-trigger-id",
	"invented-s3cret-key",
}

func decoder() sourcetest.DecoderCase {
	return sourcetest.DecoderCase{
		Source:  source,
		Decode:  Decode,
		Records: "testdata/records.jsonl",
		Golden:  "testdata/records.golden.jsonl",
		Typical: 20,
		Secrets: secrets,
		Seeds: []string{
			`{"entity":{"type":"\ud800","\ud800":{"id":[1]}},"details":{"new_scopes":{"a":1},"new_value":[[]]},"actor":[{}]}`,
			`{"change_type":1,"scope":{}}`, `{"date_last":1e400,"count":-1}`, `{"event":{"type":"message","subtype":[]},"type":7}`,
		},
		Corpus: corpus,
	}
}

func eventDecoder() sourcetest.DecoderCase {
	return sourcetest.DecoderCase{
		Source:  source,
		Decode:  DecodeEvent,
		Records: "testdata/events.jsonl",
		Golden:  "testdata/events.golden.jsonl",
		Typical: 15,
		Secrets: secrets,
		Seeds:   []string{`{"type":"message","user":{"id":{},"profile":[]},"channel":["\ud800"],"message":1,"tokens":"x"}`},
		Corpus:  corpus + "_events",
	}
}

func TestDecode(t *testing.T) { sourcetest.Decoder(t, decoder()) }

func FuzzDecode(f *testing.F) { sourcetest.FuzzDecoder(f, decoder()) }

func BenchmarkDecode(b *testing.B) { sourcetest.BenchmarkDecoder(b, decoder()) }

func TestDecodeEvent(t *testing.T) { sourcetest.Decoder(t, eventDecoder()) }

func FuzzDecodeEvent(f *testing.F) { sourcetest.FuzzDecoder(f, eventDecoder()) }

func BenchmarkDecodeEvent(b *testing.B) { sourcetest.BenchmarkDecoder(b, eventDecoder()) }

func decodeOne(t testing.TB, record []byte) *curfewv1.Event {
	t.Helper()
	events, err := Decode(record)
	if err != nil || len(events) != 1 {
		t.Fatalf("decode %.200s: got %d events, %v, want one", record, len(events), err)
	}
	if err := event.Validate(events[0]); err != nil {
		t.Errorf("decode %.200s: not a valid event: %v", record, err)
	}
	return events[0]
}

func TestDecodeID(t *testing.T) {
	same := [][2]string{
		{`{"id":"u1","action":"a"}`, `{"id":" u1 ","action":"b"}`},
		{`{"action":"a","other":1}`, "{ \"other\": 1,\"action\" :\t\"a\" }"},
		{`{"type":"event_callback","event_id":"Ev1","event":{"type":"a"}}`, `{"type":"event_callback","event_id":"Ev1","event":{"type":"b"}}`},
		// Names are shown as they are today.
		{`{"app_id":"A1","change_type":"added","date":"1","user_name":"anna","app_type":"Polls"}`, `{"change_type":"added","date":"1","app_id":"A1","user_name":"anna.b","app_type":"Polls 2"}`},
	}
	for _, pair := range same {
		if a, b := decodeOne(t, []byte(pair[0])).GetId(), decodeOne(t, []byte(pair[1])).GetId(); a != b {
			t.Errorf("%s and %s: got ids %s and %s, want one", pair[0], pair[1], a, b)
		}
	}
	long := strings.Repeat("u", 10_000)
	records := []string{
		`{"id":"u1"}`, `{"id":"u2"}`, `{}`, `{"id":[]}`, `{"id":"","x":1}`, `{"action":"a"}`, `{"action":"a","other":1}`, `{"id":"` + long + `1"}`,
		`{"id":"` + long + `2"}`, `{"id":"u\u00001"}`,
		`{"app_id":"A1","change_type":"added","date":"1"}`, `{"app_id":"A1","change_type":"added","date":"2"}`,
		`{"app_id":"A1","change_type":"removed","date":"1"}`, `{"app_id":"A2","change_type":"added","date":"1"}`,
		`{"change_type":"added","date":"1","app_type":"Polls"}`, `{"change_type":"added","date":"1","app_type":"Notes"}`,
		`{"type":"event_callback","event_id":"Ev1","event":{}}`, `{"type":"event_callback","event_id":"Ev2","event":{}}`,
		`{"type":"event_callback","event":{"type":"a"}}`, `{"type":"event_callback","event":{"type":"b"}}`,
	}
	seen := map[string]string{}
	for _, record := range records {
		id := decodeOne(t, []byte(record)).GetId()
		if other, twice := seen[id]; twice {
			t.Errorf("%.60s and %.60s: got one id %s, want two", other, record, id)
		}
		seen[id] = record
	}
	if got := decodeOne(t, []byte(records[0])).GetId(); got != "slack:u1" {
		t.Errorf("got id %s, want slack:u1", got)
	}
}

// A sum that grows is seen again under the same beginning of its id, another sum under another.
func TestAccessThatGrows(t *testing.T) {
	id := func(visit fake.SlackLogin) (sum, rest string) {
		e := decodeOne(t, visit.JSON())
		sum, rest, _ = strings.Cut(strings.TrimPrefix(e.GetId(), "slack:"), ":")
		return sum, rest
	}
	first := fake.SlackLogin{Count: 1}
	grown := fake.SlackLogin{Count: 2, Last: fake.SlackLogin{}.Last.AddDate(2025, 3, 1)}
	sum, rest := id(first)
	if again, same := id(first); again != sum || same != rest {
		t.Errorf("the same sum: got %s and %s, want one id", again, same)
	}
	if again, more := id(grown); again != sum || more == rest {
		t.Errorf("a sum that has grown: got %s:%s, want %s and another end than %s", again, more, sum, rest)
	}
	for name, other := range map[string]fake.SlackLogin{
		"another account": {User: fake.SlackPerson("max.moor")}, "another address": {IP: "192.0.2.99"}, "another client": {UserAgent: "Other/1"},
	} {
		if again, _ := id(other); again == sum {
			t.Errorf("%s: got the same sum, want another", name)
		}
	}
	e := decodeOne(t, grown.JSON())
	if change := e.GetChanges()[0]; change.GetField() != "count" || change.GetAfter() != "2" || !e.GetTime().AsTime().Equal(grown.Last) {
		t.Errorf("got %v at %v, want the count and the time of the newest access", change, e.GetTime().AsTime())
	}
}

// by is somebody as details name who put in or took out another.
func by(id string) map[string]any {
	return map[string]any{"type": "user", "user": map[string]any{"id": id, "name": "root", "email": "root@example.com"}}
}

// Who puts somebody in or takes them out acts, and not who comes or goes.
func TestActorOfMemberships(t *testing.T) {
	anna := fake.SlackPerson("anna.berg")
	type fields = map[string]any
	root := "W0ROOT root root@example.com"
	self := anna.ID + " " + anna.Name + " " + anna.Email
	entities := map[string]fields{"usergroup": {"id": "S0SUPPORT"}, "channel": {"id": "C0SHOP", "privacy": "public"}}
	for name, test := range map[string]struct {
		action, kind       string
		details            fields
		actor, come, leave string
	}{
		"put into a group":           {"user_added_to_usergroup", "usergroup", fields{"type": "INVITED", "inviter": by("W0ROOT")}, root, anna.ID, ""},
		"taken out of a group":       {"user_removed_from_usergroup", "usergroup", fields{"type": "KICKED", "kicker": by("W0ROOT")}, root, "", anna.ID},
		"invited":                    {"user_channel_join", "channel", fields{"type": "INVITED", "inviter": by("W0ROOT")}, root, anna.ID, ""},
		"a guest taken out":          {"guest_channel_leave", "channel", fields{"type": "KICKED", "kicker": by("W0ROOT")}, root, "", anna.ID},
		"by an id alone":             {"user_channel_join", "channel", fields{"inviter": "W0ROOT"}, "W0ROOT  ", anna.ID, ""},
		"joins":                      {"user_channel_join", "channel", fields{"type": "JOINED"}, self, anna.ID, ""},
		"leaves":                     {"user_channel_leave", "channel", nil, self, "", anna.ID},
		"leaves, once invited":       {"user_channel_leave", "channel", fields{"inviter": by("W0ROOT")}, self, "", anna.ID},
		"puts somebody in":           {"user_added_to_usergroup", "usergroup", fields{"target_user_id": "W1"}, self, "W1", ""},
		"puts somebody in, so typed": {"user_added_to_usergroup", "usergroup", fields{"type": "INVITED", "target_user_id": "W1"}, self, "W1", ""},
		"by somebody unnamed":        {"user_added_to_usergroup", "usergroup", fields{"type": "INVITED"}, "  ", anna.ID, ""},
		"out by somebody unnamed":    {"user_channel_leave", "channel", fields{"type": "KICKED", "kicker": fields{"type": "app"}}, "  ", "", anna.ID},
		"invited elsewhere":          {"user_invited", "channel", fields{"inviter": by("W0ROOT")}, self, "", ""},
	} {
		e := decodeOne(t, fake.SlackAudit{Action: test.action, Actor: anna, Kind: test.kind, Entity: entities[test.kind], Details: test.details}.JSON())
		if got := e.GetActor().GetId() + " " + e.GetActor().GetName() + " " + e.GetActor().GetEmail(); got != test.actor || (e.GetActor() == nil) != (len(e.GetOddities()) > 0) {
			t.Errorf("%s: got actor %q, oddities %q, want %q, and an oddity where there is none", name, got, e.GetOddities(), test.actor)
		}
		come, leave := "", ""
		for _, change := range e.GetChanges() {
			if change.GetField() == "user" {
				come, leave = change.GetAfter(), change.GetBefore()
			}
		}
		if come != test.come || leave != test.leave {
			t.Errorf("%s: got %q come, %q leave, want %q, %q", name, come, leave, test.come, test.leave)
		}
	}
	for name, subtype := range map[string]string{"member_joined_channel": "", "message": "channel_join"} {
		e := decodeOne(t, fake.SlackEvent{Type: name, Fields: fields{"subtype": subtype, "user": anna.ID, "channel": "C0SHOP", "inviter": "W0ROOT"}}.JSON())
		if e.GetActor().GetId() != "W0ROOT" || e.GetChanges()[0].GetField() != "user" || e.GetChanges()[0].GetAfter() != anna.ID {
			t.Errorf("%s: got actor %v, changes %v, want W0ROOT and %s as the user", name, e.GetActor(), e.GetChanges(), anna.ID)
		}
	}
}

// The same act has one echo in the log and in the Events API.
func TestEcho(t *testing.T) {
	anna := fake.SlackPerson("anna.berg")
	channel := map[string]any{"id": "C0INVENTED1", "name": "shop", "privacy": "public"}
	app := map[string]any{"id": "A0INVENTED1", "name": "Polls"}
	invited := map[string]any{"type": "INVITED", "inviter": by("W0ROOT")}
	tests := []struct {
		log    []byte
		event  string
		fields map[string]any
		same   bool
	}{
		{fake.SlackAudit{Action: "user_channel_join", Kind: "channel", Entity: channel}.JSON(), "member_joined_channel", map[string]any{"user": anna.ID, "channel": "C0INVENTED1"}, true},
		{fake.SlackAudit{Action: "user_channel_join", Kind: "channel", Entity: channel, Details: invited}.JSON(), "member_joined_channel", map[string]any{"user": anna.ID, "channel": "C0INVENTED1", "inviter": "W0ROOT"}, true},
		{fake.SlackAudit{Action: "user_channel_join", Kind: "channel", Entity: channel, Details: invited}.JSON(), "member_joined_channel", map[string]any{"user": anna.ID, "channel": "C0INVENTED1"}, true},
		{fake.SlackAudit{Action: "user_channel_join", Kind: "channel", Entity: channel, Details: invited}.JSON(), "member_joined_channel", map[string]any{"user": "W1", "channel": "C0INVENTED1", "inviter": "W0ROOT"}, false},
		{fake.SlackAudit{Action: "guest_channel_leave", Kind: "channel", Entity: channel}.JSON(), "member_left_channel", map[string]any{"user": anna.ID, "channel": "C0INVENTED1"}, true},
		{fake.SlackAudit{Action: "public_channel_created", Kind: "channel", Entity: channel}.JSON(), "channel_created", map[string]any{"channel": map[string]any{"id": "C0INVENTED1", "name": "shop", "creator": anna.ID}}, true},
		{fake.SlackAudit{Action: "private_channel_deleted", Kind: "channel", Entity: channel}.JSON(), "group_deleted", map[string]any{"channel": "C0INVENTED1", "actor_id": anna.ID}, true},
		{fake.SlackAudit{Action: "file_uploaded", Kind: "file", Entity: map[string]any{"id": "F1", "name": "x"}}.JSON(), "file_created", map[string]any{"user_id": anna.ID, "file_id": "F1", "file": map[string]any{"id": "F1"}}, true},
		{fake.SlackAudit{Action: "file_public_link_created", Kind: "file", Entity: map[string]any{"id": "F1"}}.JSON(), "file_public", map[string]any{"user_id": anna.ID, "file_id": "F1"}, true},
		{fake.SlackAudit{Action: "app_installed", Kind: "app", Entity: app}.JSON(), "app_installed", map[string]any{"user_id": anna.ID, "app_id": "A0INVENTED1", "app_name": "Polls"}, true},
		{fake.SlackIntegration{AppID: "A0INVENTED1"}.JSON(), "app_installed", map[string]any{"user_id": anna.ID, "app_id": "A0INVENTED1"}, true},
		{fake.SlackIntegration{AppID: "A0INVENTED1", Change: "removed"}.JSON(), "app_uninstalled_team", map[string]any{"user_id": anna.ID, "app_id": "A0INVENTED1"}, true},
		{fake.SlackAudit{Action: "user_channel_join", Kind: "channel", Entity: channel}.JSON(), "member_left_channel", map[string]any{"user": anna.ID, "channel": "C0INVENTED1"}, false},
		{fake.SlackAudit{Action: "user_channel_join", Kind: "channel", Entity: channel}.JSON(), "member_joined_channel", map[string]any{"user": "W1", "channel": "C0INVENTED1"}, false},
		{fake.SlackAudit{Action: "user_channel_join", Kind: "channel", Entity: channel}.JSON(), "member_joined_channel", map[string]any{"user": anna.ID, "channel": "C0INVENTED2"}, false},
	}
	for _, test := range tests {
		polled, heard := decodeOne(t, test.log), decodeOne(t, fake.SlackEvent{Type: test.event, Fields: test.fields}.JSON())
		if polled.GetEcho() == "" || heard.GetEcho() == "" || (polled.GetEcho() == heard.GetEcho()) != test.same {
			t.Errorf("%s and %s: got echoes %q and %q, want one: %v", polled.GetAction(), test.event, polled.GetEcho(), heard.GetEcho(), test.same)
		}
	}
	// Who took somebody out the log alone says.
	kicked := fake.SlackAudit{Action: "user_channel_leave", Kind: "channel", Entity: channel, Details: map[string]any{"type": "KICKED", "kicker": by("W0ROOT")}}.JSON()
	for _, record := range [][]byte{kicked, fake.SlackAudit{}.JSON(), fake.SlackLogin{}.JSON(), fake.SlackEvent{Type: "message"}.JSON(), []byte(`{"action":"app_installed"}`)} {
		if got := decodeOne(t, record).GetEcho(); got != "" {
			t.Errorf("%.100s: got echo %q, want none", record, got)
		}
	}
}

// A path is judged and kept for years: an e-mail has no place in it where Slack gives an id.
func TestNoEmailInPath(t *testing.T) {
	for _, record := range [][]byte{
		fake.SlackAudit{}.JSON(),
		fake.SlackAudit{Kind: "user", Entity: map[string]any{"id": "W1", "email": "a@example.com", "name": "a@example.com"}}.JSON(),
		fake.SlackEvent{Type: "user_change", Fields: map[string]any{"user": map[string]any{"id": "U1", "profile": map[string]any{"email": "a@example.com"}}}}.JSON(),
		fake.SlackEvent{Type: "invite_requested", Fields: map[string]any{"invite_request": map[string]any{"id": "1", "email": "a@example.com"}}}.JSON(),
	} {
		if got := decodeOne(t, record).GetResource().GetPath(); got == "" || strings.Contains(got, "@") {
			t.Errorf("%.120s: got path %q, want one by id", record, got)
		}
	}
}

func TestDecodeIsBounded(t *testing.T) {
	scopes, users := make([]string, 0, 1500), make([]string, 0, 1500)
	for i := range 1500 {
		scopes = append(scopes, fmt.Sprintf("scope%04d", i))
		users = append(users, fmt.Sprintf("U%04d", i)+strings.Repeat("x", 100))
	}
	e := decodeOne(t, fake.SlackAudit{
		Action: "app_scopes_expanded", UserAgent: strings.Repeat("x", 100_000), Kind: "app", Entity: map[string]any{"id": strings.Repeat("A", 20_000)},
		Details: map[string]any{"new_scopes": scopes, "previous_scopes": users},
	}.JSON())
	if len(e.GetApp().GetScopes()) != 1000 || len(e.GetContext().GetUserAgent()) != 8<<10 || len(e.GetChanges()) > 1000 || proto.Size(e) > 256<<10 {
		t.Errorf("got %d scopes, a user agent of %d bytes, %d changes, %d bytes in all", len(e.GetApp().GetScopes()), len(e.GetContext().GetUserAgent()), len(e.GetChanges()), proto.Size(e))
	}
	for _, want := range []string{
		"scopes: more than can be kept; the rest stands in the record", "changes: more than can be kept; the rest stands in the record",
		"context.ua: longer than a field may be; cut", "entity.id: longer than a field may be; cut",
	} {
		if !slices.Contains(e.GetOddities(), want) {
			t.Errorf("got oddities %q, want %q among them", e.GetOddities(), want)
		}
	}
	e = decodeOne(t, fake.SlackEvent{Type: "subteam_members_changed", Fields: map[string]any{"subteam_id": "S1", "added_users": users}}.JSON())
	if len(e.GetChanges()) == 0 || proto.Size(e) > 256<<10 || !slices.Contains(e.GetOddities(), "lists: more than can be kept; the rest stands in the record") {
		t.Errorf("got %d changes, %d bytes, oddities %q", len(e.GetChanges()), proto.Size(e), e.GetOddities())
	}
}
