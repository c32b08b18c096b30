// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// memo remembers what Casbin said of rows that all match. It is bounded (a later answer takes an earlier one's place) and
// safe for concurrent use.
type memo struct {
	slots []atomic.Pointer[answered]
}

// answered is an answer, with all the rows it is for: an equal hash alone says nothing.
type answered struct {
	rows []int32
	verdict
}

const (
	ways     = 4 // slots an answer can stand in
	maxSlots = 1 << 16
	maxKept  = 256 // rows of one answer
)

// newMemo has room for a policy of so many rows.
func newMemo(rows int) *memo {
	return &memo{slots: make([]atomic.Pointer[answered], min(maxSlots, 2*ways<<bits.Len(uint(rows))))}
}

// set is the slots that an answer for these rows can stand in, and the one of them that is given up for it.
func (m *memo) set(rows []int32) (set []atomic.Pointer[answered], victim uint64) {
	const odd = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio
	hash := uint64(len(rows))
	for _, row := range rows {
		hash = (hash ^ uint64(uint32(row))) * odd
		hash ^= hash >> 29
	}
	first := hash >> 40 & uint64(len(m.slots)-1) &^ (ways - 1) // the high bits are mixed best
	return m.slots[first : first+ways], hash >> 62
}

func (m *memo) get(rows []int32) (verdict, bool) {
	set, _ := m.set(rows)
	for i := range set {
		if a := set[i].Load(); a != nil && slices.Equal(a.rows, rows) {
			return a.verdict, true
		}
	}
	return verdict{}, false
}

func (m *memo) put(rows []int32, v verdict) {
	if len(rows) > maxKept {
		return
	}
	set, victim := m.set(rows)
	a := &answered{slices.Clone(rows), v}
	for i := range set {
		if set[i].CompareAndSwap(nil, a) {
			return
		}
	}
	set[victim].Store(a)
}
