// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package granttest knows who must have what: it is told what happens to grants and at the vendor's console, and says what
// the vendor has to show.
package granttest

import "slices"

// Oracle is the truth of one privilege of one holder. Its levels are ranks, the higher the more. The zero value is a
// privilege that nobody has.
type Oracle struct {
	standing, shown int // ranks, from 1; 0 = none
	wanted          map[string]int
}

// Stand is somebody giving a level for good, before any grant does.
func (o *Oracle) Stand(rank int) { o.standing, o.shown = rank, rank }

// Remove is somebody taking it away, whoever gave it.
func (o *Oracle) Remove() { o.standing, o.shown = 0, 0 }

// Give is a grant of a level that begins: what is wanted by any is there then.
func (o *Oracle) Give(id string, rank int) {
	if o.wanted == nil {
		o.wanted = map[string]int{}
	}
	o.wanted[id] = rank
	o.shown = max(o.shown, o.most())
}

// End is a grant that ends: what nobody wants any more goes, and nothing comes back.
func (o *Oracle) End(id string) {
	delete(o.wanted, id)
	o.shown = min(o.shown, o.most())
}

// Wanted is which grants have begun and not ended, sorted.
func (o *Oracle) Wanted() (ids []string) {
	for id := range o.wanted {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Shown is the rank that the vendor has to show at a quiet moment; 0 = none.
func (o *Oracle) Shown() int { return o.shown }

func (o *Oracle) most() int {
	most := o.standing
	for _, rank := range o.wanted {
		most = max(most, rank)
	}
	return most
}
