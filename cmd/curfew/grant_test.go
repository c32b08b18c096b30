// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The real process is killed while many grants are made and revoked, and callers whose answer was lost send the same
// again: each key has one grant with one beginning and one end, and no answer was untrue.
func TestKilledAnywhereEachKeyHasOneGrant(t *testing.T) {
	const keys, kills = 240, 6
	server := httptest.NewServer(fake.NewOkta(fake.OktaConfig{Token: "token"}))
	defer server.Close()
	p := &process{dir: t.TempDir(), api: freePort(t)}
	p.configure(t, server.URL, "policy: policy")
	rows := "p, role:analyst, *, *, customer, export, allow\np, service:admin, *, curfew/api/*, *, *, allow\n"
	if err := errors.Join(os.Mkdir(filepath.Join(p.dir, "policy"), 0o700), os.WriteFile(filepath.Join(p.dir, "policy", "policy.csv"), []byte(rows), 0o600)); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	todo, answers := make(chan string), make(chan *curfewv1.Grant)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for key := range todo {
				if g := insist(t.Context(), p, key); g != nil {
					answers <- g
				}
			}
		})
	}
	go func() {
		defer close(answers)
		for i := range keys {
			todo <- fmt.Sprint("key ", i)
		}
		close(todo)
		workers.Wait()
	}()
	answered, killed := map[string]*curfewv1.Grant{}, 0
	for g := range answers {
		answered[g.GetId()] = g
		if killed < kills && len(answered) >= (killed+1)*keys/(kills+1) {
			killed++
			<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond)
			p.kill(t)
			p.start(t)
		}
	}
	p.stop(t)
	if len(answered) != keys {
		t.Fatalf("got answers on %d grants, want %d", len(answered), keys)
	}
	steps := map[string][]*curfewv1.GrantStep{}
	b, err := bus.Open(t.Context(), bus.Config{Dir: filepath.Join(p.dir, "curfew-data")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Read(t.Context(), bus.All("grant"), bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.GrantStep)
		err := m.Decode(step)
		if step.GetAuthor() == "service:admin" { // what the clock brings, and what people were told, is between
			steps[step.GetGrant().GetId()] = append(steps[step.GetGrant().GetId()], step)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(steps) != keys {
		t.Errorf("got %d grants stored, want %d", len(steps), keys)
	}
	for id, g := range answered {
		if n := len(steps[id]); n != 2 || !steps[id][1].GetGrant().GetEndedAt().AsTime().Equal(g.GetEndedAt().AsTime()) {
			t.Errorf("%s: got steps %v, want it made once and revoked once, as answered: %v", id, steps[id], g)
		}
	}
}

// insist makes a grant under a key and revokes it, again and again until both are answered, and returns the last answer;
// nil where ctx ended before.
func insist(ctx context.Context, p *process, key string) *curfewv1.Grant {
	api := &client{address: p.api, tokenFile: filepath.Join(p.dir, "curfew-data", tokenFile)}
	request := &curfewv1.CreateGrantRequest{
		Subject: "person:ann", Role: "role:analyst", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)), Reason: "test", IdempotencyKey: key,
	}
	try := func() (*curfewv1.Grant, error) {
		conn, err := api.dial()
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		grants := curfewv1.NewGrantServiceClient(conn)
		made, err := grants.CreateGrant(ctx, request)
		if err != nil {
			return nil, err
		}
		taken, err := grants.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: made.GetGrant().GetId(), Reason: "test"})
		return taken.GetGrant(), err
	}
	for ctx.Err() == nil {
		if g, err := try(); err == nil {
			return g
		}
		<-time.After(20 * time.Millisecond) // not up again yet
	}
	return nil
}

