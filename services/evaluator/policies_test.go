// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

func writeFile(t testing.TB, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRevisions(t *testing.T) {
	b := bustest.New(t)
	dir := t.TempDir()
	writeFile(t, dir, "policy.csv", "p, role:anyone, *, *, level:low, *, allow\n")
	o := options(t, b, "one")
	o.PolicyDir = dir
	begin := time.Now()
	first, err := openPolicies(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := openPolicies(t.Context(), o); err != nil || same.newest().number != 1 {
		t.Fatalf("an unchanged folder must make no revision: got %+v, %v", same.newest(), err)
	}
	writeFile(t, dir, "policy.csv", "p, role:anyone, *, *, level:low, read, allow\n")
	// Three replicas find the change at once.
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			p, err := openPolicies(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			if got := p.newest(); got.number != 2 || got.from.Before(time.Now()) {
				t.Errorf("got revision %d from %v, want 2, and from a moment to come", got.number, got.from)
			}
		})
	}
	group.Wait()
	if err := first.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := first.now()
	for _, c := range []struct {
		name string
		at   time.Time
		want int
	}{
		{"before the first there is none, and people are named by the first", begin.Add(-time.Second), 0},
		{"until the second is in force the first is", now[1].from.Add(-1), 0},
		{"from its start on a revision is in force", now[1].from, 1},
	} {
		policy, start := now.at(c.at)
		if policy.Digest() != now[c.want].policy.Digest() || !start.Equal(now[0].from) {
			t.Errorf("%s: got %s since %v", c.name, policy.Digest(), start)
		}
	}
}

// A restart brings a folder into force if it has changed, and never undoes what a person applied.
func TestRestarts(t *testing.T) {
	const folder, person = "folder", "person"
	policy := func(name string) string { return adminRow + "# " + name + "\n" }
	for _, c := range []struct {
		name  string
		steps [][2]string // who brings which policy; a folder is found at a start
		want  string      // the newest then, "" = the standard one
		warns bool
	}{
		{"the first start", [][2]string{{folder, "a"}}, "a", false},
		{"a folder that changed", [][2]string{{folder, "a"}, {folder, "b"}}, "b", false},
		{"and changed back", [][2]string{{folder, "a"}, {folder, "b"}, {folder, "a"}}, "a", false},
		{"a person's revision survives", [][2]string{{folder, "a"}, {person, "b"}, {folder, "a"}}, "b", true},
		{"a person went back", [][2]string{{folder, "a"}, {folder, "b"}, {person, "a"}, {folder, "b"}}, "a", true},
		{"the folder changed after that", [][2]string{{folder, "a"}, {person, "b"}, {folder, "c"}}, "c", false},
		{"to what the person had applied", [][2]string{{folder, "a"}, {person, "b"}, {folder, "b"}}, "b", false},
		{"no folder", [][2]string{{folder, ""}, {person, "b"}, {folder, ""}}, "b", true},
		{"the folder is taken away", [][2]string{{folder, "a"}, {folder, ""}}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said bytes.Buffer
			o := options(t, bustest.New(t), "one")
			o.Log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn}))
			var p *policies
			for _, step := range c.steps {
				var err error
				if step[0] == person {
					files := map[string][]byte{"policy.csv": []byte(policy(step[1]))}
					applied, invalid := judge.NewPolicy(files, o.Catalog)
					if invalid != nil {
						t.Fatal(invalid)
					}
					_, _, err = p.apply(t.Context(), applied, admin, "test", "")
				} else {
					o.PolicyDir = ""
					if step[1] != "" {
						o.PolicyDir = t.TempDir()
						writeFile(t, o.PolicyDir, "policy.csv", policy(step[1]))
					}
					p, err = openPolicies(t.Context(), o)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			want, err := judge.StandardPolicy(o.Catalog)
			if c.want != "" {
				want, err = judge.NewPolicy(map[string][]byte{"policy.csv": []byte(policy(c.want))}, o.Catalog)
			}
			if err != nil || p.newest().policy.Digest() != want.Digest() {
				t.Errorf("got revision %d by %s, %v, want the policy %q", p.newest().number, p.newest().policy.record.GetAuthor(), err, c.want)
			}
			if warns := strings.Contains(said.String(), "has not changed since"); warns != c.warns {
				t.Errorf("got the warning %q, want one: %v", said.String(), c.warns)
			}
		})
	}
}

