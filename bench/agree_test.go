// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bench

import "testing"

// Costs can be compared only where the answers are the same.
func TestEnginesAgree(t *testing.T) {
	for _, s := range sizes() {
		t.Run(s.name, func(t *testing.T) {
			p := newPolicy(s)
			asked := p.requests(2_000)
			want := make([]bool, len(asked))
			allowed := 0
			for _, e := range append(peers(), own()...) {
				decide := e.make(t, p)
				step := 1
				if e.slow && len(p.rows) > 5_000 {
					step = 20
				}
				for i := 0; i < len(asked); i += step {
					got, err := decide(asked[i])
					if err != nil {
						t.Fatal(err)
					}
					if e.name == "casbin" {
						want[i] = got
						if got {
							allowed++
						}
					} else if got != want[i] {
						t.Errorf("%s: %+v: got %v, want %v as Casbin says", e.name, asked[i], got, want[i])
					}
				}
			}
			if got := len(p.rows) + len(p.links); got != s.rows {
				t.Errorf("got %d rows, want %d", got, s.rows)
			}
			if allowed < 1_300 || allowed > 1_500 {
				t.Errorf("got %d of %d allowed, want about seven in ten", allowed, len(asked))
			}
		})
	}
}

func TestFloorAllows(t *testing.T) {
	allowed, err := newFloor(t)(request{personName(1), shopName(1), prefix(1) + "rec-1", acts()[0]})
	if err != nil || !allowed {
		t.Errorf("got %v, %v, want that it is allowed", allowed, err)
	}
}