func TestGrantSpan(t *testing.T) {
	for _, c := range []struct {
		name        string
		in          grantSpan
		from, until string // "" = absent; an end, or how long
		err         string
	}{
		{"for a while", grantSpan{length: "2h45m"}, "", "2h45m0s", ""},
		{"for days", grantSpan{length: "7d"}, "", "168h0m0s", ""},
		{"for a while from then", grantSpan{length: "45m", from: "2026-11-03T09:00"}, "2026-11-03T09:00:00Z", "45m0s", ""},
		{"until a day", grantSpan{until: "2026-11-06"}, "", "2026-11-06T00:00:00Z", ""},
		{"until a moment elsewhere", grantSpan{until: "2026-11-06T17:00:00+01:00"}, "", "2026-11-06T16:00:00Z", ""},
		{"neither", grantSpan{}, "", "", "either --for or --until"},
		{"both", grantSpan{length: "1h", until: "2026-11-06"}, "", "", "either --for or --until"},
		{"backwards", grantSpan{length: "-1h"}, "", "", `--for "-1h" is no length of time`},
		{"nothing", grantSpan{length: "0s"}, "", "", "is no length of time"},
		{"a number", grantSpan{length: "45"}, "", "", "write 45m, 2h45m or 7d"},
		{"too many days", grantSpan{length: "99999999d"}, "", "", "is no length of time"},
		{"until a length", grantSpan{until: "2h"}, "", "", `--until "2h" is a length of time`},
		{"from a length", grantSpan{length: "1h", from: "7d"}, "", "", `--from "7d" is a length of time`},
		{"until someday", grantSpan{until: "tomorrow"}, "", "", `--until "tomorrow" is no time; write 2026-11-02 or 2026-11-02T17:00:00Z`},
		{"until a second without a zone", grantSpan{until: "2026-11-22T23:00:00"}, "", "2026-11-22T23:00:00Z", ""},
		{"for less than a second", grantSpan{length: "999ms"}, "", "", `--for "999ms" is less than a second`},
	} {
		var from, end *timestamppb.Timestamp
		var length *durationpb.Duration
		err := c.in.into(&from, &end, &length, false)
		until := cell(end)
		if length != nil {
			until += length.AsDuration().String()
		}
		if c.err != "" {
			if !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v, want a usage error with %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || cell(from) != c.from || until != c.until {
			t.Errorf("%s: got %v to %v, %v, want %s to %s", c.name, from, until, err, c.from, c.until)
		}
	}
}

func TestGrantsReadWell(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(d)) }
	for _, c := range []struct {
		state              curfewv1.GrantState
		from, until, ended *timestamppb.Timestamp
		sentence, word     string
	}{
		{
			curfewv1.GrantState_GRANT_STATE_ACTIVE, at(0), at(2*time.Hour + 45*time.Minute - time.Millisecond), nil,
			"person:ann holds role:analyst until 2026-11-02T11:44:59Z (in 2h45m)", "active",
		},
		{
			curfewv1.GrantState_GRANT_STATE_APPROVED, at(time.Hour), at(8 * 24 * time.Hour), nil,
			"person:ann will hold role:analyst from 2026-11-02T10:00:00Z (in 1h) until 2026-11-10T09:00:00Z (for 7d23h)", "begins in 1h",
		},
		{
			curfewv1.GrantState_GRANT_STATE_ACTIVE, at(-time.Hour), at(-time.Minute), at(-time.Minute),
			"person:ann held role:analyst from 2026-11-02T08:00:00Z until 2026-11-02T08:59:00Z, when it ran out", "ran out",
		},
		{
			curfewv1.GrantState_GRANT_STATE_REVOKED, at(-time.Hour), at(time.Hour), at(-time.Minute),
			"person:ann held role:analyst from 2026-11-02T08:00:00Z until 2026-11-02T08:59:00Z, when it was revoked", "revoked",
		},
		{
			curfewv1.GrantState_GRANT_STATE_CANCELLED, at(time.Hour), at(2 * time.Hour), at(0),
			"person:ann was to hold role:analyst from 2026-11-02T10:00:00Z; it was cancelled at 2026-11-02T09:00:00Z and never began", "cancelled",
		},
	} {
		g := &curfewv1.Grant{Subject: "person:ann", Role: "role:analyst", State: c.state, From: c.from, ExpiresAt: c.until, EndedAt: c.ended}
		if got := grantSentence(g, now); got != c.sentence {
			t.Errorf("sentence: got %q, want %q", got, c.sentence)
		}
		if got := grantWord(g, now); got != c.word {
			t.Errorf("word: got %q, want %q", got, c.word)
		}
	}
	for in, want := range map[time.Duration]string{
		-time.Second: "0s", 59*time.Second + 900*time.Millisecond: "59s", time.Minute: "1m", 59*time.Minute + 40*time.Second: "1h",
		24*time.Hour - time.Second: "1d", 25 * time.Hour: "1d1h", 5 * time.Hour: "5h", 365 * 24 * time.Hour: "365d",
	} {
		if got := roughly(in); got != want {
			t.Errorf("roughly %s: got %s, want %s", in, got, want)
		}
	}
}
