// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"strings"
	"testing"
)

// printed is what `go test -bench` prints.
const printed = `goos: linux
pkg: github.com/curfewhq/curfew/bench
BenchmarkDecide/small/candidates-2     	   53709	      7900 ns/op	         4.0 cpu-us/op	    1855 B/op
BenchmarkDecide/small/candidates#01-2  	   53709	      7900 ns/op	         9.0 cpu-us/op	    1855 B/op
BenchmarkDecide/small/candidates#02-2  	   53709	      7900 ns/op	         5.0 cpu-us/op	    1855 B/op
BenchmarkDecide/medium/candidates-2    	   53709	      7900 ns/op	         6.0 cpu-us/op	    1855 B/op
BenchmarkDecide/medium/casbin-2        	    9000	     50000 ns/op	        45.0 cpu-us/op	   10000 B/op
BenchmarkDecide/medium/opa-2           	    9000	     50000 ns/op	        18.0 cpu-us/op	   10000 B/op
BenchmarkAlertmanager/200-2            	       1	 558910160 ns/op	         5.000 delivered	       195.0 lost
BenchmarkAlertmanager/1000-2           	       1	3019894548 ns/op	         6.000 delivered	       994.0 lost
PASS
pkg: github.com/curfewhq/curfew/cmd/curfew
BenchmarkBurst-2                       	       1	2e+11 ns/op	         3.000 lost	         0 twice	        24.50 s-median	        31.00 s-max	        30.00 runs
BenchmarkCriticalBehind-2              	       1	2e+11 ns/op	        40.00 alerts	       990.0 ms-p99	       210.0 ms-p50	       990.0 ms-max
PASS
pkg: github.com/curfewhq/curfew/services/collector/source/okta
BenchmarkDecode 	   30000	     31400 ns/op	        51.0 MB/s
`

func TestMedian(t *testing.T) {
	r := newResults()
	r.read([]byte(printed))
	if got := r.median("bench Decide/small/candidates", "cpu-us/op"); got != 5 {
		t.Errorf("got %v, want the middle one of 4, 9 and 5", got)
	}
	if got := r.median("okta Decode", "MB/s"); got != 51 {
		t.Errorf("got %v, want 51", got)
	}
	if err := r.lacking(); err != nil {
		t.Errorf("got %v, want nothing lacking", err)
	}
	if got := r.median("bench Decide/small/gone", "cpu-us/op"); !math.IsNaN(got) {
		t.Errorf("got %v, want no number", got)
	}
	if err := r.lacking(); err == nil || !strings.Contains(err.Error(), "bench Decide/small/gone in cpu-us/op") {
		t.Errorf("got %v, want the benchmark named that is not there", err)
	}
}

func TestPage(t *testing.T) {
	r := newResults()
	r.read([]byte(printed))
	text := string(page(r, "\tgithub.com/casbin/casbin/v2 v2.135.0\n\tgithub.com/prometheus/alertmanager v0.34.2\n"))
	for _, want := range []string{
		"Casbin v2.135.0 with",
		"| 1,100 | 6 | ? | 45 | 18 | ? |\n",
		"| 1,100 | 7.50 | at least 8: **missed** | 3 | at least 4: **missed** | ? |\n",
		"| 11,000 | ? | at least 50 | ? | at least 4 | ? |\n",
		"| okta | 31.4 | 51 |\n",
		"| lost, of 30,000 alerts in 30 bursts | 3 | at most 0: **missed** |\n",
		"| shown twice | 0 | at most 0 |\n",
		"the slowest (median: 24.5 s) | 31 s | at most 30 s: **missed** |\n",
		"p99 of 40 (p50: 210 ms) | 990 ms | at most 1,000 ms |\n",
		"p99 of ? violations (p50: ? ms) | ? ms | under 1,000 ms |\n",
		"Alertmanager v0.34.2 in the same run",
		"| Alertmanager, nothing fails | 1,000 | 6 | 994 |\n",
		"| Curfew, one of three killed, a reply lost | 30,000 | 29,997 | 3 |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if err := r.lacking(); err == nil {
		t.Error("got no error, want one that says what was not measured")
	}
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		in   float64
		want string
	}{
		{0.1234, "0.12"}, {12.34, "12.3"}, {123.4, "123"}, {3139, "3,139"}, {1234567, "1,234,567"}, {-1234.5, "-1,234"}, {-123.4, "-123"}, {8, "8"}, {math.NaN(), "?"}, {math.Inf(1), "?"},
	} {
		if got := number(c.in); got != c.want {
			t.Errorf("number %v: got %s, want %s", c.in, got, c.want)
		}
	}
}
