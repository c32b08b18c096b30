// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// BenchmarkJudgingMeanwhile is how long one decision takes at most, and what it rests on to be asked for anew, while a
// policy of 110,000 rows is checked, stored, loaded and made ready. Beside it the same while nothing is applied.
func BenchmarkJudgingMeanwhile(b *testing.B) {
	for _, apply := range []bool{true, false} {
		b.Run(fmt.Sprintf("apply=%v", apply), func(b *testing.B) {
			on := bustest.New(b)
			e := benchEvaluator(b, on)
			files := manyRows(b, 100_000)
			event := benchEvents(1)[0]
			var longest, asking time.Duration
			decisions := 0
			for i := range b.N {
				done := make(chan error, 1)
				go func() {
					if !apply {
						<-time.After(500 * time.Millisecond)
						done <- nil
						return
					}
					files["policy.csv"] = append(files["policy.csv"], fmt.Sprintf("# %d\n", i)...)
					policy, err := judge.NewPolicy(files, e.Catalog)
					if err == nil {
						_, _, err = e.policies.apply(b.Context(), policy, admin, "bench", "")
					}
					if err == nil {
						_, err = e.policies.newest().policy.get(b.Context())
					}
					done <- err
				}()
				for waiting := true; waiting; {
					begun := time.Now()
					by, err := e.knowledge.since(b.Context(), begun)
					if err != nil {
						b.Fatal(err)
					}
					asked := time.Now()
					by.Decide(event)
					longest, asking, decisions = max(longest, time.Since(asked)), asking+asked.Sub(begun), decisions+1
					select {
					case err := <-done:
						if waiting = false; err != nil {
							b.Fatal(err)
						}
					default:
					}
				}
			}
			b.ReportMetric(longest.Seconds()*1e3, "max-ms")
			b.ReportMetric(asking.Seconds()*1e3/float64(decisions), "asking-ms")
		})
	}
}
