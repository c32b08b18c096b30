// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"container/heap"
	"context"
	"time"
)

// Schedule sets when an item is due.
func (m *Memory) Schedule(ctx context.Context, index, item string, due time.Time) error {
	return m.ScheduleAll(ctx, index, map[string]time.Time{item: due})
}

// ScheduleAll sets when items are due.
func (m *Memory) ScheduleAll(_ context.Context, index string, due map[string]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.index(index)
	for item, at := range due {
		if at.IsZero() {
			d.drop(item)
			continue
		}
		d.set(item, at)
	}
	return nil
}

// Unschedule takes an item from an index.
func (m *Memory) Unschedule(_ context.Context, index, item string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index(index).drop(item)
	return nil
}

// Claim returns items that are due.
func (m *Memory) Claim(_ context.Context, index string, now time.Time, hold time.Duration, limit int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.index(index)
	var items []string
	for len(items) < limit && d.Len() > 0 && d.order[0].at <= now.UnixMicro() {
		items = append(items, d.order[0].item)
		heap.Pop(d)
	}
	for _, item := range items {
		d.set(item, now.Add(hold))
	}
	return items, nil
}

// Next is when the first item of an index is due.
func (m *Memory) Next(_ context.Context, index string) (time.Time, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.index(index)
	if d.Len() == 0 {
		return time.Time{}, false, nil
	}
	return time.UnixMicro(d.order[0].at), true, nil
}

func (m *Memory) index(name string) *dues {
	if m.indexes[name] == nil {
		m.indexes[name] = &dues{place: map[string]int32{}}
	}
	return m.indexes[name]
}

// dues is a due index: a heap, and where in it each item stands.
type dues struct {
	order []dueItem
	place map[string]int32
}

// dueItem is an item with when it is due, in microseconds as in Redis: there may be very many.
type dueItem struct {
	at   int64
	item string
}

func (d *dues) set(item string, due time.Time) {
	at := due.UnixMicro()
	place, there := d.place[item]
	if !there {
		heap.Push(d, dueItem{at, item})
		return
	}
	d.order[place].at = at
	heap.Fix(d, int(place))
}

func (d *dues) drop(item string) {
	if place, there := d.place[item]; there {
		heap.Remove(d, int(place))
	}
}

// Len is how many items there are.
func (d *dues) Len() int { return len(d.order) }

// Less is whether an item is due before another.
func (d *dues) Less(i, j int) bool {
	a, b := d.order[i], d.order[j]
	return a.at < b.at || a.at == b.at && a.item < b.item
}

// Swap changes two items' places.
func (d *dues) Swap(i, j int) {
	d.order[i], d.order[j] = d.order[j], d.order[i]
	d.place[d.order[i].item], d.place[d.order[j].item] = int32(i), int32(j)
}

// Push puts an item behind the others, for package heap.
func (d *dues) Push(x any) {
	added, _ := x.(dueItem)
	d.place[added.item] = int32(len(d.order))
	d.order = append(d.order, added)
}

// Pop takes the last item, for package heap.
func (d *dues) Pop() any {
	last := d.order[len(d.order)-1]
	d.order[len(d.order)-1] = dueItem{}
	d.order = d.order[:len(d.order)-1]
	delete(d.place, last.item)
	return last
}
