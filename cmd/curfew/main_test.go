// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// asCurfew makes this test binary the real program, for tests that must kill a process.
const asCurfew = "CURFEW_TEST_AS_CURFEW"

func TestMain(m *testing.M) {
	if os.Getenv(asCurfew) != "" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"curfew": main})
}

// The scripts drive the real binary from end to end. Each has ports of its own: $TELEMETRY, and in $API the flags by
// which the client finds the API. "waitfor URL" waits until the URL answers with 200, "until PATTERN PROGRAM ..." runs a
// program until it prints what the pattern matches.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			api, telemetry, other := freePort(t), freePort(t), freePort(t)
			_, telemetryPort, err := net.SplitHostPort(telemetry)
			if err != nil {
				return err
			}
			env.Setenv("API", "--address="+api)
			env.Setenv("CURFEW_TOKEN_FILE", filepath.Join(env.WorkDir, "data", tokenFile))
			env.Setenv("TELEMETRY", telemetryPort)
			for name, addresses := range map[string][2]string{"curfew.yaml": {api, telemetry}, "second.yaml": {other, "127.0.0.1:0"}, "port.yaml": {other, telemetry}} {
				if _, err := os.Stat(filepath.Join(env.WorkDir, name)); err == nil {
					continue
				}
				text := fmt.Sprintf("data: data\napi: {listen: %q}\ntelemetry: {listen: %q}\n", addresses[0], addresses[1])
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(text), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitfor": waitFor, "until": until},
	})
}

func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for range 300 {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, args[0], nil)
		ts.Check(err)
		if response, err := http.DefaultClient.Do(request); err == nil {
			ts.Check(response.Body.Close())
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		<-time.After(100 * time.Millisecond)
	}
	ts.Fatalf("%s did not answer within 30 seconds", args[0])
}

func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	for range 100 {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	ts.Fatalf("it printed nothing that matches %s", args[0])
}
