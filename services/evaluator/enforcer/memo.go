// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// memo remembers what Casbin said of rows that all match. It is bounded (a later answer takes an earlier one's slot) and
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
	maxSlots = 1 << 15
	maxKept  = 256 // of rows in one answer
)

// newMemo has room for a policy of so many rows.
func newMemo(rows int) *memo {
	return &memo{slots: make([]atomic.Pointer[answered], min(maxSlots, 16<<bits.Len(uint(rows))))}
}

func (m *memo) slot(rows []int32) *atomic.Pointer[answered] {
	const odd = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio, as Knuth has it
	hash := uint64(len(rows))
	for _, row := range rows {
		hash = (hash ^ uint64(uint32(row))) * odd
		hash ^= hash >> 29
	}
	return &m.slots[hash&uint64(len(m.slots)-1)]
}

func (m *memo) get(rows []int32) (verdict, bool) {
	a := m.slot(rows).Load()
	if a == nil || !slices.Equal(a.rows, rows) {
		return verdict{}, false
	}
	return a.verdict, true
}

func (m *memo) put(rows []int32, v verdict) {
	if len(rows) <= maxKept {
		m.slot(rows).Store(&answered{slices.Clone(rows), v})
	}
}
