// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// sheet is the page as it is written.
type sheet struct {
	bytes.Buffer
	*results
}

// page is docs/benchmarks.md, by the results and the go.mod of the peers.
func page(r *results, peers string) []byte {
	s := &sheet{results: r}
	s.say("# Benchmarks")
	s.say(`Written by %s, by nothing else: medians of up to %d runs with %s on %d cores, every file synced before it is
acknowledged (%s). Machines are shared and noisy: read the ratios, which are of one run.`,
		"`make bench`", count, runtime.Version(), runtime.NumCPU(), "`sync_interval: always`")
	s.decisions(peers)
	s.evaluator()
	s.eval()
	s.collector()
	s.grants()
	s.alerts(peers)
	s.decoders()
	s.say("## At rest")
	s.say("`curfew run`, everything in one process, five seconds after its start: **%s MB** resident. Goal: under 100 MB.", whole(s.median("curfew Idle", "MB")))
	return append(bytes.TrimRight(s.Bytes(), "\n"), '\n')
}

// say writes a paragraph.
func (s *sheet) say(format string, values ...any) { fmt.Fprintf(s, format+"\n\n", values...) }

// table writes a table of which the first row is the head.
func (s *sheet) table(rows ...[]string) {
	for i, cells := range rows {
		fmt.Fprintf(s, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			fmt.Fprintf(s, "|%s\n", strings.Repeat("---|", len(cells)))
		}
	}
	s.WriteByte('\n')
}

// version of a module, as the peers' go.mod has it; "?" where it does not, which is remembered.
func (s *sheet) version(peers, module string) string {
	found := regexp.MustCompile(regexp.QuoteMeta(module) + ` (\S+)`).FindStringSubmatch(peers)
	if found == nil {
		s.lacked["version of "+module] = true
		return "?"
	}
	return found[1]
}

// goal is what a value should be.
type goal struct {
	text string
	met  func(float64) bool
}

func atLeast(bound float64) goal {
	return goal{"at least " + number(bound), func(v float64) bool { return v >= bound }}
}

func atMost(bound float64) goal {
	return goal{"at most " + number(bound), func(v float64) bool { return v <= bound }}
}

func under(bound float64) goal {
	return goal{"under " + number(bound), func(v float64) bool { return v < bound }}
}

// against is a value's cells in a table: itself and its goal, marked where it is missed.
func (g goal) against(value float64, unit string) []string {
	mark := ""
	if !math.IsNaN(value) && !g.met(value) {
		mark = ": **missed**"
	}
	return []string{number(value) + unit, g.text + unit + mark}
}

// number is a value with about three digits that count.
func number(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v), math.IsInf(v, 0):
		return "?"
	case v == math.Trunc(v), size >= 100:
		return whole(v)
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// whole is a value without its fraction, its thousands apart.
func whole(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "?"
	}
	text := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// share is a value in hundredths of another.
func share(v, of float64) string { return number(100*v/of) + " %" }
