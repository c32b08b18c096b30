// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"slices"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxHops is how far a role reaches through roles, as in Casbin's own role manager (rbac/default-role-manager).
const maxHops = 10

// Holding is everything that one name holds in a domain at a moment, itself first. It is immutable and safe for
// concurrent use.
type Holding struct {
	// From and Until bound the moments for which all of it is the same: [From, Until).
	From, Until int64

	steps []step
	index map[string]int32 // of steps; nil while they are few
	all   []step           // the steps over all links, where the ways of the uncertain ones lie; nil without any
}

// step is one thing held, with the link that gave it.
type step struct {
	name      string
	link      *Link
	by        int32 // the step that holds the link: of all where this one is uncertain, else of steps
	hops      int32
	uncertain bool // some link on every way here is
}

// Hold walks the links of the sources from a name, as far as Casbin's role manager would. What is reached by certain links
// alone comes first, nearest first; then, nearest first, what is reached only through uncertain ones.
func Hold(name, dom string, at int64, sources ...Source) *Holding {
	h := &Holding{From: Start, Until: End, steps: make([]step, 1, 8)}
	h.steps[0] = step{name: name}
	if doubt := h.walk(dom, at, sources, false); !doubt {
		return h
	}
	// Once more over all links: what this reaches and the first walk did not is uncertain.
	all := &Holding{From: h.From, Until: h.Until, steps: []step{{name: name}}}
	all.walk(dom, at, sources, true)
	h.From, h.Until, h.all = all.From, all.Until, all.steps
	for i := range all.steps {
		s := &all.steps[i]
		if s.uncertain = true; h.find(s.name) < 0 {
			h.add(*s)
		}
	}
	return h
}

// walk follows the links, all or the certain ones, and returns whether it passed by an uncertain one.
func (h *Holding) walk(dom string, at int64, sources []Source, all bool) (doubt bool) {
	for i := 0; i < len(h.steps); i++ {
		if h.steps[i].hops == maxHops {
			continue
		}
		holder, hops := h.steps[i].name, h.steps[i].hops
		for _, source := range sources {
			links, ended := linksAt(source, holder, at)
			h.From = max(h.From, ended)
			for j := range links {
				link := &links[j]
				if link.Dom != "" && link.Dom != dom {
					continue
				}
				h.narrow(link, at)
				if !link.covers(at) {
					continue
				}
				if link.Uncertain && !all {
					doubt = true
					continue
				}
				if h.find(link.Held) < 0 {
					h.add(step{name: link.Held, link: link, by: int32(i), hops: hops + 1})
				}
			}
		}
	}
	return doubt
}

// linksAt is the links of a holder that may stand at a moment; of the others the last ended at ended.
func linksAt(source Source, holder string, at int64) (links []Link, ended int64) {
	switch s := source.(type) {
	case *Relation:
		return s.linksAt(holder, at)
	case *Known:
		if s == nil {
			return nil, Start
		}
		return s.relation.linksAt(holder, at)
	default:
		return source.Links(holder), Start
	}
}

// narrow keeps to the moments for which a link says the same as at this one.
func (h *Holding) narrow(link *Link, at int64) {
	for _, edge := range [2]int64{link.From, link.Until} {
		if edge <= at {
			h.From = max(h.From, edge)
		} else {
			h.Until = min(h.Until, edge)
		}
	}
}

// few is how many steps are looked through one by one.
const few = 12

func (h *Holding) add(s step) {
	h.steps = append(h.steps, s)
	switch {
	case h.index != nil:
		h.index[s.name] = int32(len(h.steps) - 1)
	case len(h.steps) > few:
		h.index = make(map[string]int32, 2*few)
		for i := range h.steps {
			h.index[h.steps[i].name] = int32(i)
		}
	}
}

func (h *Holding) find(name string) int32 {
	if h.index != nil {
		if i, known := h.index[name]; known {
			return i
		}
		return -1
	}
	for i := range h.steps {
		if h.steps[i].name == name {
			return int32(i)
		}
	}
	return -1
}

// Len is how many things are held, the name itself among them.
func (h *Holding) Len() int { return len(h.steps) }

// At is the thing of that number, from 0 (the name itself), and whether it is uncertain.
func (h *Holding) At(i int) (name string, uncertain bool) {
	return h.steps[i].name, h.steps[i].uncertain
}

// Name is the name whose holding it is.
func (h *Holding) Name() string { return h.steps[0].name }

// Has is whether the name holds another, or is it, and whether that is certain.
func (h *Holding) Has(name string) (held, certain bool) {
	i := h.find(name)
	return i >= 0, i >= 0 && !h.steps[i].uncertain
}

// Way is the links from the name to what it holds, the first one first; nil where it is the name itself or is not held.
func (h *Holding) Way(name string) []*curfewv1.Link {
	i := h.find(name)
	if i <= 0 {
		return nil
	}
	var way []*curfewv1.Link
	for s := h.steps[i]; s.link != nil; s = h.holder(s) {
		way = append(way, s.link.Message(h.holder(s).name))
	}
	slices.Reverse(way)
	return way
}

// All is every link by which something is held, in the order of At.
func (h *Holding) All() []*curfewv1.Link {
	links := make([]*curfewv1.Link, 0, len(h.steps)-1)
	for _, s := range h.steps[1:] {
		links = append(links, s.link.Message(h.holder(s).name))
	}
	return links
}

// holder is the step that holds a step's link.
func (h *Holding) holder(s step) step {
	if s.uncertain {
		return h.all[s.by]
	}
	return h.steps[s.by]
}
