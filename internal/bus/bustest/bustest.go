// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package bustest gives a test a bus of its own: a real server over a directory that goes with the test.
package bustest

import (
	"testing"

	"github.com/curfewhq/curfew/internal/bus"
)

// New returns an embedded bus that is closed when the test ends.
func New(t testing.TB) *bus.Bus {
	t.Helper()
	return Open(t, t.TempDir())
}

// Open is New over a directory of the caller's, to be opened again after Close.
func Open(t testing.TB, dir string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
