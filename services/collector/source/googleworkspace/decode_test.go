// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"fmt"
	"slices"
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
		Several: true,
		Seeds:   []string{`{"events":{"name":"\ud800","parameters":[{"name":"x","messageValue":[]},null]},"actor":{"profileId":1e400}}`},
		Corpus:  "../../../../../shared/corpus/google_workspace",
	}
}

func TestDecode(t *testing.T) { sourcetest.Decoder(t, decoder()) }

func FuzzDecode(f *testing.F) { sourcetest.FuzzDecoder(f, decoder()) }

func BenchmarkDecode(b *testing.B) { sourcetest.BenchmarkDecoder(b, decoder()) }

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
