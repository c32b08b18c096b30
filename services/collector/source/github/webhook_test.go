// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func webhookDecoder() sourcetest.DecoderCase {
	return sourcetest.DecoderCase{
		Source:  source,
		Decode:  DecodeWebhook,
		Records: "testdata/webhooks.jsonl",
		Golden:  "testdata/webhook_events.golden.jsonl",
		Typical: 5,
		Seeds: []string{
			`{"action":"\ud800","installation":{"permissions":{"a":[]}},"changes":{"name":{"from":[]},"owner":7},"alert":"x","comment":[]}`,
			`{"delivery":null,"event":{},"payload":{"action":"created","team":null,"repository":"x"}}`,
			`{"delivery":"d","event":"push","payload":7}`,
		},
		Secrets: []string{"s3cr3t", "Old text"},
		Corpus:  "../../../../../shared/corpus/github_webhook",
	}
}

func TestDecodeWebhook(t *testing.T) { sourcetest.Decoder(t, webhookDecoder()) }

func FuzzDecodeWebhook(f *testing.F) { sourcetest.FuzzDecoder(f, webhookDecoder()) }

func BenchmarkDecodeWebhook(b *testing.B) { sourcetest.BenchmarkDecoder(b, webhookDecoder()) }

func decodeWebhook(t testing.TB, record string) *curfewv1.Event {
	t.Helper()
	events, err := DecodeWebhook([]byte(record))
	if err != nil || len(events) != 1 {
		t.Fatalf("decode %.200s: got %d events and error %v, want one event", record, len(events), err)
	}
	return events[0]
}

// What Receive stores is a record of the lane, and the lane has one decoder.
func TestDecodeTakesWebhooks(t *testing.T) {
	record := store("d1", "member", []byte(`{"action":"added"}`))
	if want := `{"delivery":"d1","event":"member","payload":{"action":"added"}}`; string(record) != want {
		t.Errorf("got %s, want %s", record, want)
	}
	e := decode(t, string(record))
	if e.GetId() != "github:d1" || e.GetAction() != "member.added" || e.GetTime() != nil {
		t.Errorf("got %v, want the webhook's event, without a time", e)
	}
	if _, err := Decode(store("d1", "member", []byte(`{"action":`))); err == nil {
		t.Error("a body that is no JSON: got no error, want one")
	}
}

// What a payload's type is follows from its fields, as it does from the header.
func TestGuess(t *testing.T) {
	content, err := os.ReadFile("testdata/webhooks.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	guessed := 0
	for line := range strings.Lines(string(content)) {
		told := decodeWebhook(t, line)
		_, payload, isStored := strings.Cut(strings.TrimSuffix(line, "}\n"), `,"payload":`)
		if !isStored || strings.HasPrefix(payload, "[") || strings.HasPrefix(told.GetAction(), "something_new") {
			continue
		}
		if got := decodeWebhook(t, payload).GetAction(); got != told.GetAction() {
			t.Errorf("%.200s: got %s, want %s", payload, got, told.GetAction())
		}
		guessed++
	}
	if guessed < 35 {
		t.Errorf("got %d payloads, want all that are told", guessed)
	}
}

// The same act, told by the audit log and by a webhook, has one echo; another act has another.
func TestEcho(t *testing.T) {
	repo, org := `"repository":{"full_name":"Example/shop","visibility":"public"}`, `"organization":{"login":"example"}`
	team := `"team":{"slug":"support"}`
	seen := map[string]bool{}
	for _, pair := range [][2]string{
		{`"action":"repo.create","repo":"example/shop"`, `"repository.created",` + repo},
		{`"action":"repo.destroy","repo":"example/shop"`, `"repository.deleted",` + repo},
		{`"action":"repo.archived","repo":"example/shop"`, `"repository.archived",` + repo},
		{`"action":"repo.access","repo":"example/shop","visibility":"public"`, `"repository.publicized",` + repo},
		{`"action":"repo.access","repo":"example/shop","visibility":"internal"`, `"repository.privatized","repository":{"full_name":"example/shop","visibility":"internal"}`},
		{`"action":"repo.add_member","repo":"example/shop","user":"Lee"`, `"member.added","member":{"login":"lee"},` + repo},
		{`"action":"repo.remove_member","repo":"example/shop","user":"lee"`, `"member.removed","member":{"login":"lee"},` + repo},
		{`"action":"org.add_member","org":"example","user":"lee"`, `"organization.member_added","membership":{"user":{"login":"lee"}},` + org},
		{`"action":"org.remove_member","org":"example","user":"lee"`, `"organization.member_removed","membership":{"user":{"login":"lee"}},` + org},
		{`"action":"org.invite_member","org":"example","user":"lee"`, `"organization.member_invited","invitation":{"login":"lee"},` + org},
		{`"action":"team.add_member","team":"example/support","user":"lee"`, `"membership.added","member":{"login":"lee"},` + team + "," + org},
		{`"action":"team.create","team":"example/support"`, `"team.created",` + team + "," + org},
		{`"action":"team.add_repository","team":"example/support","repo":"example/shop"`, `"team.added_to_repository",` + team + "," + org + "," + repo},
	} {
		action, rest, _ := strings.Cut(strings.TrimPrefix(pair[1], `"`), `"`)
		kind, action, _ := strings.Cut(action, ".")
		logged := decode(t, "{"+pair[0]+"}").GetEcho()
		sent := decodeWebhook(t, fmt.Sprintf(`{"delivery":"d","event":%q,"payload":{"action":%q%s}}`, kind, action, rest)).GetEcho()
		if logged == "" || logged != sent {
			t.Errorf("%s: got echo %q from the log and %q from the webhook, want one", pair[0], logged, sent)
		}
		if seen[logged] {
			t.Errorf("%s: got echo %q, which is another act's", pair[0], logged)
		}
		seen[logged] = true
	}
	for _, alone := range []string{
		`{"action":"repo.create"}`, `{"action":"git.push","repo":"example/shop"}`, `{"action":"org.invite_member","org":"example","user":""}`,
		`{"action":"repo.access","repo":"example/shop"}`,
	} {
		if got := decode(t, alone).GetEcho(); got != "" {
			t.Errorf("%s: got echo %q, want none", alone, got)
		}
	}
}

func TestDecodeWebhookIsBounded(t *testing.T) {
	repos := make([]string, 0, 5000)
	for i := range 5000 {
		repos = append(repos, fmt.Sprintf(`{"full_name":"example/%s%d"}`, strings.Repeat("r", 80), i))
	}
	e := decodeWebhook(t, `{"action":"added","repositories_added":[`+strings.Join(repos, ",")+`],"installation":{"app_id":1,"id":2}}`)
	if size := proto.Size(e); size > 256<<10 || len(e.GetChanges()) != maxChanges {
		t.Errorf("got %d changes in %d bytes, want %d in 256 KiB at most", len(e.GetChanges()), size, maxChanges)
	}
	if oddities := strings.Join(e.GetOddities(), "; "); !strings.Contains(oddities, "changes: more than can be kept") {
		t.Errorf("got oddities %q, want what was left out among them", oddities)
	}
}
