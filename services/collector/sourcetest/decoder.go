// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

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

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
)

// update writes the golden files of every decoder that is tested by Decoder: `go test . -update` in its folder.
var update = flag.Bool("update", false, "write the golden files")

// DecoderCase is a decoder under test.
type DecoderCase struct {
	// Source is what the decoder reads, as events and the catalogue call it.
	Source string
	// Decode is the decoder.
	Decode event.Decode
	// Records is a file of invented records, one a line, none of which is a dead letter.
	Records string
	// Golden is the file of their events, as JSON, one a line.
	Golden string
	// Typical is how many records at the beginning of Records are such as the vendor sends every day: speed is measured
	// with them.
	Typical int
	// Several is whether a record may hold several acts. Where it may not, every record is one event.
	Several bool
	// Seeds are records from which fuzzing begins, besides Records.
	Seeds []string
	// Secrets stand in Records, and may stand in no event.
	Secrets []string
	// Corpus is a folder of real records that a developer may have beside the repository; where it is not there, or
	// Corpus is "", nothing is wanted of it. A record in one of its .jsonl files is no dead letter, its action, where it
	// has one, has an act in the catalogue, and the kind of its resource has a class.
	Corpus string
	// Foreign are actions in Corpus that the vendor does not have, invented for the tests of another product.
	Foreign []string
}

// Decoder holds the decoder of c to the promises of event.Decode and of the catalogue, whatever the record.
func Decoder(t *testing.T, c DecoderCase) {
	t.Run("golden", func(t *testing.T) { testGolden(t, c) })
	t.Run("unreadable", func(t *testing.T) { c.unreadable(t.Errorf) })
	t.Run("wrong types", func(t *testing.T) {
		for i, record := range lines(t, c.Records) {
			c.wrongTypes(fmt.Sprintf("%s:%d", c.Records, i+1), record, t.Errorf)
			if t.Failed() {
				return // The records to come would say the same at length.
			}
		}
	})
	t.Run("corpus", func(t *testing.T) { testCorpus(t, c) })
}

// FuzzDecoder holds the decoder of c to the same promises with every record that fuzzing finds.
func FuzzDecoder(f *testing.F, c DecoderCase) {
	for _, record := range lines(f, c.Records) {
		f.Add(record)
	}
	for _, record := range c.Seeds {
		f.Add([]byte(record))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		_, _ = c.keep("record", record, t.Errorf) // whatever it did, it kept its promises or was reported
	})
}

// BenchmarkDecoder measures the decoder of c with its typical records.
func BenchmarkDecoder(b *testing.B, c DecoderCase) {
	records := lines(b, c.Records)
	if c.Typical < 1 || c.Typical > len(records) {
		b.Fatalf("%d of %d records are typical, want one at least", c.Typical, len(records))
	}
	records = records[:c.Typical]
	size := 0
	for _, record := range records {
		size += len(record)
	}
	b.SetBytes(int64(size / len(records)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := c.Decode(records[i%len(records)]); err != nil {
			b.Fatal(err)
		}
	}
}

func testGolden(t *testing.T, c DecoderCase) {
	got := c.golden(lines(t, c.Records), t.Errorf)
	if *update && !t.Failed() {
		if err := os.WriteFile(c.Golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(c.Golden)
	if err != nil {
		t.Fatal(err)
	}
	if differ := differences(string(want), string(got)); len(differ) > 0 {
		t.Errorf("events differ from %s in %d lines; if they should, run with -update", c.Golden, len(differ))
		for _, line := range differ[:min(len(differ), 5)] {
			t.Error(line)
		}
	}
}

// golden returns the events of records as JSON, one a line.
func (c DecoderCase) golden(records [][]byte, report report) []byte {
	var text bytes.Buffer
	if len(records) == 0 {
		report("%s: holds no record", c.Records)
	}
	for i, record := range records {
		where := fmt.Sprintf("%s:%d", c.Records, i+1)
		events, err := c.keep(where, record, report)
		if err != nil {
			report("%s: got error %v, want an event", where, err)
		}
		for _, e := range events {
			// What cannot be marshalled is reported by keep.
			line, _ := protojson.Marshal(e)
			for _, secret := range c.Secrets {
				if bytes.Contains(line, []byte(secret)) {
					report("%s: event %s tells of the secret %q", where, e.GetId(), secret)
				}
			}
			// protojson spaces its output differently from build to build, on purpose.
			if err := json.Compact(&text, line); err == nil {
				text.WriteByte('\n')
			}
		}
	}
	return text.Bytes()
}

// differences is each line that two texts do not share.
func differences(want, got string) []string {
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	var differ []string
	for i := range max(len(wants), len(gots)) {
		var w, g string
		if i < len(wants) {
			w = wants[i]
		}
		if i < len(gots) {
			g = gots[i]
		}
		if w != g {
			differ = append(differ, fmt.Sprintf("line %d:\n got %s\nwant %s", i+1, g, w))
		}
	}
	return differ
}

// testCorpus reads the real records that are there.
func testCorpus(t *testing.T, c DecoderCase) {
	if c.Corpus == "" {
		return
	}
	known, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(c.Corpus, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for i, record := range lines(t, file) {
			c.understand(fmt.Sprintf("%s:%d", filepath.Base(file), i+1), record, known, t.Errorf)
		}
	}
}

// understand wants a real record to be events that mean something to the catalogue.
func (c DecoderCase) understand(where string, record []byte, known *catalog.Catalog, report report) {
	events, err := c.keep(where, record, report)
	if err != nil {
		report("%s: got error %v, want an event", where, err)
	}
	for _, e := range events {
		action, found := known.Action(c.Source, e.GetFeed(), e.GetAction())
		if e.GetAction() != "" && (!found || action.Act == "") && !slices.Contains(c.Foreign, e.GetAction()) {
			report("%s: %s/%s has no act", where, e.GetFeed(), e.GetAction())
		}
		if kind := e.GetResource().GetKind(); kind != "" && action.Class == "" {
			if _, found := known.Kind(c.Source, kind); !found {
				report("%s: neither action %s nor kind %s has a class", where, e.GetAction(), kind)
			}
		}
	}
}

// unreadable wants each record that is no JSON object to be refused, and to be told why.
func (c DecoderCase) unreadable(report report) {
	for _, test := range []struct{ name, record, reason string }{
		{"empty", "", "not JSON"},
		{"spaces", " \r\n", "not JSON"},
		{"text", "user.session.start", "not JSON"},
		{"cut short", `{"id":"1","action":"user.ses`, "not JSON"},
		{"two objects", `{} {}`, "not JSON"},
		{"a list", `[]`, "not an object"},
		{"a list of objects", `[{}]`, "not an object"},
		{"null", `null`, "not an object"},
		{"a number", `42`, "not an object"},
		{"objects too deep", strings.Repeat(`{"data":`, 20_000) + `1` + strings.Repeat(`}`, 20_000), "nested too deeply"},
		{"lists too deep", `{"events":` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}`, "nested too deeply"},
	} {
		events, err := c.keep(test.name, []byte(test.record), report)
		var unreadable *event.Unreadable
		if !errors.As(err, &unreadable) || unreadable.Reason != test.reason {
			report("%s: got %d events and error %v, want an Unreadable: %s", test.name, len(events), err, test.reason)
		}
	}
}

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
