// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Observer is what the collector asks of a source that can show all there is.
type Observer interface {
	Kinds() []string
	Observe(ctx context.Context, kind string) (*curfewv1.Inventory, error)
}

// Directory is a fake vendor with people, groups and what they hold. Its methods are called while requests are served.
type Directory interface {
	http.Handler
	// Change makes something else true of each kind: things appear, change and vanish. Each number makes its own changes.
	Change(n int)
	// Truth is every entry of a kind as it is now, as Observe is to give it.
	Truth(kind string) []*curfewv1.Entry
	// Forbid makes the vendor refuse a part of what an Observe of the kind reads, as it refuses a missing right, and not
	// the whole; false where every part is needed.
	Forbid(kind string) bool
}

// InventoryCase is a source under test that can show all there is.
type InventoryCase struct {
	// Source is its name in the list.
	Source string
	// New makes a source that knows nothing but its configuration.
	New func(t *testing.T, options Options) Observer
	// Directory makes a vendor that wants the token. Seed 0 has no faults; every other seed has some, the same each time.
	Directory func(seed uint64, token string) Directory
}

// kinds is all that a source can show.
var kinds = []string{"people", "groups", "memberships", "roles", "apps", "tokens"}

// Inventory holds the source of c to what is promised of an inventory: it is what the vendor's truth is, or says what it
// lacks.
func Inventory(t *testing.T, c InventoryCase) {
	open := func(t *testing.T, d Directory, pageSize int) Observer {
		return c.New(t, Options{URL: serve(t, d), Token: token, PageSize: pageSize, Impatient: true})
	}
	offered := open(t, c.Directory(0, token), 0).Kinds()
	if len(offered) == 0 {
		t.Fatal("it shows nothing")
	}
	for _, kind := range offered {
		if !slices.Contains(kinds, kind) {
			t.Errorf("it shows %q, want one of %v", kind, kinds)
		}
	}
	t.Run("truth", func(t *testing.T) {
		for _, pageSize := range []int{1, 2, 3, 100} {
			d := c.Directory(0, token)
			source := open(t, d, pageSize)
			for n := range 3 {
				d.Change(n)
				for _, kind := range offered {
					c.whole(t, source, d, kind)
				}
			}
		}
	})
	t.Run("a part refused", func(t *testing.T) {
		for _, kind := range offered {
			d := c.Directory(0, token)
			d.Change(0)
			if !d.Forbid(kind) {
				continue
			}
			got, err := open(t, d, 2).Observe(t.Context(), kind)
			if err != nil {
				t.Errorf("%s with a part refused: %v", kind, err)
				continue
			}
			if len(got.GetMissing()) == 0 {
				t.Errorf("%s with a part refused: nothing is said to be missing", kind)
			}
			c.sound(t, got, kind)
			c.within(t, got, d.Truth(kind))
		}
	})
	t.Run("faults", func(t *testing.T) {
		whole := 0
		for seed := uint64(1); seed <= seeds; seed++ {
			d := c.Directory(seed, token)
			d.Change(int(seed))
			source := open(t, d, 2)
			for _, kind := range offered {
				for range 20 {
					got, err := source.Observe(t.Context(), kind)
					if err != nil {
						continue
					}
					c.sound(t, got, kind)
					if len(got.GetMissing()) == 0 {
						whole++
						c.equal(t, got, d.Truth(kind))
						break
					}
					c.within(t, got, d.Truth(kind))
				}
			}
		}
		if whole == 0 {
			t.Error("with faults no inventory was whole, in many tries")
		}
	})
	t.Run("unknown kind", func(t *testing.T) {
		if got, err := open(t, c.Directory(0, token), 2).Observe(t.Context(), "no_such_kind"); err == nil {
			t.Errorf("got %v, want an error", got)
		}
	})
	c.secrets(t, offered)
	c.cancel(t, offered[0])
}

