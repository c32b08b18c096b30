// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Whatever a webhook or the log tells first, late, twice or, of a webhook, never, and wherever the collector is stopped:
// each act is one event.
func TestEveryActIsOneEvent(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0x686f6f6b))
			b, source := bustest.New(t), &bell{feeds: []string{"log"}}
			o := bellOptions(t, b, source)
			stop, door := start(t, o), webhooks(o)
			acts, want := 0, map[string]int{}
			var late []func()
			for range 60 {
				// The same act again is at the same time, nearly, or clearly further off than echoes may be: in between one may
				// stand there twice.
				at := time.Now().Add(-time.Duration(random.IntN(5)) * 7 * time.Minute)
				jitter := time.Duration(random.IntN(20)) * time.Second
				acts++
				logged, hooked, echo := fmt.Sprint("act", acts), fmt.Sprint("act", acts), ""
				if random.IntN(2) == 0 { // told under two ids
					hooked, echo = "hook"+hooked, fmt.Sprint("echo", random.IntN(8))
				}
				want[echo]++
				log := func() { source.add(ring(logged, echo, at)) }
				hook := func() {
					for range 1 + random.IntN(2) {
						if got := deliver(t, door, hooked, ring(hooked, echo, at.Add(jitter)), nil); got != http.StatusNoContent {
							t.Errorf("got status %d, want 204", got)
						}
					}
				}
				ways := []func(){log, hook}
				if random.IntN(4) == 0 {
					ways = ways[:1] // the webhook is lost
				}
				random.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
				for _, way := range ways {
					if random.IntN(3) == 0 {
						late = append(late, way)
						continue
					}
					way()
				}
				if random.IntN(6) == 0 {
					stop()
					if random.IntN(2) == 0 {
						o.Sources["bell"] = Configured{Source: rereading{source}, Decode: decodeBell, Interval: 5 * time.Millisecond}
					}
					door = webhooks(o)
					stop = start(t, o)
				}
			}
			for _, way := range late {
				way()
			}
			rung(t, b, acts)
			// Nothing comes behind it.
			source.add(ring("the last", "", time.Now()))
			deliver(t, door, "the very last", ring("the very last", "", time.Now()), nil)
			rung(t, b, acts+2)
			stop()
			got := map[string]int{}
			if err := b.Read(t.Context(), bus.EventSubject("main", "bell", "log"), bus.From{}, func(m bus.Message) error {
				batch := new(curfewv1.EventBatch)
				err := m.Decode(batch)
				for _, e := range batch.GetEvents() {
					got[e.GetEcho()]++
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			want[""] += 2
			if !maps.Equal(got, want) {
				t.Errorf("got %v events by what both ways say, want %v", got, want)
			}
		})
	}
}
