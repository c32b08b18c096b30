// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"cmp"
	"errors"
	"slices"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/inventory"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Names of what inventories show, as holders and as what is held. A source's own ids stand in them, escaped.
func node(kind, source, id string) string { return kind + ":" + source + "/" + event.Escape(id) }

// Account is the name of an account at a source.
func Account(source, id string) string { return node("account", source, id) }

// Email is the name of an address: it holds the accounts that sources vouch it belongs to, and they hold it.
func Email(folded string) string { return "email:" + folded }

// Elsewhere is the name of an id of the same person in another system, as inventories write it ("saml:00uInvented1").
func Elsewhere(link string) string { return "link:" + link }

// pair is who holds what.
type pair struct{ holder, held string }

// history is everything known of one pair.
type history struct {
	entries int    // entries of the inventory that show it now
	read    []fact // changes that readings showed
	told    []fact // changes that events told
}

// observed is what readings and events said of one kind of thing at one source.
type observed struct {
	source, kind string
	state        inventory.State
	broken       bool   // records are missing: what is known is not, until a record with everything
	whole        []fact // whole readings: the first and the newest
	pairs        map[pair]*history
	holders      map[string][]pair
}

func newObserved(source, kind string) *observed {
	return &observed{source: source, kind: kind, pairs: map[pair]*history{}, holders: map[string][]pair{}}
}

// Inventory takes a record of a reading in. load gets the content of an object by its name; its error is returned, and
// then nothing was taken in. A record whose forerunners are missing is left out, and so are those behind it, up to the
// next that holds everything.
func (f *Fold) Inventory(record *curfewv1.Inventory, load func(object string) ([]byte, error)) error {
	at := lane{record.GetSource(), record.GetKind()}
	o := f.lanes[at]
	if o == nil {
		o = newObserved(at.source, at.kind)
		f.lanes[at] = o
	}
	if record.GetObject() == "" && o.broken {
		return nil
	}
	err := o.state.Apply(record, load)
	if o.broken = errors.Is(err, inventory.ErrGap); o.broken {
		return nil
	}
	if err != nil {
		return err
	}
	changed := o.read(record)
	f.renew(changed)
	if (at.kind == "people" || at.kind == "groups") && (len(record.GetChanges()) > 0 || record.GetObject() != "") {
		f.replace(at.source)
	}
	return nil
}

// read takes what a reading changed in, and returns the holders concerned.
func (o *observed) read(record *curfewv1.Inventory) map[string]bool {
	seen := fact{
		from: Nanos(record.GetBegan().AsTime()), until: Nanos(record.GetEnded().AsTime()), known: Nanos(record.GetEnded().AsTime()),
		origin: o.source + " " + o.kind,
	}
	touched := map[pair]bool{} // -> whether it was there before
	count := func(entry *curfewv1.Entry, by int) {
		for _, p := range pairs(o.source, entry) {
			h := o.history(p)
			if _, known := touched[p]; !known {
				touched[p] = h.entries > 0
			}
			h.entries += by
		}
	}
	if record.GetObject() != "" {
		// It holds everything, and follows on nothing.
		for p, h := range o.pairs {
			touched[p], h.entries = h.entries > 0, 0
		}
		for _, entry := range o.state.Entries() {
			count(entry, 1)
		}
	} else {
		for _, change := range record.GetChanges() {
			count(change.GetBefore(), -1)
			count(change.GetAfter(), 1)
		}
	}
	changed := map[string]bool{}
	for p, was := range touched {
		h := o.pairs[p]
		is := h.entries > 0
		if is == was {
			continue
		}
		changed[p.holder] = true
		if len(o.whole) > 0 {
			// It was last seen as it was in the whole reading before.
			last := o.whole[len(o.whole)-1]
			last.present = was
			if n := len(h.read); n == 0 || h.read[n-1].from < last.from {
				h.read = append(h.read, last)
			}
		}
		now := seen
		now.present = is
		h.read = append(h.read, now)
	}
	if len(record.GetMissing()) == 0 {
		if len(o.whole) == 0 {
			// Now it is known what was not there: pairs that events told of have a beginning.
			for p, h := range o.pairs {
				if len(h.told) > 0 {
					changed[p.holder] = true
				}
			}
		}
		o.whole = append(o.whole[:min(1, len(o.whole))], seen)
	}
	return changed
}

func (o *observed) history(p pair) *history {
	h := o.pairs[p]
	if h == nil {
		h = new(history)
		o.pairs[p] = h
		o.holders[p.holder] = append(o.holders[p.holder], p)
	}
	return h
}

// links is what a holder holds by this lane.
func (o *observed) links(holder string) []Link {
	var links []Link
	for _, p := range o.holders[holder] {
		links = append(links, spans(p.held, o.facts(o.pairs[p]))...)
	}
	return links
}

// facts is everything said of a pair. One that only events tell of was absent from the first whole reading.
func (o *observed) facts(h *history) []fact {
	facts := slices.Concat(h.read, h.told)
	if len(h.read) == 0 && len(facts) > 0 && len(o.whole) > 0 {
		facts = append(facts, o.whole[0])
	}
	return facts
}

// pairs is what an entry says who holds.
func pairs(source string, entry *curfewv1.Entry) []pair {
	switch thing := entry.GetThing().(type) {
	case *curfewv1.Entry_Membership:
		m := thing.Membership
		if m.GetPending() {
			return nil
		}
		return []pair{{node(m.GetMemberType(), source, m.GetMember()), node("group", source, m.GetGroup())}}
	case *curfewv1.Entry_Assignment:
		a := thing.Assignment
		if a.GetPending() {
			return nil
		}
		role := node("privilege", source, a.GetRole())
		if a.GetScope() != "" {
			role += "@" + a.GetScope()
		}
		return []pair{{node(a.GetHolderType(), source, a.GetHolder()), role}}
	case *curfewv1.Entry_App:
		if thing.App.GetStatus() == "suspended" {
			return nil
		}
		var all []pair
		for _, scope := range thing.App.GetApp().GetScopes() {
			all = append(all, pair{node("app", source, thing.App.GetApp().GetId()), node("scope", source, scope)})
		}
		return all
	case *curfewv1.Entry_Account:
		return names(source, thing.Account)
	default:
		return nil
	}
}

// names is the addresses and other ids of an account, each way round.
func names(source string, a *curfewv1.Account) []pair {
	if a.GetStatus() == "deleted" {
		return nil
	}
	account := Account(source, a.GetId())
	var all []pair
	join := func(name string) {
		if p := (pair{account, name}); !slices.Contains(all, p) {
			all = append(all, p, pair{name, account})
		}
	}
	for _, email := range a.GetEmails() {
		join(Email(FoldEmail(email)))
	}
	for _, link := range a.GetLinks() {
		join(Elsewhere(link))
	}
	return all
}

func sortLinks(links []Link) {
	slices.SortFunc(links, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.Held, b.Held), cmp.Compare(a.From, b.From), cmp.Compare(a.Until, b.Until), cmp.Compare(a.Origin, b.Origin))
	})
}
