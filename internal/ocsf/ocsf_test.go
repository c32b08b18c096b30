// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package ocsf_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/ocsf"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

func at(minute int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, 2, 9, minute, 3, 0, time.UTC))
}

func share(state curfewv1.AlertState) *curfewv1.Alert {
	a := &curfewv1.Alert{
		Id: "f00d", Tenant: "main", Episode: 2, Version: 3, State: state, Entity: "person:ida", DataClass: "pii.contact",
		Severity: curfewv1.Severity_SEVERITY_CRITICAL, Count: 3, Opened: at(14), Newest: at(20),
		Finding: &curfewv1.Finding{
			Id: "f1", Detection: "unauthorized_access", Severity: curfewv1.Severity_SEVERITY_HIGH, Time: at(14),
			Title: "ida@example.com shared a file", Reason: "row 23 denies it", NextSteps: []string{"Ask.", "Take it away."}, Controls: []string{"NIST AC-3"},
			Event: &curfewv1.Event{
				Id: "google_workspace:1", Source: "google_workspace", Feed: "drive", Action: "change_user_access", Time: at(14), Received: at(15),
				Actor:    &curfewv1.Actor{Id: "1", Name: "Ida", Email: "ida@example.com"},
				App:      &curfewv1.App{Id: "app-7", Name: "Exporter", Scopes: []string{"drive"}},
				Resource: &curfewv1.Resource{Path: "file/1A", Kind: "file", Name: "Customers", Owner: "ida@example.com"},
				Context:  &curfewv1.Context{Ip: "192.0.2.7", Country: "DE", UserAgent: "curl/8", Session: "s1", Mfa: true},
				Changes:  []*curfewv1.Change{{Field: "visibility", Before: "private", After: "public"}},
			},
			Decision: &curfewv1.Decision{
				Subject: "person:ida", Verdict: curfewv1.Verdict_VERDICT_VIOLATION, Classes: []string{"pii.contact"},
				PolicyDigest: strings.Repeat("ab", 32), Row: &curfewv1.Row{Text: "p, role:anyone, *, *, customer, share, deny"},
			},
		},
	}
	if state == curfewv1.AlertState_ALERT_STATE_RESOLVED {
		a.Resolved, a.Resolver, a.Resolution = at(30), "person:bob", "a drill"
	}
	return a
}

// required is what the schema requires of a Detection Finding and of the objects that are used of it, read by hand from
// https://schema.ocsf.io/1.8.0/classes/detection_finding; "|" parts names of which one has to be there.
var required = map[string][]string{
	"":                          {"activity_id", "category_uid", "class_uid", "finding_info", "metadata", "severity_id", "time", "type_uid"},
	"finding_info":              {"uid"},
	"finding_info.analytic":     {"type_id", "name|uid"},
	"metadata":                  {"product", "version"},
	"remediation":               {"desc"},
	"evidences":                 {"actor|api|resources|src_endpoint"},
	"evidences.actor":           {"user|session|app_name|app_uid"},
	"evidences.actor.user":      {"name|uid"},
	"evidences.api":             {"operation"},
	"evidences.src_endpoint":    {"ip"},
	"evidences.resources":       {"name|uid"},
	"evidences.resources.owner": {"name|uid"},
}

