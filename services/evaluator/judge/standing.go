// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/curfewhq/curfew/internal/temporal"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

// maxStandings is how many subjects are remembered at once for a policy.
const maxStandings = 100_000

// standings is who holds what by one policy and what is known. What was worked out for a moment is kept for all moments
// for which it is the same. Safe for concurrent use.
type standings struct {
	policy *Policy
	known  *temporal.Known
	kept   sync.Map // name -> *standing
	count  atomic.Int64
}

// standing is what one name holds, ready for the enforcer.
type standing struct {
	holding *temporal.Holding
	subject *enforcer.Subject

	reaching sync.Once
	reach    []string // what Reach says of it, made when it is first asked for
}

// moment is everybody's standing at one moment.
type moment struct {
	*standings
	at int64
}

// Hold is what a name holds then.
func (m moment) Hold(name, dom string) *temporal.Holding { return m.of(name, dom).holding }

func (m moment) of(name, dom string) *standing {
	key := name
	if m.policy.enforcer.Domains() {
		key = name + "\x00" + dom
	}
	if kept, known := m.kept.Load(key); known {
		if s, ok := kept.(*standing); ok && s.holding.From <= m.at && m.at < s.holding.Until {
			return s
		}
	} else if m.count.Add(1) > maxStandings {
		m.kept.Clear()
		m.count.Store(1)
	}
	holding := temporal.Hold(name, dom, m.at, m.policy, belongings{m.policy.identities, m.known, m.at}, m.known, ignorance{m.policy, m.known})
	s := &standing{holding: holding, subject: m.policy.enforcer.Subject(holding)}
	m.kept.Store(key, s)
	return s
}

// ignorance is the links that nobody knows of: until an inventory was read whole, and from when a record of it is missing,
// whoever acts may have been in any group of it that the policy names.
type ignorance struct {
	policy *Policy
	known  *temporal.Known
}

// Links is what a subject may hold.
func (i ignorance) Links(holder string) []temporal.Link {
	if kind, _, _ := strings.Cut(holder, ":"); inventoried[kind] != "" || kind == "role" || kind == "account" || len(i.policy.named) == 0 {
		return nil
	}
	var links []temporal.Link
	for _, named := range i.policy.named {
		until, _ := i.known.Since(named.source, named.kind)
		if people, awaited := i.known.Since(named.source, "people"); awaited {
			until = max(until, people)
		}
		lost := min(i.known.Lost(named.source, named.kind), i.known.Lost(named.source, "people"))
		for _, name := range named.names {
			maybe := temporal.Link{Held: name, Known: temporal.Start, Uncertain: true}
			maybe.From, maybe.Until, maybe.Origin = temporal.Start, until, "no whole inventory of "+named.source+" "+named.kind
			links = append(links, maybe)
			if lost < temporal.End {
				maybe.From, maybe.Until, maybe.Origin = lost, temporal.End, "a record of the inventory of "+named.source+" "+named.kind+" is missing"
				links = append(links, maybe)
			}
		}
	}
	return links
}
