// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Command benchdoc runs every benchmark and writes docs/benchmarks.md: medians, each beside its limit or peer of the same
// run. `make bench` calls it from the repository's root; given files, it reads benchmark lines from them instead.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
)

// count is how often each benchmark runs.
const count = 5

// set is one call of `go test`.
type set struct {
	folder    string // a module of its own, or "" for the product's
	arguments []string
}

func sets() []set {
	product := func(arguments ...string) set {
		// One package after the other: two at once would measure each other.
		return set{"", append([]string{"-p", "1", "-run", "^$", "-count", strconv.Itoa(count)}, arguments...)}
	}
	return []set{
		// Tests first: costs can be compared only where the answers are the same. It takes turns by itself.
		{"bench", []string{"-bench", ".", "-benchtime", "250ms", "-timeout", "20m", "."}},
		product("-bench", "Judge", "./services/evaluator/judge"),
		product("-bench", "^BenchmarkEvaluator$/^(batch=.*|bus)$|Backtest", "-benchtime", "3x", "./services/evaluator"),
		product("-bench", "^BenchmarkEvaluator$/^(decode|decide|encode)$", "./services/evaluator"),
		product("-bench", "JudgingMeanwhile", "-benchtime", "1x", "./services/evaluator"),
		product("-count", "1", "-bench", "Storm|Steady|Restart|GrantMemory", "-benchtime", "1x", "./services/notifier"), // in real time: a minute and more
		product("-bench", "Eval", "-benchtime", "3x", "./cmd/curfew"),
		product("-bench", "Idle", "-benchtime", "1x", "./cmd/curfew"),
		// In real time, some eight minutes: 30 bursts, five side by side, then two of a minute and more.
		product("-count", "1", "-bench", "^Benchmark(Burst|CriticalBehind|EventToSlack)$", "-benchtime", "1x", "-timeout", "30m", "./cmd/curfew"),
		product("-bench", "Decode", "./services/collector/source/..."),
		product("-count", "1", "-bench", "Storm", "-benchtime", "1x", "./services/collector"),                        // a minute
		product("-count", "3", "-bench", "Backfill|Webhook|ManySources", "-benchtime", "1x", "./services/collector"), // a million events each
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchdoc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, files []string) error {
	r := newResults()
	for _, name := range files {
		lines, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read benchmark lines: %w", err)
		}
		r.read(lines)
	}
	if len(files) == 0 {
		for _, s := range sets() {
			output, err := s.run(ctx)
			fmt.Printf("%s", output)
			if err != nil {
				return err
			}
			r.read(output)
		}
	}
	peers, err := os.ReadFile(filepath.Join("bench", "go.mod"))
	if err != nil {
		return fmt.Errorf("read the peers' versions: %w", err)
	}
	return errors.Join(os.WriteFile(filepath.Join("docs", "benchmarks.md"), page(r, string(peers)), 0o644), r.lacking())
}

func (s set) run(ctx context.Context) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"test"}, s.arguments...)...)
	command.Stderr = os.Stderr
	if s.folder != "" {
		command.Dir = s.folder
		command.Env = append(os.Environ(), "GOWORK=off")
	}
	output, err := command.Output()
	if err != nil {
		return output, fmt.Errorf("run go %s: %w", strings.Join(command.Args[1:], " "), err)
	}
	return output, nil
}
