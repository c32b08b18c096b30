// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

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

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var update = flag.Bool("update", false, "write the golden files")

// corpus is a folder of real records that a developer may have beside the repository.
const corpus = "../../../../../shared/corpus/okta"

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

func TestDecodeGolden(t *testing.T) {
	const golden = "testdata/events.golden.jsonl"
	var got bytes.Buffer
	for i, record := range lines(t, "testdata/records.jsonl") {
		events, err := Decode(record)
		if err != nil {
			t.Fatalf("record %d: %v", i+1, err)
		}
		for _, e := range events {
			if err := event.Validate(e); err != nil {
				t.Errorf("record %d: not a valid event: %v", i+1, err)
			}
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
		{"text", "user.session.start", "not JSON"},
		{"cut short", `{"uuid":"1","eventType":"user.ses`, "not JSON"},
		{"two objects", `{} {}`, "not JSON"},
		{"a list", `[]`, "not an object"},
		{"null", `null`, "not an object"},
		{"too deep", strings.Repeat(`{"a":`, 20_000) + strings.Repeat(`}`, 20_000), "nested too deeply"},
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

func TestDecodeCorpus(t *testing.T) {
	files, err := filepath.Glob(corpus + "/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for i, record := range lines(t, file) {
			e := decodeOne(t, record)
			if err := event.Validate(e); err != nil {
				t.Errorf("%s:%d: not a valid event: %v", filepath.Base(file), i+1, err)
			}
			if e.GetAction() == "" {
				t.Errorf("%s:%d: got no action", filepath.Base(file), i+1)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, record := range lines(f, "testdata/records.jsonl") {
		f.Add(record)
	}
	f.Add([]byte(`{"target":[{"changeDetails":{"from":[1],"to":"x"}},{"type":"Entity","id":"\ud800"}]}`))
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
		if len(again) != 1 || !proto.Equal(e, again[0]) {
			t.Fatalf("decoded twice (-first +second):\n%s", cmp.Diff(events, again, protocmp.Transform()))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	records := lines(b, "testdata/records.jsonl")[:20]
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
