// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// story reads facts: "0-2+" is a reading that ran from 0 to 2 and showed it, "4-6-" one that did not, and "e5+" an event
// that told it to begin at 5; "e5+b" is one of that moment with the id b.
func story(t *testing.T, text string) []fact {
	t.Helper()
	var facts []fact
	for number, word := range strings.Fields(text) {
		f := fact{origin: word, reading: number}
		var sign rune
		if rest, told := strings.CutPrefix(word, "e"); told {
			if _, err := fmt.Sscanf(rest, "%d%c", &f.from, &sign); err != nil {
				t.Fatalf("%s: %v", word, err)
			}
			f.until, f.id, f.reading = f.from, word, 0
			if _, id, named := strings.Cut(rest, string(sign)); named && id != "" {
				f.id = id
			}
		} else if _, err := fmt.Sscanf(word, "%d-%d%c", &f.from, &f.until, &sign); err != nil {
			t.Fatalf("%s: %v", word, err)
		}
		f.present, f.known = sign == '+', f.until
		facts = append(facts, f)
	}
	return facts
}

// show writes links: "..2?" is uncertain until 2, "5..8" certain from 5 until 8.
func show(links []Link) string {
	var words []string
	for _, l := range links {
		word := ".."
		if l.From != Start {
			word = fmt.Sprint(l.From) + word
		}
		if l.Until != End {
			word += fmt.Sprint(l.Until)
		}
		if l.Uncertain {
			word += "?"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestSpans(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"nothing said", "", ""},
		{"seen", "10-12+", "..12? 12.."},
		{"seen again", "10-12+ 20-22+", "..12? 12.."},
		{"not seen", "10-12-", "..12?"},
		{"seen, seen again, gone", "10-12+ 20-22+ 30-32-", "..12? 12..20 20..32?"},
		{"gone at once", "10-12+ 20-22-", "..22?"},
		{"gone and come back", "10-12+ 13-14+ 20-22- 30-32+ 40-42+", "..12? 12..13 13..32? 32.."},
		{"gone, still gone, come back", "10-12+ 13-14+ 20-22- 25-26- 30-32+", "..12? 12..13 13..22? 25..32? 32.."},
		{"told to begin", "e10+", "10.."},
		{"told to end", "e10-", "..10?"},
		{"told to begin and end", "e10+ e20-", "10..20"},
		{"not seen, told to begin", "10-12- e20+", "..12? 20.."},
		{"not seen, told to begin, seen", "10-12- e20+ 30-32+", "..12? 20.."},
		{"not seen, told to begin, still not seen", "10-12- e20+ 30-32-", "..12? 20..32?"},
		{"seen, told to end", "10-12+ e20-", "..12? 12..20"},
		{"seen, told to end, not seen", "10-12+ e20- 30-32-", "..12? 12..20"},
		{"seen, told to end, still seen", "10-12+ e20- 30-32+", "..12? 12..20 20..32? 32.."},
		{"told while being read, seen", "10-12- 19-21+ e20+", "..12? 20.."},
		{"told while being read, not seen", "10-12- 19-21- e20+", "..12? 20.."},
		{"told at the first moment of a reading", "10-12- 20-21- e20+", "..12? 20.."},
		{"told at the last moment of a reading", "10-12- 19-20- e20+ 30-32+", "..12? 20.."},
		{"told just before a reading that does not see it", "10-12- e20+ 21-22-", "..12? 20..22?"},
		{"told in the bracket of two readings", "10-12+ e20- 30-32- e40+ 50-52+", "..12? 12..20 40.."},
		{"the beginning went untold", "10-12- e20- 30-32-", "..20?"},
		{"the beginning went untold, told by two", "10-12- e20- e25-", "..25?"},
		{"the end went untold", "10-12+ e20+", "..20? 20.."},
		{"begun twice", "e10+ e20+ e30-", "10..20? 20..30"},
		{"ended twice", "e10+ e20- e30-", "10..20 20..30?"},
		{"ended and begun at one moment", "10-12+ e20- e20+b", "..12? 12.."},
		{"begun and ended at one moment", "10-12- e20+ e20-b", "..12?"},
		{"begun, ended and begun at one moment", "10-12- e20+ e20-b e20+c", "..12? 20.."},
		{"one event tells both", "10-12+ e20-b e20+b", "..12? 12.."},
		{"the same event twice", "e10+ e10+ e20- e20-", "10..20"},
		{"two events tell the same", "e10+ e10+b e20- e20-b", "10..20"},
		{"in and out between two readings", "10-12- e14+ e16- 20-22-", "..12? 14..16"},
		{"out and in between two readings", "10-12+ e14- e16+ 20-22+", "..12? 12..14 16.."},
		{"readings that overlap", "10-20+ 15-25+ 30-32-", "..20? 20..32?"},
		{"readings with the same clock", "10-12+ 10-12-", "..12?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := show(spans("group:x", story(t, test.in))); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			for seed := range uint64(20) {
				facts := story(t, test.in+" "+test.in)
				for i := range facts {
					facts[i].reading %= max(1, len(strings.Fields(test.in)))
				}
				rand.New(rand.NewPCG(seed, 1)).Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
				if got := show(spans("group:x", facts)); got != test.want {
					t.Fatalf("in another order and twice: got %q, want %q", got, test.want)
				}
			}
		})
	}
}

func TestSpansSayWhoToldThem(t *testing.T) {
	facts := story(t, "10-12+ 13-14+ 20-22- e30+ e40-")
	var got []string
	for _, l := range spans("group:x", facts) {
		got = append(got, fmt.Sprintf("%s by %s, known %d", show([]Link{l}), l.Origin, l.Known))
	}
	want := []string{
		"..12? by 10-12+, known 12", "12..13 by 10-12+, known 12", "13..22? by 20-22-, known 22", "30..40 by e30+, known 30",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
