// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// results is the measured values: package and benchmark, then unit, then one value a run.
type results struct {
	values map[string]map[string][]float64
	lacked map[string]bool
}

func newResults() *results {
	return &results{map[string]map[string][]float64{}, map[string]bool{}}
}

// line is one benchmark's result. A name that comes again within one run is numbered "#01".
var line = regexp.MustCompile(`^Benchmark(\S+?)(?:#\d+)?(?:-\d+)?\s+\d+\s+(.*)$`)

// read takes in what `go test -bench` printed.
func (r *results) read(output []byte) {
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
		if r.values[name] == nil {
			r.values[name] = map[string][]float64{}
		}
		fields := strings.Fields(match[2])
		for i := 0; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil {
				r.values[name][fields[i+1]] = append(r.values[name][fields[i+1]], value)
			}
		}
	}
}

// median of a benchmark's values in a unit; not a number where there are none, which is remembered.
func (r *results) median(name, unit string) float64 {
	values := slices.Sorted(slices.Values(r.values[name][unit]))
	if len(values) == 0 {
		r.lacked[name+" in "+unit] = true
		return math.NaN()
	}
	return values[len(values)/2]
}

// names is the benchmarks whose name within their package begins so.
func (r *results) names(beginning string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.values)) {
		if _, bench, _ := strings.Cut(name, " "); strings.HasPrefix(bench, beginning) {
			names = append(names, name)
		}
	}
	return names
}

// lacking is an error that names what was asked for and not measured: on the page it is a question mark.
func (r *results) lacking() error {
	if len(r.lacked) == 0 {
		return nil
	}
	return fmt.Errorf("write docs/benchmarks.md: no benchmark gave %s; was it renamed?", strings.Join(slices.Sorted(maps.Keys(r.lacked)), ", "))
}