func TestFinding(t *testing.T) {
	hostile := share(curfewv1.AlertState_ALERT_STATE_OPEN)
	long := strings.Repeat("x\u202e", 1<<19)
	hostile.Finding.Title, hostile.Finding.Event.Context.Ip, hostile.Finding.Event.Actor = long, "no address", &curfewv1.Actor{Email: long}
	bare := &curfewv1.Alert{Id: "1", Finding: &curfewv1.Finding{Event: &curfewv1.Event{Context: &curfewv1.Context{UserAgent: "x"}}}}
	for _, c := range []struct {
		name     string
		in       *curfewv1.Alert
		before   bool
		activity float64
		golden   bool
	}{
		{"create", share(curfewv1.AlertState_ALERT_STATE_OPEN), false, 1, true},
		{"update", share(curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED), true, 2, false},
		{"close", share(curfewv1.AlertState_ALERT_STATE_RESOLVED), true, 3, true},
		{"bare", bare, false, 1, true},
		{"empty", &curfewv1.Alert{}, false, 1, false},
		{"hostile", hostile, false, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := json.MarshalIndent(ocsf.Finding(c.in, c.before), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > 64<<10 || strings.ContainsRune(string(text), '\u202e') {
				t.Errorf("got %d bytes of hostile text", len(text))
			}
			var got map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if got["class_uid"] != 2004.0 || got["activity_id"] != c.activity || got["type_uid"] != 200400+c.activity {
				t.Errorf("got class %v, activity %v, type %v, want activity %v", got["class_uid"], got["activity_id"], got["type_uid"], c.activity)
			}
			missing(t, "", got)
			if c.golden {
				golden(t, c.name, string(text)+"\n")
			}
		})
	}
}

// missing reports what is required and not there.
func missing(t *testing.T, path string, object map[string]any) {
	for _, names := range required[path] {
		found := false
		for name := range strings.SplitSeq(names, "|") {
			_, has := object[name]
			found = found || has
		}
		if !found {
			t.Errorf("%s has no %s", path, names)
		}
	}
	for name, value := range object {
		if list, ok := value.([]any); ok && len(list) > 0 {
			value = list[0]
		}
		if inner, ok := value.(map[string]any); ok {
			missing(t, strings.TrimPrefix(path+"."+name, "."), inner)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name + ".json"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTyped holds that what the schema takes in one form alone is left out in any other.
func TestTyped(t *testing.T) {
	for _, c := range []struct{ email, ip, wantEmail, wantIP string }{
		{"ida@example.com", "192.0.2.7", "ida@example.com", "192.0.2.7"},
		{"ida", "nowhere", "", ""},
		{"a b@example.com", "2001:db8::1%eth0", "", "2001:db8::1"},
	} {
		a := share(curfewv1.AlertState_ALERT_STATE_OPEN)
		a.Finding.Event.Actor.Email, a.Finding.Event.Context.Ip = c.email, c.ip
		evidence := ocsf.Finding(a, false)["evidences"].([]ocsf.Object)[0]
		email, _ := evidence["actor"].(ocsf.Object)["user"].(ocsf.Object)["email_addr"].(string)
		endpoint, _ := evidence["src_endpoint"].(ocsf.Object)
		if ip, _ := endpoint["ip"].(string); email != c.wantEmail || ip != c.wantIP {
			t.Errorf("%q, %q: got %q, %q", c.email, c.ip, email, ip)
		}
	}
}

// TestUIDs holds that the same twice can be told, and each episode and version.
func TestUIDs(t *testing.T) {
	uids := func(episode, version uint64) [2]any {
		a := share(curfewv1.AlertState_ALERT_STATE_OPEN)
		a.Episode, a.Version = episode, version
		o := ocsf.Finding(a, false)
		return [2]any{o["finding_info"].(ocsf.Object)["uid"], o["metadata"].(ocsf.Object)["uid"]}
	}
	for _, c := range []struct{ got, want [2]any }{
		{uids(1, 1), [2]any{"f00d/1", "f00d/1/1"}}, {uids(1, 2), [2]any{"f00d/1", "f00d/1/2"}}, {uids(2, 3), [2]any{"f00d/2", "f00d/2/3"}},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

func TestNote(t *testing.T) {
	o := ocsf.Note("r1", "p1", []string{"person:bob took it on\u202e"}, time.Unix(1, 0))
	if o["message"] != "person:bob took it on\ufffd" || o["type_uid"] != 99 || o["time"] != int64(1000) {
		t.Errorf("got %v", o)
	}
	if m := o["metadata"].(ocsf.Object); m["uid"] != "r1" || m["correlation_uid"] != "p1" {
		t.Errorf("got %v", m)
	}
}
