// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/grant"
	"github.com/curfewhq/curfew/internal/grant/granttest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/source/github"
)

// repository is a GitHub repository, what one person may do with it, and what they should.
type repository struct {
	*scene
	vendor *fake.GitHub
	granttest.Oracle
	removed bool     // somebody took it away
	done    []string // what was done, for a test that fails
}

// ladderOf are the levels of a repository; a rank is an index.
func ladderOf() []string { return []string{"", "read", "triage", "write", "maintain", "admin"} }

func newRepository(t *testing.T, b *bus.Bus) *repository {
	t.Helper()
	vendor := fake.NewGitHub(fake.GitHubConfig{Token: "token"})
	vendor.Directory(func(d *fake.GitHubDirectory) {
		d.Person("ada", "member")
		d.Repo("store")
	})
	noLog := false
	r := &repository{vendor: vendor}
	r.scene = newScene(t, b, "github", vendor, func(url string) (Source, error) {
		return github.New(github.Config{URL: url, Org: "example", Token: config.SecretValue("token"), AuditLog: &noLog})
	})
	r.hire()
	return r
}

func (r *repository) privilege(rank int) *curfewv1.Privilege {
	return &curfewv1.Privilege{
		Source: "github", Kind: "collaborator", Level: ladderOf()[rank], Holder: strconv.FormatInt(fake.GitHubID("ada"), 10), HolderName: "ada",
		Resource: strconv.FormatInt(fake.GitHubID("repo store"), 10), ResourceName: "store",
	}
}

// set is a person at GitHub's own pages.
func (r *repository) set(rank int) {
	r.vendor.Directory(func(d *fake.GitHubDirectory) {
		levels := d.Repos[fake.GitHubID("repo store")].Collaborators
		if levels[fake.GitHubID("ada")] = ladderOf()[rank]; rank == 0 {
			delete(levels, fake.GitHubID("ada"))
		}
	})
}

func (r *repository) shows() (level string) {
	r.vendor.Directory(func(d *fake.GitHubDirectory) {
		level = d.Repos[fake.GitHubID("repo store")].Collaborators[fake.GitHubID("ada")]
	})
	return level
}

func (r *repository) note(format string, values ...any) {
	r.done = append(r.done, fmt.Sprintf(format, values...))
}

func (r *repository) give(rank int) {
	id := r.grant(240*time.Hour, r.privilege(rank))
	r.Give(id, rank)
	r.note("give %s %s", id, ladderOf()[rank])
}

func (r *repository) end(id string) {
	r.change(id, func(g *curfewv1.Grant) *curfewv1.Grant { return grant.Revoke(g, r.clock.Now()) })
	r.End(id)
	r.note("end %s", id)
}

// settle waits until nothing is to be done, and wants what the oracle says.
func (r *repository) settle() {
	r.Helper()
	r.until(30*time.Minute, func() bool {
		settled := true
		r.crew[0].book.Each(func(e grant.Entry) bool {
			settled = settled && e.Value.GetState() == stateActive
			return settled
		})
		return settled
	})
	if got, want := r.shows(), ladderOf()[r.Shown()]; got != want {
		r.Fatalf("GitHub shows %q, want %q; done: %q", got, want, r.done)
	}
}

// Any interleaving of grants of one privilege at several levels, of one that was there before, of somebody who takes it
// away, and of collectors that die: at each quiet moment the vendor shows what somebody wants, and no more.
func TestOverlap(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 9))
			r := newRepository(t, b)
			defer r.dismiss()
			if random.IntN(4) == 0 {
				r.hire() // two at once, as if there was no lease
			}
			if random.IntN(2) == 0 {
				rank := 1 + random.IntN(5)
				r.set(rank)
				r.Stand(rank)
				r.note("stand %s", ladderOf()[rank])
			}
			for range 8 {
				wanted := r.Wanted()
				for range 1 + random.IntN(3) {
					if !r.removed {
						// Then it makes no difference whether one that ends at once was given.
						wanted = r.Wanted()
					}
					switch {
					case len(wanted) < 5 && random.IntN(2) == 0:
						r.give(1 + random.IntN(5))
					case len(wanted) > 0:
						i := random.IntN(len(wanted))
						r.end(wanted[i])
						wanted = slices.Delete(wanted, i, i+1)
					}
					if random.IntN(4) == 0 {
						r.pass(time.Duration(random.IntN(4000)) * time.Millisecond)
					}
				}
				if random.IntN(5) == 0 {
					r.crew[0].stop()
					r.hire()
					r.note("another collector")
				}
				r.settle()
				if random.IntN(4) == 0 {
					r.set(0)
					r.Remove()
					r.removed = true
					r.note("somebody takes it away")
				}
			}
			for _, id := range r.Wanted() {
				r.end(id)
			}
			r.settle()
		})
	}
}

func TestLevels(t *testing.T) {
	rank := ladder{vendor: mustSource(t), kind: "collaborator"}
	state := func(level string) *curfewv1.PrivilegeState {
		return &curfewv1.PrivilegeState{Presence: curfewv1.Presence_PRESENCE_PRESENT, Level: level}
	}
	nothing := &curfewv1.PrivilegeState{Presence: curfewv1.Presence_PRESENCE_ABSENT}
	for _, c := range []struct {
		name          string
		a, b          *curfewv1.PrivilegeState
		within, lower bool // a is within b; a or b is the lower
	}{
		{"nothing in something", nothing, state("read"), true, true},
		{"something in nothing", state("read"), nothing, false, false},
		{"less in more", state("read"), state("admin"), true, true},
		{"more in less", state("admin"), state("read"), false, false},
		{"the same by another word", state(""), state("write"), true, true},
		{"a role that nobody can rank", state("our-own"), state("admin"), false, true},
	} {
		if got := rank.within(c.a, c.b); got != c.within {
			t.Errorf("%s: within: got %v, want %v", c.name, got, c.within)
		}
		if got := rank.lower(c.a, c.b) == c.a; got != c.lower {
			t.Errorf("%s: the first is the lower: got %v, want %v", c.name, got, c.lower)
		}
	}
}

func mustSource(t *testing.T) Provisioner {
	t.Helper()
	source, err := github.New(github.Config{URL: "https://api.github.example.com", Org: "example", Token: config.SecretValue("token")})
	if err != nil {
		t.Fatal(err)
	}
	return source
}
