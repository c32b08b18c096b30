// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// unplacedServer answers with accounts, the number of which shrinks.
type unplacedServer struct {
	curfewv1.UnimplementedPolicyServiceServer
	token    string
	accounts int
}

func (s *unplacedServer) ListUnplaced(ctx context.Context, _ *curfewv1.ListUnplacedRequest) (*curfewv1.ListUnplacedResponse, error) {
	if shown, _ := metadata.FromIncomingContext(ctx); strings.Join(shown.Get("authorization"), "") != "Bearer "+s.token {
		return nil, errors.New("the call shows no valid token")
	}
	answer := &curfewv1.ListUnplacedResponse{}
	for i := range s.accounts {
		answer.Accounts = append(answer.Accounts, &curfewv1.UnplacedAccount{
			Subject: fmt.Sprintf("unknown:okta/00u%d", i), Source: "okta", Decisions: uint64(s.accounts - i),
			Last: timestamppb.New(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)),
		})
	}
	return answer, nil
}

// serveUnplaced is a configuration whose API is s.
func serveUnplaced(t *testing.T, s *unplacedServer) config.Config {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	curfewv1.RegisterPolicyServiceServer(server, s)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	conf := config.Default()
	conf.Data, conf.API.Listen, conf.Policy = t.TempDir(), listener.Addr().String(), "policy"
	s.token = strings.Repeat("a", 64)
	if err := os.WriteFile(filepath.Join(conf.Data, tokenFile), []byte(s.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return conf
}

func printed(t *testing.T, checks []*curfewv1.Check) string {
	t.Helper()
	var out bytes.Buffer
	if err := printChecks(&out, []diagnosis{{of: "curfew", checks: checks}}, false); err != nil && !errors.Is(err, errNo) {
		t.Fatal(err)
	}
	return out.String()
}

func TestDoctorListsWhoBelongsToNobody(t *testing.T) {
	t.Setenv("CURFEW_TOKEN_FILE", "")
	for _, c := range []struct {
		accounts int
		lines    []string
	}{
		{0, []string{`^  yes  people behind accounts    all who acted in the last seven days are known$`}},
		{1, []string{`^  \?    1 account .* belong to nobody known`, `identities\.yaml: accounts: \{SOURCE: \[ID\]\}`, `^  \?    unknown:okta/00u0 +1 act, at 2026-11-02T09:00:00Z$`}},
		{shownAccounts, []string{`20 accounts`, `unknown:okta/00u19 +1 act, at`}},
		{57, []string{`57 accounts`, `unknown:okta/00u0 +57 acts, the last at`, `unknown:okta/00u19 `, `and 37 more`}},
	} {
		s := &unplacedServer{accounts: c.accounts}
		got := printed(t, examineAccounts(t.Context(), serveUnplaced(t, s)))
		for _, line := range c.lines {
			if !regexp.MustCompile("(?m)" + line).MatchString(got) {
				t.Errorf("%d accounts: got\n%swant a line like %s", c.accounts, got, line)
			}
		}
		if shown := strings.Count(got, "unknown:okta/"); shown != min(c.accounts, shownAccounts) {
			t.Errorf("%d accounts: got %d of them listed", c.accounts, shown)
		}
	}
}

func TestDoctorSaysThatItCouldNotAsk(t *testing.T) {
	t.Setenv("CURFEW_TOKEN_FILE", "")
	answering := serveUnplaced(t, &unplacedServer{accounts: 1})
	refused, nobody := answering, answering
	refused.Data = t.TempDir()
	if err := os.WriteFile(filepath.Join(refused.Data, tokenFile), []byte(strings.Repeat("b", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	nobody.API.Listen = "127.0.0.1:1"
	noToken := answering
	noToken.Data = t.TempDir()
	for name, c := range map[string]struct {
		conf config.Config
		want string
	}{
		"no token": {noToken, "admin.token: no such file"}, "a token of another's": {refused, "shows no valid token"},
		"nobody there": {nobody, "connection refused"},
	} {
		checks := examineAccounts(t.Context(), c.conf)
		if len(checks) != 1 || checks[0].GetVerdict() != curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED || !strings.Contains(checks[0].GetWhy(), c.want) || checks[0].GetHow() == "" {
			t.Errorf("%s: got %v, want one ? with %q", name, checks, c.want)
		}
	}
	t.Setenv("CURFEW_TOKEN_FILE", filepath.Join(answering.Data, tokenFile))
	if got := printed(t, examineAccounts(t.Context(), noToken)); !strings.Contains(got, "unknown:okta/00u0") {
		t.Errorf("the token that the environment names: got %s", got)
	}
}

func TestDoctorSaysWhichGroupsNobodyIsAskedFor(t *testing.T) {
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := judge.NewPolicy(map[string][]byte{"policy.csv": []byte(`p, role:anyone, *, *, level:low, *, allow
p, group:okta/00g1, *, *, order, read, allow
p, group:github/2, *, *, code, read, allow
p, group:slack/S1, *, *, order, read, allow
`)}, cat)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "curfew.yaml")
	if err := os.WriteFile(path, []byte("sources: {okta: {inventory: off}, github: {}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := config.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	got := printed(t, examineGroups(conf, policy))
	for _, want := range []string{"no   memberships of okta", "the inventory of okta is off", "no   memberships of slack", "slack is not configured"} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%swant %q", got, want)
		}
	}
	if strings.Contains(got, "github") {
		t.Errorf("github is asked: got\n%s", got)
	}
}

func TestDoctorSaysWhoseFindingsReachPeople(t *testing.T) {
	conf := config.Config{Mode: config.Alert, Sources: map[string]config.Source{"okta": {Mode: config.Observe}, "slack": {Mode: config.Alert}, "github": {}}}
	got := printed(t, examineAlerts(conf))
	for _, want := range []string{"yes  alerts ", "off  alerts of okta ", "set sources.okta.mode: alert"} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%swant %q", got, want)
		}
	}
	if strings.Contains(got, "slack") || strings.Contains(got, "github") {
		t.Errorf("what goes by the mode of the whole is not said again: got\n%s", got)
	}
}
