// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import "fmt"

// didYouMean is a question after the nearest of some names; "" where none is near.
func didYouMean(name string, names []string) string {
	best, least := "", 3
	for _, other := range names {
		if d := distance(name, other); d > 0 && d < least && d*3 <= len(name) {
			best, least = other, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is how many letters must be put in, left out, changed or swapped with the next to make one name of the other.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now := make([]int, len(b)+1)
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last = last, now
	}
	return last[len(b)]
}

// neighbour is a known name that is one letter away; "" where there is none.
func neighbour(name string, known func(string) bool) string {
	const letters = "abcdefghijklmnopqrstuvwxyz_"
	for i := range len(name) + 1 {
		head, tail := name[:i], name[i:]
		var tries []string
		if tail != "" {
			tries = append(tries, head+tail[1:])
		}
		if len(tail) > 1 {
			tries = append(tries, head+tail[1:2]+tail[:1]+tail[2:])
		}
		for _, letter := range letters {
			tries = append(tries, head+string(letter)+tail)
			if tail != "" {
				tries = append(tries, head+string(letter)+tail[1:])
			}
		}
		for _, try := range tries {
			if known(try) {
				return try
			}
		}
	}
	return ""
}
