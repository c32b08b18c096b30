// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func decoder() sourcetest.DecoderCase {
	return sourcetest.DecoderCase{
		Source:  source,
		Decode:  Decode,
		Records: "testdata/records.jsonl",
		Golden:  "testdata/events.golden.jsonl",
		Typical: 31,
		Seeds:   []string{`{"action":"\ud800","permissions":{"a":[]},"token_scopes":[1,null,{}],"config":{"url":"http://[::1"},"data":{"data":{}}}`},
		Secrets: []string{"s3cr3t"},
		Corpus:  "../../../../../shared/corpus/github",
	}
}

func TestDecode(t *testing.T) { sourcetest.Decoder(t, decoder()) }

func FuzzDecode(f *testing.F) { sourcetest.FuzzDecoder(f, decoder()) }

func BenchmarkDecode(b *testing.B) { sourcetest.BenchmarkDecoder(b, decoder()) }

func decode(t testing.TB, record string) *curfewv1.Event {
	t.Helper()
	events, err := Decode([]byte(record))
	if err != nil {
		t.Fatalf("decode %.200s: %v", record, err)
	}
	if len(events) != 1 {
		t.Fatalf("decode %.200s: got %d events, want 1", record, len(events))
	}
	if err := event.Validate(events[0]); err != nil {
		t.Errorf("decode %.200s: not a valid event: %v", record, err)
	}
	return events[0]
}

func TestDecodeID(t *testing.T) {
	if got := decode(t, `{"_document_id":"abc","action":"a"}`).GetId(); got != "github:abc" {
		t.Errorf("got id %s, want github:abc", got)
	}
	same := [][2]string{
		{`{"_document_id":"u1","action":"a"}`, `{"_document_id":" u1 ","action":"b"}`},
		{`{"action":"a","actor":"k"}`, "{ \"actor\" : \"k\",\n\"action\":\t\"a\" }"},
	}
	for _, pair := range same {
		if a, b := decode(t, pair[0]).GetId(), decode(t, pair[1]).GetId(); a != b {
			t.Errorf("%s and %s: got ids %s and %s, want one", pair[0], pair[1], a, b)
		}
	}
	long := strings.Repeat("u", 10_000)
	seen := map[string]string{}
	for _, record := range []string{
		`{"_document_id":"u1"}`, `{"_document_id":"u2"}`, `{}`, `{"_document_id":""}`, `{"_document_id":["u1"]}`, `{"action":"a"}`,
		`{"action":"a","other":1}`, `{"_document_id":"` + long + `1"}`, `{"_document_id":"` + long + `2"}`, `{"_document_id":"u\u00001"}`,
	} {
		id := decode(t, record).GetId()
		if other, twice := seen[id]; twice {
			t.Errorf("%.40s and %.40s: got one id %s, want two", other, record, id)
		}
		seen[id] = record
	}
}

func TestDecodeTime(t *testing.T) {
	for text, want := range map[string]string{
		`1772438400123`: "2026-03-02T08:00:00.123Z", `"1772438400123"`: "2026-03-02T08:00:00.123Z",
		`1772438400123.0`: "2026-03-02T08:00:00.123Z", `1.772438400123e12`: "2026-03-02T08:00:00.123Z",
		`1772438400`: "2026-03-02T08:00:00Z", `"2026-03-02T09:00:00+01:00"`: "2026-03-02T08:00:00Z",
		`0`: "1970-01-01T00:00:00Z", `86400000`: "1970-01-02T00:00:00Z", `4102444800000`: "2100-01-01T00:00:00Z",
	} {
		e := decode(t, `{"created_at":`+text+`}`)
		if e.GetTime() == nil || e.GetTime().AsTime().Format("2006-01-02T15:04:05.999Z07:00") != want {
			t.Errorf("%s: got %v, want %s", text, e.GetTime().AsTime(), want)
		}
	}
	for _, text := range []string{`"soon"`, `"NaN"`, `"Inf"`, `1e300`, `-1e300`, `999999999999999999`, `true`, `[]`, `{}`, `"2026-03-02 00:00:00000000"`} {
		e := decode(t, `{"created_at":`+text+`}`)
		if e.GetTime() != nil || !strings.Contains(strings.Join(e.GetOddities(), "; "), "created_at: not a time") {
			t.Errorf("%s: got time %v and oddities %q, want none and that it is not a time", text, e.GetTime(), e.GetOddities())
		}
	}
	if e := decode(t, `{"@timestamp":"soon","created_at":1772438400123}`); e.GetTime() == nil {
		t.Error("a timestamp that is none: got no time, want that of created_at")
	}
}

// What stands in data counts where the record itself says nothing.

func TestDecodeData(t *testing.T) {
	e := decode(t, `{"action":"team.add_member","user":"","data":{"team":"example/support","user":"lee","action":"other","_document_id":"d1"}}`)
	if e.GetId() != "github:d1" || e.GetAction() != "team.add_member" || e.GetResource().GetPath() != "team/example/support" ||
		len(e.GetChanges()) != 1 || e.GetChanges()[0].GetAfter() != "lee" {
		t.Errorf("got %v, want data's team, user and id, and the record's own action", e)
	}
}

func TestDecodeIsBounded(t *testing.T) {
	levels := make([]string, 0, 5000)
	for i := range 5000 {
		levels = append(levels, fmt.Sprintf(`"%s%04d":"read"`, strings.Repeat("p", 500), i))
	}
	e := decode(t, `{"action":"integration_installation.create","name":"`+strings.Repeat("n", 100_000)+`","permissions":{`+strings.Join(levels, ",")+`}}`)
	if size := proto.Size(e); size > 256<<10 {
		t.Errorf("got an event of %d bytes, want at most 256 KiB", size)
	}
	if oddities := strings.Join(e.GetOddities(), "; "); !strings.Contains(oddities, "permissions: more than can be kept") {
		t.Errorf("got oddities %q, want what was left out among them", oddities)
	}
}
