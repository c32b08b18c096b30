// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Command benchdoc runs every benchmark and writes docs/benchmarks.md: medians, each beside its limit or peer of the same
// run. `make bench` calls it from the repository's root.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// count is how often each benchmark runs.
const count = 5

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "benchdoc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	results := results{}
	for _, set := range [][]string{
		{"-bench", "Enforce|Decide$", "./services/evaluator"},
		{"-bench", "Evaluator", "-benchtime", "3x", "./services/evaluator"},
		{"-bench", "Eval", "-benchtime", "3x", "./cmd/curfew"},
		{"-bench", "Idle", "-benchtime", "1x", "./cmd/curfew"},
		{"-bench", "Decode", "./services/collector/source/..."},
		{"-count", "3", "-bench", "Backfill|Webhook|ManySources", "-benchtime", "1x", "./services/collector"}, // a million events each
	} {
		// One after the other: two at once would measure each other.
		arguments := []string{"test", "-p", "1", "-run", "^$", "-count", strconv.Itoa(count)}
		arguments = append(arguments, set...)
		command := exec.CommandContext(ctx, "go", arguments...)
		command.Stderr = os.Stderr
		output, err := command.Output()
		if err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(arguments, " "), err, output)
		}
		fmt.Printf("%s", output)
		results.read(output)
	}
	return os.WriteFile("docs/benchmarks.md", results.page(), 0o644)
}

// results is the measured values: package and benchmark, then unit, then one value a run.
type results map[string]map[string][]float64

var line = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

func (r results) read(output []byte) {
	scanner := bufio.NewScanner(bytes.NewReader(output))
	pkg := ""
	for scanner.Scan() {
		if name, is := strings.CutPrefix(scanner.Text(), "pkg: "); is {
			pkg = name[strings.LastIndexByte(name, '/')+1:]
		}
		match := line.FindStringSubmatch(scanner.Text())
		if match == nil {
			continue
		}
		name := pkg + " " + match[1]
		if r[name] == nil {
			r[name] = map[string][]float64{}
		}
		fields := strings.Fields(match[2])
		for i := 0; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil {
				r[name][fields[i+1]] = append(r[name][fields[i+1]], value)
			}
		}
	}
}

// median of a benchmark's values in a unit; 0 where there are none.
func (r results) median(name, unit string) float64 {
	values := slices.Sorted(slices.Values(r[name][unit]))
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}

func (r results) page() []byte {
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Benchmarks\n\nWritten by `make bench`, by nothing else: medians of %d runs with %s on %d cores, every file synced before it is\nacknowledged (`sync_interval: always`). Machines are shared and noisy: read the ratios, which are of one run.\n\n", count, runtime.Version(), runtime.NumCPU())
	batch, one, limit := r.median("evaluator Evaluator/batch=256", "events/s"), r.median("evaluator Evaluator/batch=1", "events/s"), r.median("evaluator Evaluator/limit", "events/s")
	fmt.Fprintf(&page, "## The evaluator's path\n\nConsume, decode, decide, write findings and one decision an event, durable.\n\n| way | events/s | of the limit |\n|---|---|---|\n")
	fmt.Fprintf(&page, "| batches of 256 events, one lane | %.0f | %.0f %% |\n| one event a message, same durability | %.0f | %.1f %% |\n| limit: same batches copied, nothing decided | %.0f | 100 %% |\n\n", batch, 100*batch/limit, one, 100*one/limit, limit)
	fmt.Fprintf(&page, "Batches against one event a message: **%.0f times**. Goals: at least 40,000 events/s and 8 times.\n\n", batch/one)
	table, asJSON, floor := r.median("curfew Eval/table", "events/s"), r.median("curfew Eval/json", "events/s"), r.median("curfew Eval/limit", "events/s")
	fmt.Fprintf(&page, "## `curfew eval`, one core\n\nRead, decode, judge, print.\n\n| way | events/s | of the limit |\n|---|---|---|\n")
	fmt.Fprintf(&page, "| `-o table` | %.0f | %.0f %% |\n| `-o json`, the raw record in it | %.0f | %.0f %% |\n| limit: encoding/json alone, a few fields | %.0f | 100 %% |\n\nGoal: at least 20,000 events/s.\n\n", table, 100*table/floor, asJSON, 100*asJSON/floor, floor)
	few, all := r.median("evaluator Enforce/candidates", "ns/op"), r.median("evaluator Enforce/all-rows", "ns/op")
	stored, polled, decoding := r.median("collector Backfill/stored", "events/s"), r.median("collector Backfill/polled", "events/s"), r.median("collector Backfill/decoding", "events/s")
	fmt.Fprintf(&page, "## The collector\n\nThe first read of 1,000,000 Okta events from a fake on loopback into EVENTS on disk.\n\n| way | events/s |\n|---|---|\n")
	fmt.Fprintf(&page, "| fetched, decoded, stored, each message synced | %.0f |\n| fetched and decoded, nothing stored | %.0f |\n| limit: decoding alone, one core | %.0f |\n\n", stored, polled, decoding)
	fmt.Fprintf(&page, "Decoding is **%.0f %%** of the CPU time of %d cores meanwhile. Goal: at least 40,000 events/s.\n\n", 100*stored/decoding/float64(runtime.NumCPU()), runtime.NumCPU())
	fmt.Fprintf(&page, "From a webhook's arrival until its event is in EVENTS on disk, at 500 a second:\n\n| way | p50 ms | p99 ms |\n|---|---|---|\n")
	for _, way := range [][2]string{{"webhook to durable event", "durable"}, {"limit: one synced write of its size", "limit"}} {
		fmt.Fprintf(&page, "| %s | %.1f | %.1f |\n", way[0], r.median("collector Webhook/"+way[1], "p50-ms"), r.median("collector Webhook/"+way[1], "p99-ms"))
	}
	fmt.Fprintf(&page, "\nGoal: p99 under 50 ms.\n\nOne collector with 50 sources, its bus in another process: **%.0f MB** of heap and stacks while all are polled, %.0f MB while all catch up\nwith a page of 1,000 records at once. Goal: under 150 MB.\n\n", r.median("collector ManySources", "MB-polled"), r.median("collector ManySources", "MB-catching-up"))
	fmt.Fprintf(&page, "## One decision\n\nThe example policy.\n\n| way | µs |\n|---|---|\n| Casbin over the rows that can matter | %.1f |\n| Casbin over all rows | %.1f (%.1f times) |\n| a whole decision, its record made | %.1f |\n\n", few/1e3, all/1e3, all/few, r.median("evaluator Decide", "ns/op")/1e3)
	fmt.Fprintf(&page, "## Decoders\n\n| source | µs a record | MB/s |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if pkg, bench, _ := strings.Cut(name, " "); strings.HasPrefix(bench, "Decode") {
			fmt.Fprintf(&page, "| %s%s | %.1f | %.0f |\n", pkg, strings.TrimPrefix(bench, "Decode"), r.median(name, "ns/op")/1e3, r.median(name, "MB/s"))
		}
	}
	fmt.Fprintf(&page, "\n## At rest\n\n`curfew run`, everything in one process, five seconds after its start: **%.0f MB** resident. Goal: under 100 MB.\n", r.median("curfew Idle", "MB"))
	return page.Bytes()
}
