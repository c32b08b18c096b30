// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
const corpus = "../../../../../shared/corpus/google_workspace"

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

func decode(t testing.TB, record string) []*curfewv1.Event {
	t.Helper()
	events, err := Decode([]byte(record))
	if err != nil {
		t.Fatalf("decode %.200s: %v", record, err)
	}
	for _, e := range events {
		if err := event.Validate(e); err != nil {
			t.Errorf("decode %.200s: not a valid event: %v", record, err)
		}
	}
	return events
}

func TestDecodeGolden(t *testing.T) {
	const golden = "testdata/events.golden.jsonl"
	var got bytes.Buffer
	for _, record := range lines(t, "testdata/records.jsonl") {
		for _, e := range decode(t, string(record)) {
			text, err := protojson.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			// protojson spaces its output differently from build to build, on purpose.
			if err := json.Compact(&got, text); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
		}
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
}

func TestDecodeUnreadable(t *testing.T) {
	tests := []struct{ name, record, reason string }{
		{"empty", "", "not JSON"},
		{"text", "login_success", "not JSON"},
		{"cut short", `{"id":{"applicationName":"log`, "not JSON"},
		{"two objects", `{} {}`, "not JSON"},
		{"a list", `[]`, "not an object"},
		{"null", `null`, "not an object"},
		{"too deep", `{"events":` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}`, "nested too deeply"},
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
	record := func(change string) string {
		parts := map[string]string{
			"customerId": "C0", "applicationName": "login", "time": "2026-03-02T08:00:00Z", "uniqueQualifier": "1",
			"email": "kim@example.com", "profileId": "1", "names": "login_success login_verification", "etag": "a", "ip": "192.0.2.1",
		}
		if name, value, found := strings.Cut(change, "="); found {
			parts[name] = value
		}
		var events []string
		for name := range strings.FieldsSeq(parts["names"]) {
			events = append(events, fmt.Sprintf(`{"name":%q}`, name))
		}
		return fmt.Sprintf(`{"id":{"customerId":%q,"applicationName":%q,"time":%q,"uniqueQualifier":%q},"actor":{"email":%q,"profileId":%q},"etag":%q,"ipAddress":%q,"events":[%s]}`,
			parts["customerId"], parts["applicationName"], parts["time"], parts["uniqueQualifier"], parts["email"],
			parts["profileId"], parts["etag"], parts["ip"], strings.Join(events, ","))
	}
	first := decode(t, record(""))
	if len(first) != 2 || !strings.HasSuffix(first[0].GetId(), "#1") || !strings.HasSuffix(first[1].GetId(), "#2") {
		t.Fatalf("got %v, want two events whose ids end in #1 and #2", first)
	}
	if got := decode(t, record("names=login_success"))[0].GetId(); strings.Contains(got, "#") {
		t.Errorf("a record of one act: got id %s, want no part", got)
	}
	key := func(record string) string {
		id, _, _ := strings.Cut(decode(t, record)[0].GetId(), "#")
		return id
	}
	for _, change := range []string{"etag=b", "ip=192.0.2.2", "names=login_verification login_success"} {
		if got, want := key(record(change)), key(record("")); got != want {
			t.Errorf("%s: got another id, want the same", change)
		}
	}
	for _, change := range []string{
		"customerId=C1", "applicationName=admin", "time=2026-03-02T08:00:01Z", "uniqueQualifier=2", "email=lee@example.com",
		"profileId=2", "names=login_success", "customerId=", "time=", "uniqueQualifier=",
	} {
		if key(record(change)) == key(record("")) {
			t.Errorf("%s: got the same id, want another", change)
		}
	}
	// Without a key of its own the content is the key, but for spacing, the order of fields and etag.
	if a, b := key(`{"events":[{"name":"a"}],"etag":"1"}`), key(`{ "etag":"2", "events": [ {"name":"a"} ] }`); a != b {
		t.Errorf("one content: got ids %s and %s, want one", a, b)
	}
	if a, b := key(`{"events":[{"name":"a"}]}`), key(`{"events":[{"name":"a"}],"ipAddress":"192.0.2.1"}`); a == b {
		t.Error("two contents: got one id, want two")
	}
	// The halves of a split record share every part of the key.
	half := `{"id":{"customerId":"C0","applicationName":"admin","time":"2026-03-02T08:00:00Z","uniqueQualifier":"1"},"events":{"name":"A","parameters":[{"name":"SETTING_NAME","value":"%s"}]}}`
	if a, b := key(fmt.Sprintf(half, "one")), key(fmt.Sprintf(half, "two")); a == b {
		t.Error("two halves of a record: got one id, want two")
	}
}

// What the acts of a record share is theirs alone: whoever changes one event changes no other.
func TestDecodeSharesNothing(t *testing.T) {
	for _, record := range lines(t, "testdata/records.jsonl") {
		events := decode(t, string(record))
		for i := 1; i < len(events); i++ {
			a, b := events[i-1], events[i]
			if a.GetActor() != nil && a.GetActor() == b.GetActor() || a.GetContext() != nil && a.GetContext() == b.GetContext() ||
				a.GetApp() != nil && a.GetApp() == b.GetApp() || a.GetResource() != nil && a.GetResource() == b.GetResource() {
				t.Errorf("%s and %s share a message", a.GetId(), b.GetId())
			}
		}
	}
}

func TestDecodeIsBounded(t *testing.T) {
	var many strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&many, `,{"name":"view","parameters":[{"name":"doc_id","value":"%d"}]}`, i)
	}
	events := decode(t, `{"id":{"applicationName":"drive"},"events":[`+many.String()[1:]+`]}`)
	if len(events) != 1000 {
		t.Errorf("got %d events, want 1000", len(events))
	}
	want := "events: 1500 acts; those after the first 1000 stand in the raw record only"
	if !slices.Contains(events[0].GetOddities(), want) {
		t.Errorf("got oddities %q, want %q among them", events[0].GetOddities(), want)
	}

	scope := `"` + strings.Repeat("s", 500) + `"`
	e := decode(t, `{"id":{"applicationName":"token"},"events":[{"name":"authorize","parameters":[
		{"name":"client_id","value":"`+strings.Repeat("c", 20_000)+`"},
		{"name":"scope","multiValue":[`+strings.TrimSuffix(strings.Repeat(scope+",", 5000), ",")+`]}]}]}`)[0]
	if size := proto.Size(e); size > 256<<10 {
		t.Errorf("got an event of %d bytes, want at most 256 KiB", size)
	}
	if len(e.GetApp().GetId()) != 8<<10 {
		t.Errorf("got an app id of %d bytes, want it cut to 8192", len(e.GetApp().GetId()))
	}
	if want := "parameters.client_id: longer than a field may be; cut"; !slices.Contains(e.GetOddities(), want) {
		t.Errorf("got oddities %q, want %q among them", e.GetOddities(), want)
	}
	e = decode(t, `{"id":{"applicationName":"token"},"events":[{"name":"authorize","parameters":[{"name":"scope","multiValue":["a","b","`+
		strings.Repeat("s", 100_000)+`"]}]}]}`)[0]
	if want := "parameters.scope: longer than a field may be; cut"; !slices.Contains(e.GetOddities(), want) {
		t.Errorf("got oddities %q, want %q among them", e.GetOddities(), want)
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
			for _, e := range decode(t, string(record)) {
				if action, known := c.Action(source, e.GetFeed(), e.GetAction()); e.GetAction() != "" && (!known || action.Act == "") {
					t.Errorf("%s:%d: %s/%s has no act", filepath.Base(file), i+1, e.GetFeed(), e.GetAction())
				}
				if kind := e.GetResource().GetKind(); kind != "" {
					if _, known := c.Kind(source, kind); !known {
						t.Errorf("%s:%d: kind %s has no class", filepath.Base(file), i+1, kind)
					}
				}
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, record := range lines(f, "testdata/records.jsonl") {
		f.Add(record)
	}
	f.Add([]byte(`{"events":{"name":"\ud800","parameters":[{"name":"x","messageValue":[]},null]},"actor":{"profileId":1e400}}`))
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
		if len(events) == 0 {
			t.Fatal("got no event")
		}
		seen := map[string]bool{}
		for _, e := range events {
			if err := event.Validate(e); err != nil {
				t.Fatalf("not a valid event: %v", err)
			}
			if seen[e.GetId()] {
				t.Fatalf("two events have the id %s", e.GetId())
			}
			seen[e.GetId()] = true
			if path, kind := e.GetResource().GetPath(), e.GetResource().GetKind(); e.GetResource() != nil && (kind == "" || !strings.HasPrefix(path+"/", kind+"/")) {
				t.Fatalf("got path %q of kind %q", path, kind)
			}
			// Marshalling refuses text that is not UTF-8.
			if _, err := protojson.Marshal(e); err != nil {
				t.Fatal(err)
			}
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
