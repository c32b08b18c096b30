// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var update = flag.Bool("update", false, "write the golden files")

// corpus is a folder of real records that a developer may have beside the repository.
const corpus = "../../../../../shared/corpus/github"

// lines are the lines of a file.
func lines(t testing.TB, path string) [][]byte {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 64<<20)
	var all [][]byte
	for scanner.Scan() {
		all = append(all, bytes.Clone(scanner.Bytes()))
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

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

func TestDecodeGolden(t *testing.T) {
	const golden = "testdata/events.golden.jsonl"
	var got bytes.Buffer
	for _, record := range lines(t, "testdata/records.jsonl") {
		text, err := protojson.Marshal(decode(t, string(record)))
		if err != nil {
			t.Fatal(err)
		}
		// protojson spaces its output differently from build to build, on purpose.
		if err := json.Compact(&got, text); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
	}
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("events differ from %s (-want +got); if they should, run with -update:\n%s", golden, diff)
	}
	if strings.Contains(got.String(), "s3cr3t") {
		t.Error("an event tells of a hook's secret")
	}
}

func TestDecodeUnreadable(t *testing.T) {
	tests := []struct{ name, record, reason string }{
		{"empty", "", "not JSON"},
		{"text", "repo.create", "not JSON"},
		{"cut short", `{"action":"repo.cre`, "not JSON"},
		{"two objects", `{} {}`, "not JSON"},
		{"a list", `[]`, "not an object"},
		{"null", `null`, "not an object"},
		{"too deep", strings.Repeat(`{"data":`, 20_000) + strings.Repeat(`}`, 20_000), "nested too deeply"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			events, err := Decode([]byte(test.record))
			var unreadable *event.Unreadable
			if !errors.As(err, &unreadable) || unreadable.Reason != test.reason {
				t.Errorf("got %d events and error %v, want an Unreadable: %s", len(events), err, test.reason)
			}
		})
	}
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

// Real records decode, keep their action, and mean something to the catalogue.
func TestDecodeCorpus(t *testing.T) {
	files, err := filepath.Glob(corpus + "/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for i, record := range lines(t, file) {
			e := decode(t, string(record))
			if action, known := c.Action(source, feed, e.GetAction()); !known || action.Act == "" {
				t.Errorf("%s:%d: %s has no act", filepath.Base(file), i+1, e.GetAction())
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, record := range lines(f, "testdata/records.jsonl") {
		f.Add(record)
	}
	f.Add([]byte(`{"action":"\ud800","permissions":{"a":[]},"token_scopes":[1,null,{}],"config":{"url":"http://[::1"},"data":{"data":{}}}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		kept := bytes.Clone(record)
		events, err := Decode(record)
		if !bytes.Equal(kept, record) {
			t.Fatal("the record was changed")
		}
		if err != nil {
			var unreadable *event.Unreadable
			if !errors.As(err, &unreadable) {
				t.Fatalf("got error %v, want an Unreadable", err)
			}
			return
		}
		if len(events) != 1 {
			t.Fatalf("got %d events, want 1", len(events))
		}
		e := events[0]
		if err := event.Validate(e); err != nil {
			t.Fatalf("not a valid event: %v", err)
		}
		if path, kind := e.GetResource().GetPath(), e.GetResource().GetKind(); e.GetResource() != nil && (kind == "" || !strings.HasPrefix(path, kind+"/")) {
			t.Fatalf("got path %q of kind %q", path, kind)
		}
		// Marshalling refuses text that is not UTF-8.
		if _, err := protojson.Marshal(e); err != nil {
			t.Fatal(err)
		}
		again, err := Decode(kept)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(events, again, protocmp.Transform()); diff != "" {
			t.Fatalf("decoded twice (-first +second):\n%s", diff)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	records := lines(b, "testdata/records.jsonl")[:31]
	size := 0
	for _, record := range records {
		size += len(record)
	}
	b.SetBytes(int64(size / len(records)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := Decode(records[i%len(records)]); err != nil {
			b.Fatal(err)
		}
	}
}