// whole wants an inventory of the truth.
func (c InventoryCase) whole(t *testing.T, source Observer, d Directory, kind string) {
	t.Helper()
	before := time.Now()
	got, err := source.Observe(t.Context(), kind)
	if err != nil {
		t.Errorf("observe %s: %v", kind, err)
		return
	}
	c.sound(t, got, kind)
	if began, ended := got.GetBegan().AsTime(), got.GetEnded().AsTime(); began.Before(before.Add(-time.Second)) || ended.Before(began) {
		t.Errorf("observe %s: got from %v to %v, asked at %v", kind, began, ended, before)
	}
	if len(got.GetMissing()) > 0 {
		t.Errorf("observe %s: got %q missing, want nothing", kind, got.GetMissing())
	}
	c.equal(t, got, d.Truth(kind))
}

// sound wants an inventory to be what every one must be.
func (c InventoryCase) sound(t *testing.T, got *curfewv1.Inventory, kind string) {
	t.Helper()
	if got.GetSource() != c.Source || got.GetKind() != kind || got.GetBegan() == nil || got.GetEnded() == nil {
		t.Errorf("got source %q, kind %q, began %v, ended %v, want %q, %q and both times", got.GetSource(), got.GetKind(), got.GetBegan(), got.GetEnded(), c.Source, kind)
	}
	if text, err := protojson.Marshal(got); err != nil {
		t.Errorf("%s: it cannot be written: %v", kind, err)
	} else if strings.Contains(string(text), token) {
		t.Errorf("%s: it tells of the token", kind)
	}
	seen := map[string]bool{}
	for _, entry := range got.GetEntries() {
		if entry.GetKey() == "" || seen[entry.GetKey()] || entry.GetThing() == nil {
			t.Errorf("%s: entry %v has no key of its own or is nothing", kind, entry)
		}
		seen[entry.GetKey()] = true
	}
}

func (c InventoryCase) equal(t *testing.T, got *curfewv1.Inventory, truth []*curfewv1.Entry) {
	t.Helper()
	if diff := cmp.Diff(sorted(truth), sorted(got.GetEntries()), protocmp.Transform()); diff != "" {
		t.Errorf("%s differs from the truth (-truth +got):\n%s", got.GetKind(), diff)
	}
}

// within wants nothing that is not true.
func (c InventoryCase) within(t *testing.T, got *curfewv1.Inventory, truth []*curfewv1.Entry) {
	t.Helper()
	known := map[string]*curfewv1.Entry{}
	for _, entry := range truth {
		known[entry.GetKey()] = entry
	}
	for _, entry := range got.GetEntries() {
		if !proto.Equal(known[entry.GetKey()], entry) {
			t.Errorf("%s: got %v, which is not true", got.GetKind(), entry)
		}
	}
}

func sorted(entries []*curfewv1.Entry) []*curfewv1.Entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b *curfewv1.Entry) int { return strings.Compare(a.GetKey(), b.GetKey()) })
}

// secrets lets vendors throw the request back: no error and no missing part tells of the token.
func (c InventoryCase) secrets(t *testing.T, offered []string) {
	for _, status := range []int{200, 400, 401, 403, 404, 500} {
		address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { throwBack(w, r, status, 40) }))
		source := c.New(t, Options{URL: address, Token: token, PageSize: 2, Impatient: true})
		for _, kind := range offered {
			got, err := source.Observe(t.Context(), kind)
			if err == nil && len(got.GetMissing()) == 0 {
				t.Errorf("%s of a vendor that answers %d with nonsense: got %d entries as the whole, want an error or what is missing", kind, status, len(got.GetEntries()))
			}
			for _, text := range append(got.GetMissing(), errorText(err)) {
				if strings.Contains(text, token[:8]) || strings.Contains(text, "\n") {
					t.Errorf("%s, status %d: it tells of the token or has several lines: %s", kind, status, text)
				}
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// cancel wants an observation to end with its context.
func (c InventoryCase) cancel(t *testing.T, kind string) {
	waits := make(chan struct{}, 1)
	address := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case waits <- struct{}{}:
		default:
		}
		_, _ = io.Copy(io.Discard, r.Body) // until then nobody sees that the client has gone
		<-r.Context().Done()
	}))
	source := c.New(t, Options{URL: address, Token: token, PageSize: 2})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := source.Observe(ctx, kind)
		ended <- err
	}()
	select {
	case <-waits:
	case <-time.After(patience):
		t.Fatal("observe did not come to ask")
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got error %v, want context.Canceled in it", err)
		}
	case <-time.After(patience):
		t.Error("observe went on after it was cancelled")
	}
}
