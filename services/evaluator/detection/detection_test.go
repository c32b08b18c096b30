// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
)

// Each detection is one file, and a route can name it.
func TestNamesHasEveryDetection(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") || name == "detection.go" })
	for i, name := range files {
		files[i] = strings.TrimSuffix(name, ".go")
	}
	if got := detection.Names(); !slices.Equal(got, files) {
		t.Errorf("got %v, want %v", got, files)
	}
}

// Each detection in All has testdata/<id>.txtar with cases "fires/<name>.json" and "quiet/<name>.json", at least one of each.
func TestCases(t *testing.T) {
	for _, d := range detection.All() {
		archive, err := txtar.ParseFile("testdata/" + d.ID + ".txtar")
		if err != nil {
			t.Errorf("%s has no cases: %v", d.ID, err)
			continue
		}
		count := map[string]int{}
		for _, file := range archive.Files {
			want, _, _ := strings.Cut(file.Name, "/")
			count[want]++
			t.Run(d.ID+"/"+file.Name, func(t *testing.T) {
				findings := ask(t, d, file.Data)
				if got := len(findings) > 0; got != (want == "fires") {
					t.Fatalf("match: got %v, want %v", got, want)
				}
				for _, f := range findings {
					if f.GetTitle() == "" || f.GetReason() == "" || f.GetSeverity() == 0 || len(f.GetNextSteps()) == 0 {
						t.Fatalf("a finding says what, why, how bad and what to do next; got %v", f)
					}
				}
			})
		}
		if count["fires"] == 0 || count["quiet"] == 0 {
			t.Errorf("%s: got %d cases that fire and %d that stay quiet, want at least one of each", d.ID, count["fires"], count["quiet"])
		}
	}
}

// ask asks a detection about a case: a grant, or an event with its decision.
func ask(t *testing.T, d detection.Detection, data []byte) []*curfewv1.Finding {
	t.Helper()
	if d.Step != nil {
		return d.Step(readGrant(t, data))
	}
	f := new(curfewv1.Finding)
	if !d.Match(readCase(t, data), f) {
		return nil
	}
	return []*curfewv1.Finding{f}
}

func readGrant(t *testing.T, data []byte) *curfewv1.Grant {
	t.Helper()
	g := new(curfewv1.Grant)
	if err := protojson.Unmarshal(data, g); err != nil {
		t.Fatal(err)
	}
	return g
}

func readCase(t *testing.T, data []byte) detection.Input {
	t.Helper()
	var file struct {
		Event, Decision json.RawMessage
		Sensitivity     int
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	in := detection.Input{Event: new(curfewv1.Event), Decision: new(curfewv1.Decision), Sensitivity: file.Sensitivity}
	for _, part := range []struct {
		data []byte
		into proto.Message
	}{{file.Event, in.Event}, {file.Decision, in.Decision}} {
		if err := protojson.Unmarshal(part.data, part.into); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

func TestAskIsDeterministicAndKeepsNoRawRecord(t *testing.T) {
	in := detection.Input{
		Event:       &curfewv1.Event{Id: "okta:1", Tenant: "shop", Source: "okta", Raw: []byte("{}")},
		Decision:    &curfewv1.Decision{EventId: "okta:1", Verdict: curfewv1.Verdict_VERDICT_VIOLATION, Act: "read"},
		Sensitivity: 4,
	}
	first, second := detection.Ask(in), detection.Ask(in)
	if len(first) != 1 || !proto.Equal(first[0], second[0]) {
		t.Fatalf("got %v and %v, want the same one finding", first, second)
	}
	if first[0].GetEvent().GetRaw() != nil || string(in.Event.GetRaw()) != "{}" {
		t.Error("the finding must go without the raw record, and the event keep it")
	}
	in.Event.Id = "okta:2"
	if other := detection.Ask(in); other[0].GetId() == first[0].GetId() {
		t.Error("findings about two events have one id")
	}
}
