// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/services/collector"
)

// sound is a record that each source reads, with a place for more fields.
var sound = map[string]string{
	"okta":             `{"uuid":"u1","published":"2026-11-02T09:00:00Z","eventType":"user.session.start","actor":{"id":"00u1","type":"User","alternateId":"ann@example.com"}%s}`,
	"google_workspace": `{"id":{"time":"2026-11-02T09:00:00Z","uniqueQualifier":"1","applicationName":"login","customerId":"C1"},"actor":{"email":"ann@example.com","profileId":"1"},"events":[{"name":"login_success"}]%s}`,
	"github":           `{"_document_id":"d1","@timestamp":1793610000000,"action":"repo.create","actor":"ann","repo":"shop/web"%s}`,
	"github_webhook":   `{"action":"created","repository":{"id":7,"full_name":"shop/web","created_at":"2026-11-02T09:00:00Z"},"sender":{"id":1,"login":"ann"}%s}`,
	"m365":             `{"Id":"i1","CreationTime":"2026-11-02T09:00:00Z","Operation":"FileAccessed","Workload":"SharePoint","RecordType":6,"UserId":"ann@example.com","ObjectId":"https://shop.sharepoint.com/a"%s}`,
	"m365_graph":       `{"id":"g1","createdDateTime":"2026-11-02T09:00:00Z","userPrincipalName":"ann@example.com","userId":"1","appDisplayName":"Mail"%s}`,
	"slack":            `{"id":"s1","date_create":1793610000,"action":"user_login","actor":{"type":"user","user":{"id":"W1","email":"ann@example.com"}},"entity":{"type":"user","user":{"id":"W1"}}%s}`,
	"slack_events":     `{"type":"event_callback","event_id":"Ev1","event_time":1793610000,"team_id":"T1","event":{"type":"team_join","user":{"id":"U1","name":"ann"}}%s}`,
}

// Whatever a line holds, it ends as an event or as a dead letter with the reason and the raw bytes, and the counts say so.
func TestEveryLineEndsAsAnEventOrADeadLetter(t *testing.T) {
	for _, source := range collector.Formats() {
		large := 1 << 20
		if source == "okta" && !testing.Short() {
			large = 50 << 20 // once is enough: reading a line is the same for all
		}
		record := func(more string) string { return fmt.Sprintf(sound[source], more) }
		lines := []struct {
			name, text string
			dead       string // the reason; empty = an event
		}{
			{"sound", record(""), ""},
			{"the same again", record(""), ""},
			{"not JSON", "GET / HTTP/1.1", "not JSON"},
			{"truncated", record("")[:40], "not JSON"},
			{"array", "[" + record("") + "]", "not an object"},
			{"number", "17", "not an object"},
			{"null", "null", "not an object"},
			{"empty object", "{}", ""},
			{"large", record(`,"padding":"` + strings.Repeat("x", large) + `"`), ""},
			{"large and nothing", strings.Repeat("[", large), "nested too deeply"},
			{"deep", record(`,"deep":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)), ""},
			{"too deep", record(`,"deep":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000)), "nested too deeply"},
			{"wrong types", `{"uuid":1,"published":[],"eventType":{},"actor":"ann","target":{},"id":"x","events":7,"action":[],"@timestamp":{},"created_at":true,"data":5}`, ""},
			{"unknown name", strings.NewReplacer("user.session.start", "no.such.event", "login_success", "no_such_event", "repo.create", "no.such").Replace(record("")), ""},
			{"1970", strings.NewReplacer("2026-11-02T09:00:00Z", "1970-01-01T00:00:00Z", "1793610000000", "0", "1793610000", "0").Replace(record("")), ""},
			{"2100", strings.NewReplacer("2026-11-02T09:00:00Z", "2100-01-01T00:00:00Z", "1793610000000", "4102444800000", "1793610000", "4102444800").Replace(record("")), ""},
			{"no such day", strings.NewReplacer("2026-11-02T09:00:00Z", "2026-02-31T25:00:00Z", "1793610000000", `"soon"`, "1793610000", `"soon"`).Replace(record("")), ""},
			{"invalid UTF-8", record(`,"padding":"` + "\xff\xfe\xc3\x28" + `"`), ""},
			{"invalid UTF-8 in a name", strings.NewReplacer("user.session.start", "a\xff", "login_success", "b\xff", "repo.create", "c\xff").Replace(record("")), ""},
			{"control characters", record(`,"padding":"\u0000\u001b[2J\u202e"`), ""},
			{"key twice", record(`,"uuid":"u2"`), ""},
		}
		t.Run(source, func(t *testing.T) {
			var input bytes.Buffer
			for _, l := range lines {
				input.WriteString(l.text + "\n")
			}
			path := filepath.Join(t.TempDir(), "in.jsonl")
			if err := os.WriteFile(path, input.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"eval", "--source", source, "-o", "json", path}, nil, &out, &errs); code != exitDone && code != exitNo {
				t.Fatalf("code %d: %s", code, errs.String())
			}
			wantDead, events := 0, 0
			decoder := json.NewDecoder(&out)
			for _, l := range lines {
				var got struct {
					Event      *struct{ Raw []byte }
					Decision   *struct{ Verdict string }
					DeadLetter *struct {
						Reason string
						Raw    []byte
					} `json:"dead_letter"`
				}
				if err := decoder.Decode(&got); err != nil {
					t.Fatalf("%s: %v", l.name, err)
				}
				switch {
				case l.dead == "" && (got.Event == nil || got.Decision == nil || string(got.Event.Raw) != l.text):
					t.Errorf("%s: no event with the raw record and a decision", l.name)
				case l.dead != "" && (got.DeadLetter == nil || got.DeadLetter.Reason != l.dead || string(got.DeadLetter.Raw) != l.text):
					t.Errorf("%s: no dead letter %q with the raw bytes", l.name, l.dead)
				case l.name == "1970" || l.name == "2100" || l.name == "no such day":
					if got.Decision.Verdict != "VERDICT_UNKNOWN" {
						t.Errorf("%s: got %s, want VERDICT_UNKNOWN", l.name, got.Decision.Verdict)
					}
				}
				if l.dead != "" {
					wantDead++
				} else {
					events++
				}
			}
			want := fmt.Sprintf("read %d records, %d events, %d dead letters, ", len(lines), events, wantDead)
			if !strings.HasPrefix(errs.String(), want) {
				t.Errorf("got %q, want %q", errs.String(), want)
			}
		})
	}
}

func TestALineTooLongToReadIsADeadLetter(t *testing.T) {
	var out, errs bytes.Buffer
	in := strings.NewReader(strings.Repeat("x", maxLine+10) + "\n{}\n")
	if code := run(t.Context(), []string{"eval", "--source", "okta", "-"}, in, &out, &errs); code != exitDone {
		t.Fatalf("code %d: %s", code, errs.String())
	}
	if want := "the line has 67108874 bytes; its first 67108864 are kept"; !strings.Contains(out.String(), want) {
		t.Errorf("got %.200s, want %q", out.String(), want)
	}
	if want := "read 2 records, 1 events, 1 dead letters, 0 violations\n"; !strings.HasPrefix(errs.String(), want) {
		t.Errorf("got %q, want %q", errs.String(), want)
	}
}
