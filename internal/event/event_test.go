// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func TestUnmarshal(t *testing.T) {
	for _, c := range []struct{ name, record, reason, odd, name2 string }{
		{name: "sound", record: `{"name":"x","n":1}`, name2: "x"},
		{name: "spaces", record: " \n\t{\"name\":\"x\"} ", name2: "x"},
		{name: "wrong type", record: `{"n":"one","name":"x"}`, odd: "n: a JSON string where a int belongs", name2: "x"},
		{name: "array", record: `[1]`, reason: "not an object"},
		{name: "string", record: `"x"`, reason: "not an object"},
		{name: "null", record: `null`, reason: "not an object"},
		{name: "empty", record: "", reason: "not JSON"},
		{name: "truncated", record: `{"name":"x`, reason: "not JSON"},
		{name: "two values", record: `{} {}`, reason: "not JSON"},
		{name: "text", record: "GET / HTTP/1.1", reason: "not JSON"},
		{name: "too deep", record: strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000), reason: "nested too deeply"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var into struct {
				Name string `json:"name"`
				N    int    `json:"n"`
			}
			oddities, err := event.Unmarshal([]byte(c.record), &into)
			var unreadable *event.Unreadable
			if c.reason != "" {
				if !errors.As(err, &unreadable) || unreadable.Reason != c.reason {
					t.Fatalf("got %v, want %q", err, c.reason)
				}
				return
			}
			if err != nil || strings.Join(oddities, ";") != c.odd || into.Name != c.name2 {
				t.Fatalf("got %+v, %q, %v, want name %q and %q", into, oddities, err, c.name2, c.odd)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	if got := event.ID("okta", "abc", 0); got != "okta:abc" {
		t.Errorf("got %s", got)
	}
	if got := event.ID("okta", "abc", 2); got != "okta:abc#2" {
		t.Errorf("got %s", got)
	}
	if event.ContentKey("a", "bc") == event.ContentKey("ab", "c") || event.ContentKey("a") == event.ContentKey("a", "") {
		t.Error("parts that join to the same text are not the same")
	}
}

func TestPath(t *testing.T) {
	for _, c := range []struct {
		ids  []string
		want string
	}{
		{[]string{"1Ab-c_d.e"}, "file/1Ab-c_d.e"},
		{[]string{"a/b"}, "file/a%2Fb"},
		{[]string{"a", "b"}, "file/a/b"},
		{[]string{"*"}, "file/%2A"},
		{[]string{"a,b c%"}, "file/a%2Cb%20c%25"},
		{[]string{""}, "file"},
		{[]string{"line\nbreak"}, "file/line%20break"},
		{[]string{"x@example.com"}, "file/x@example.com"},
	} {
		if got := event.Path("file", c.ids...); got != c.want {
			t.Errorf("Path(%q): got %s, want %s", c.ids, got, c.want)
		}
	}
}

func TestTimesAndAddresses(t *testing.T) {
	want := time.Date(2026, 11, 2, 9, 0, 0, 5e6, time.UTC)
	for _, text := range []string{"2026-11-02T09:00:00.005Z", "2026-11-02T10:00:00.005+01:00", "2026-11-02T09:00:00.005", "2026-11-02 09:00:00.005"} {
		if got := event.ParseTime(text); !got.AsTime().Equal(want) {
			t.Errorf("ParseTime(%q): got %v", text, got.AsTime())
		}
	}
	for _, text := range []string{"", "yesterday", "2026-13-02T09:00:00Z", "0000-01-01T00:00:00Z"} {
		if got := event.ParseTime(text); got != nil {
			t.Errorf("ParseTime(%q): got %v, want nil", text, got)
		}
	}
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", " 192.0.2.1 ": "192.0.2.1", "192.0.2.1:443": "192.0.2.1", "[2001:db8::1]:443": "2001:db8::1",
		"2001:DB8::1": "2001:db8::1", "::ffff:192.0.2.1": "192.0.2.1", "fe80::1%eth0": "fe80::1", "nowhere": "", "": "", "1.2.3": "",
	} {
		if got := event.IP(text); got != want {
			t.Errorf("IP(%q): got %q, want %q", text, got, want)
		}
	}
}

func TestAppendCountsEveryRecord(t *testing.T) {
	received := timestamppb.New(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC))
	batch := &curfewv1.EventBatch{Source: "okta", Feed: "system_log", Received: received}
	one := func(source, id string) event.Decode {
		return func([]byte) ([]*curfewv1.Event, error) {
			return []*curfewv1.Event{{Id: id, Source: source, Feed: "f"}}, nil
		}
	}
	for _, decode := range []event.Decode{
		one("okta", "okta:1"),
		func([]byte) ([]*curfewv1.Event, error) {
			return []*curfewv1.Event{{Id: "okta:2#1", Source: "okta", Feed: "f"}, {Id: "okta:2#2", Source: "okta", Feed: "f"}}, nil
		},
		func([]byte) ([]*curfewv1.Event, error) { panic("a bug in a decoder") },
		func([]byte) ([]*curfewv1.Event, error) { return nil, nil },
		func([]byte) ([]*curfewv1.Event, error) {
			return nil, &event.Unreadable{Reason: "not JSON", Detail: "x"}
		},
		one("okta", "other:1"), one("okta", "okta:"), one("", "okta:1"),
		func([]byte) ([]*curfewv1.Event, error) {
			scopes := slices.Repeat([]string{strings.Repeat("x", 8000)}, 100)
			return []*curfewv1.Event{{Id: "okta:3", Source: "okta", Feed: "f", App: &curfewv1.App{Scopes: scopes}}}, nil
		},
	} {
		event.Append(batch, []byte("raw"), uint64(batch.GetRecords()+1), decode)
	}
	if batch.GetRecords() != 9 || len(batch.GetEvents()) != 3 || len(batch.GetDeadLetters()) != 7 {
		t.Fatalf("got %d records, %d events, %d dead letters", batch.GetRecords(), len(batch.GetEvents()), len(batch.GetDeadLetters()))
	}
	second := batch.GetEvents()[2]
	if second.GetRaw() != nil || second.GetRawDigest() != event.Digest([]byte("raw")) || !proto.Equal(second.GetReceived(), received) {
		t.Errorf("the second act of a record: got %v", second)
	}
	for i, want := range []string{"decoder panicked", "no event", "not JSON", "not a valid event", "not a valid event", "not a valid event", "too large"} {
		letter := batch.GetDeadLetters()[i]
		if letter.GetReason() != want || string(letter.GetRaw()) != "raw" || letter.GetLine() != uint64(i+3) || letter.GetId() == "" {
			t.Errorf("dead letter %d: got %v, want %q", i, letter, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, text := range []string{"", "plain", "\xff\xfe", "a\x00b", strings.Repeat("ä", 5000), strings.Repeat("a", 8191) + "ä"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := event.Clean(text)
		if !utf8.ValidString(got) || len(got) > 8<<10 || strings.ContainsAny(got, "\x00\n\x1b") {
			t.Fatalf("Clean(%q): got %q", text, got)
		}
		if event.Clean(got) != got {
			t.Fatalf("Clean is not steady: %q", got)
		}
		if path := event.Escape(text); strings.ContainsAny(path, "/,*? ") {
			t.Fatalf("Escape(%q): got %q", text, path)
		}
	})
}
