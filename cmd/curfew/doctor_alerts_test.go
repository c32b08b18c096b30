// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// written is a configuration file with a text, in a folder of its own.
func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What doctor says to do can be done as it stands there.
func TestDoctorNamesTheConfigurationInItsHints(t *testing.T) {
	path := written(t, "a b.yaml", "receivers: {team: {type: slack, channel: C0INVENTED, bot_token: {env: TEAM}, app_token: {env: TEAM}, api_url: \"http://127.0.0.1:1/api/\"}}\n")
	t.Setenv("TEAM", "not a token")
	conf, err := config.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := printed(t, examineReceivers(t.Context(), conf, path)), "curfew alert test --config '"+path+"' --receiver team"; !strings.Contains(got, want) {
		t.Errorf("got\n%swant %q", got, want)
	}
	if got, want := printed(t, examineReceivers(t.Context(), config.Default(), "")), "curfew alert test --receiver console"; !strings.Contains(got, want) {
		t.Errorf("without a file: got\n%swant %q", got, want)
	}
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{"": "''", "/etc/curfew.yaml": "/etc/curfew.yaml", "a b": "'a b'", "it's": `'it'\''s'`, "$(id)": "'$(id)'", "pagé": "pagé"} {
		if got := shellWord(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestDoctorSaysWhetherTheHeartbeatIsSet(t *testing.T) {
	t.Setenv("BEAT", "https://beat.example.com/s3cr3t")
	t.Setenv("WRONG", "s3cr3t and no URL")
	for _, c := range []struct{ name, beat, want string }{
		{"not named", "", "off  heartbeat"},
		{"set", "heartbeat: {url: {env: BEAT}}", "yes  heartbeat"},
		{"not set", "heartbeat: {url: {env: NO_SUCH_BEAT}}", "no   heartbeat                 alerts.heartbeat.url: read secret: environment variable NO_SUCH_BEAT is not set"},
		{"no URL", "heartbeat: {url: {env: WRONG}}", "no   heartbeat                 alerts.heartbeat.url: it holds no URL"},
	} {
		conf, err := config.Read(written(t, "curfew.yaml", "alerts: {"+c.beat+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := printed(t, examineAlerts(conf)); !strings.Contains(got, c.want) || strings.Contains(got, "s3cr3t") {
			t.Errorf("%s: got\n%swant %q, and no secret", c.name, got, c.want)
		}
	}
}

// A misspelt detection is said by doctor, and curfew does not run with it.
func TestADetectionThatThereIsNotIsRefused(t *testing.T) {
	for _, c := range []struct{ name, alerts, want string }{
		{"route", "routes: [{name: a, detections: [unauthorised_access], receivers: [console]}]", `alerts.routes[0].detections: no detection is called "unauthorised_access"; there are`},
		{"inhibit", "inhibit: [{detection: nope, hides: [unauthorized_access], same: entity}]", `alerts.inhibit[0].detection: no detection is called "nope"`},
	} {
		path := written(t, "curfew.yaml", "api: {listen: \"127.0.0.1:0\"}\ntelemetry: {listen: \"127.0.0.1:0\"}\nreceivers: {console: {}}\nalerts: {"+c.alerts+"}\n")
		conf, err := config.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := printed(t, examineAlerts(conf)); !strings.Contains(got, "no   detections of alerts") || !strings.Contains(got, c.want) {
			t.Errorf("%s: doctor: got\n%swant %q", c.name, got, c.want)
		}
		var out, errs bytes.Buffer
		if exit := run(t.Context(), []string{"run", "--config", path}, nil, &out, &errs); exit != exitFailed || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: run: got %d and %s, want %d and %q", c.name, exit, &errs, exitFailed, c.want)
		}
	}
	for _, own := range []string{"source_silent", "used_after_end", "policy_mismatch", "unauthorized_access"} {
		if err := checkDetections(config.Alerts{Routes: []config.Route{{Detections: []string{own}}}}); err != nil {
			t.Errorf("%s: got %v, want nil", own, err)
		}
	}
}

func TestDoctorSaysWhichClassThePolicyHasNot(t *testing.T) {
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := judge.StandardPolicy(cat)
	if err != nil {
		t.Fatal(err)
	}
	conf := config.Config{Alerts: config.Alerts{Routes: []config.Route{{Name: "money", Classes: []string{"finance", "finanse"}}}}}
	got := printed(t, examineClasses(conf, policy))
	if !strings.Contains(got, `?    class finanse`) || !strings.Contains(got, "there are ") || strings.Contains(got, "class finance ") {
		t.Errorf("got\n%swant finanse alone", got)
	}
}
