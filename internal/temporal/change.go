// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

// Changed is the earliest moment about which the fold says something else than when Changed was last called; ok is false
// where it says the same of every moment.
func (f *Fold) Changed() (from int64, ok bool) {
	from, ok = f.changed, f.changed < End
	f.changed = End
	return from, ok
}

// set makes links what a holder holds, and notes from when on that is something else.
func (f *Fold) set(holder string, links []Link) {
	f.changed = min(f.changed, parting(f.links(holder), links))
	f.dirty[holder] = links
}

// parting is the earliest moment at which one of two lists of a holder's links, each in the order of compare, gives
// something that the other does not, or less certainly; End where there is none.
func parting(a, b []Link) int64 {
	first := End
	for i, j := 0, 0; i < len(a) || j < len(b); {
		order := 0
		switch {
		case i == len(a):
			order = 1
		case j == len(b):
			order = -1
		default:
			order = compareTimes(a[i], b[j])
		}
		if order == 0 && a[i].Uncertain == b[j].Uncertain {
			i, j = i+1, j+1
			continue
		}
		if order <= 0 {
			first, i = min(first, partingOf(a[i], b)), i+1
		}
		if order >= 0 {
			first, j = min(first, partingOf(b[j], a)), j+1
		}
	}
	return first
}

// partingOf is the earliest moment of a link at which the others do not give the same.
func partingOf(link Link, others []Link) int64 {
	at := link.From
	for at < link.Until {
		next := at
		for _, other := range others {
			if other.Held == link.Held && other.Dom == link.Dom && other.Uncertain == link.Uncertain && other.covers(at) {
				next = max(next, other.Until)
			}
		}
		if next == at {
			return at
		}
		at = next
	}
	return End
}