// storeRevision stores one more revision and returns its digest.
func storeRevision(t *testing.T, p *policies, rows string, from time.Time) (digest string) {
	t.Helper()
	policy, err := judge.NewPolicy(map[string][]byte{"policy.csv": []byte(rows)}, p.catalog)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.store(t.Context(), policy, "test", "test", from); err != nil {
		t.Fatal(err)
	}
	if err := p.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return policy.Digest()
}

// A replica that hears of no revision, as its watch is stalled, asks before it judges; one that cannot ask judges nothing.
func TestAReplicaThatWasCutOff(t *testing.T) {
	address, _ := bustest.Cluster(t, 1)
	join := func() *bus.Bus {
		b, err := bus.Open(t.Context(), bus.Config{URL: address, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	connected, cut := join(), join()
	t.Cleanup(func() {
		if err := connected.Close(); err != nil {
			t.Error(err)
		}
	})
	applier, err := openPolicies(t.Context(), options(t, connected, "one"))
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, cut, "two")
	stalled, err := openPolicies(t.Context(), o) // nobody watches
	if err != nil {
		t.Fatal(err)
	}
	replica := newEvaluator(t, o, stalled)
	begun := time.Now()
	if _, err := replica.knowledge.since(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	digest := storeRevision(t, applier, lowRow, time.Now())
	e := driveEvent("sam@linden-lark.example.com", "view", "read")
	by, err := replica.knowledge.since(t.Context(), e.GetReceived().AsTime())
	if err != nil {
		t.Fatal(err)
	}
	if d := by.Decide(e); d.GetPolicyDigest() != digest || by.basis.GetPolicyRevision() != 2 {
		t.Errorf("got a decision by %s, basis %v, want by %s", d.GetPolicyDigest(), by.basis, digest)
	}
	// An event whose source's clock is ahead is judged by a revision that is to come and that nobody has made ready.
	ahead := time.Now().Add(judge.MaxSkew / 2)
	digest = storeRevision(t, applier, adminRow, ahead)
	e = driveEvent("sam@linden-lark.example.com", "view", "read")
	e.Time = timestamppb.New(ahead)
	if by, err = replica.knowledge.since(t.Context(), e.GetReceived().AsTime()); err != nil {
		t.Fatal(err)
	}
	if d := by.Decide(e); d.GetPolicyDigest() != digest {
		t.Errorf("ahead: got a decision by %s, want by %s", d.GetPolicyDigest(), digest)
	}
	if err := cut.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := replica.knowledge.since(ctx, time.Now()); err == nil {
		t.Error("cut off: got a picture to judge by, want an error")
	}
}

// The digest that a revision was applied with is checked against its files.
func TestChangedFilesAreNotJudgedBy(t *testing.T) {
	b := bustest.New(t)
	p, err := openPolicies(t.Context(), options(t, b, "one"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := encodeRevision(&curfewv1.PolicyRevision{
		Format: 1, Number: 2, Digest: "beef", From: timestamppb.Now(), Files: map[string][]byte{"policy.csv": []byte(adminRow)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), bus.Policies, value, "main", "2"); err != nil {
		t.Fatal(err)
	}
	if err := p.load(t.Context()); err == nil || !strings.Contains(err.Error(), "not the beef") {
		t.Errorf("got %v, want an error that names the digest", err)
	}
}

// Of the policies that are in force no longer a few stay ready, and each is there when it is asked for.
func TestOldPoliciesAreMadeAgain(t *testing.T) {
	b := bustest.New(t)
	p, err := openPolicies(t.Context(), options(t, b, "one"))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now().Add(-time.Hour)
	digests := []string{p.newest().policy.Digest()}
	for i := range 3 * maxReady {
		digests = append(digests, storeRevision(t, p, fmt.Sprintf("%s# %d\n", adminRow, i), begun.Add(time.Duration(i+1)*time.Second)))
	}
	for range 2 {
		for i, want := range digests {
			if got := p.now()[i].policy.wait().Digest(); got != want {
				t.Errorf("revision %d: got %s, want %s", i+1, got, want)
			}
		}
	}
	if got := len(p.ready); got > maxReady+2 {
		t.Errorf("got %d policies kept ready, want at most %d", got, maxReady+2)
	}
	if newest := p.newest().policy; newest.made.Load() == nil {
		t.Error("the newest must stay ready")
	}
}
