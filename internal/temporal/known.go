// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

// Known is what a fold knew at one point: its relation, and from when until when each inventory is known. It is immutable and safe
// for concurrent use; nil knows nothing.
type Known struct {
	relation *Relation
	since    map[lane]int64
	lost     map[lane]int64
}

// Known is what has been folded so far.
func (f *Fold) Known() *Known {
	k := &Known{relation: f.Relation(), since: make(map[lane]int64, len(f.lanes)), lost: map[lane]int64{}}
	for at, o := range f.lanes {
		if !o.heard {
			continue // only events spoke of it
		}
		k.since[at] = o.since()
		if lost := o.lost(); lost < End {
			k.lost[at] = lost
		}
	}
	return k
}

// Links is what a holder holds directly.
func (k *Known) Links(holder string) []Link {
	if k == nil {
		return nil
	}
	return k.relation.Links(holder)
}

// Since is from when an inventory is known, End where no reading was whole yet; awaited is false where there was none at
// all, as for a source whose inventory is off.
func (k *Known) Since(source, kind string) (at int64, awaited bool) {
	if k == nil {
		return End, false
	}
	at, awaited = k.since[lane{source, kind}]
	if !awaited {
		at = End
	}
	return at, awaited
}

// Lost is from when an inventory is known no longer, for a record of it is missing and none with everything came since;
// End where it is known, or never was. What held before is certain up to then, and what Links says of later is a guess.
func (k *Known) Lost(source, kind string) int64 {
	if k == nil {
		return End
	}
	if at, lost := k.lost[lane{source, kind}]; lost {
		return at
	}
	return End
}
