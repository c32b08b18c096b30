// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"testing"

	"github.com/curfewhq/curfew/internal/fake/workspace"
)

// Slack's repeat of a click that is no command is answered once; another click is answered again.
func TestOnceAClick(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	l := &clicks{r: s.r}
	count := 0
	for _, once := range []string{"1.1", "1.1", "1.2"} {
		l.once(click{team: "T", user: "U", id: idDetails, once: once}, func(context.Context) { count++ }).then(t.Context())
	}
	if count != 2 {
		t.Errorf("got %d answers, want 2", count)
	}
}

// What is remembered has an end.
func TestMemory(t *testing.T) {
	m := memory{}
	for i := range 10_000 {
		if !m.add(string(rune(i))) || m.add(string(rune(i))) {
			t.Fatalf("%d is not new once", i)
		}
		if len(m.known) > 4096 || len(m.order) > 4096 {
			t.Fatalf("%d are remembered", len(m.known))
		}
	}
}
