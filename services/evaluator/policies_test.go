// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus/bustest"
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
	if policy, start := now.at(begin.Add(-time.Second)); policy != now[0].policy || !begin.Add(-time.Second).Before(start) {
		t.Errorf("before the first revision: got %v from %v, want the first and its start", policy, start)
	}
	if policy, _ := now.at(time.Now()); policy != now[0].policy {
		t.Error("until the second is in force the first is")
	}
	if policy, _ := now.at(now[1].from); policy != now[1].policy {
		t.Error("from its start on a revision is in force")
	}
}
