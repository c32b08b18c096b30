// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
)

// manyRows is the files of a policy in which so many people hold one role each, of a tenth as many roles, of one p row
// each: the shape of Casbin's own benchmark.
func manyRows(people int) map[string][]byte {
	random := rand.New(rand.NewPCG(7, 7))
	classes := []string{"customer", "pii.contact", "order", "finance", "content.files", "admin", "secret", "code"}
	acts := []string{"read", "export", "update", "delete"}
	var rows bytes.Buffer
	for role := range people / 10 {
		fmt.Fprintf(&rows, "p, role:%d, tenant%d, google_workspace/drive/%d/*, %s, %s, allow\n", role, role%100, random.IntN(1000), classes[random.IntN(len(classes))], acts[random.IntN(len(acts))])
	}
	for person := range people {
		fmt.Fprintf(&rows, "g, person:p%06d, role:%d\n", person, random.IntN(people/10))
	}
	return map[string][]byte{policyFile: rows.Bytes()}
}

// BenchmarkApply is what a new revision takes before it can judge: its files are read, checked and indexed. The CPU time
// is that of the whole process, garbage collection included.
func BenchmarkApply(b *testing.B) {
	cat, err := catalog.Load()
	if err != nil {
		b.Fatal(err)
	}
	for _, people := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("rows=%d", people+people/10), func(b *testing.B) {
			files := manyRows(people)
			b.ReportAllocs()
			begun := cpuSeconds(b)
			for b.Loop() {
				if _, err := NewPolicy(files, cat); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpuSeconds(b)-begun)*1e3/float64(b.N), "cpu-ms/op")
		})
	}
}

func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return float64(use.Utime.Sec+use.Stime.Sec) + float64(use.Utime.Usec+use.Stime.Usec)/1e6
}
