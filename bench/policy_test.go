// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// size is how large an invented policy is: as in Casbin's own benchmark, one p row a role and one g row a person. A dense
// one is more like a company: people with two roles, roles with twenty rows, and roles that hold roles.
type size struct {
	name                          string
	people, roles, classes, shops int
	dense                         bool
	rows                          int // that come of it, p and g
}

func sizes() []size {
	return []size{
		{"small", 100, 10, 10, 2, false, 110},
		{"medium", 1_000, 100, 10, 5, false, 1_100},
		{"large", 10_000, 1_000, 100, 20, false, 11_000},
		{"huge", 100_000, 10_000, 1_000, 100, false, 110_000},
		{"wide", 10_000, 1_000, 100, 20, true, 40_980},
	}
}

func sized(name string) size {
	all := sizes()
	return all[slices.IndexFunc(all, func(s size) bool { return s.name == name })]
}

// policy is an invented policy, as each engine is given it.
type policy struct {
	rows   []row
	links  []link
	people []person
}

// row allows who holds a role to do one act to all of one class in a shop.
type row struct{ role, dom, prefix, act string }

// link is that a holder holds a role in a shop.
type link struct{ holder, held, dom string }

// person is somebody of a shop, and the rows that are theirs.
type person struct {
	name, dom string
	rows      []int
}

// request is one question: may sub do act to obj in dom?
type request struct{ sub, dom, obj, act string }

func acts() []string { return []string{"read", "update", "export", "delete", "share"} }

func personName(i int) string { return fmt.Sprintf("person:p%06d", i) }
func roleName(i int) string   { return fmt.Sprintf("role:r%05d", i) }
func shopName(i int) string   { return fmt.Sprintf("shop%d", i) }

func prefix(class int) string { return fmt.Sprintf("/app%d/class%d/", class%10, class) }

// newPolicy is the same policy each time.
func newPolicy(s size) *policy {
	random := rand.New(rand.NewPCG(1, 2))
	if s.dense {
		return densePolicy(s, random)
	}
	p := &policy{}
	for i := range s.roles {
		p.rows = append(p.rows, row{roleName(i), shopName(i % s.shops), prefix(random.IntN(s.classes)), acts()[random.IntN(len(acts()))]})
	}
	for i := range s.people {
		mine := i % s.roles
		p.people = append(p.people, person{personName(i), p.rows[mine].dom, []int{mine}})
		p.links = append(p.links, link{personName(i), p.rows[mine].role, p.rows[mine].dom})
	}
	return p
}

// rowsEach is how many rows a role of a dense policy has.
const rowsEach = 20

// densePolicy has in each shop one role for all, held by a tenth of its roles, each of which is held by some of the rest.
func densePolicy(s size, random *rand.Rand) *policy {
	p := &policy{}
	each := s.roles / s.shops // of a shop, by rank: 0 for all, then its departments, then its teams
	departments := each / 10
	name := func(shop, rank int) string { return roleName(rank*s.shops + shop) }
	for role := range s.roles {
		given := map[[2]int]bool{}
		for len(given) < rowsEach {
			given[[2]int{random.IntN(s.classes), random.IntN(len(acts()))}] = true
		}
		for class := range s.classes {
			for act := range acts() {
				if given[[2]int{class, act}] {
					p.rows = append(p.rows, row{roleName(role), shopName(role % s.shops), prefix(class), acts()[act]})
				}
			}
		}
	}
	// In no order, so that none is found sooner for its rank.
	place := random.Perm(len(p.rows))
	shuffled := make([]row, len(p.rows))
	for i, r := range p.rows {
		shuffled[place[i]] = r
	}
	p.rows = shuffled
	over := func(rank int) int { // the role that a role holds
		if rank <= departments {
			return 0
		}
		return 1 + rank%departments
	}
	for shop := range s.shops {
		for rank := 1; rank < each; rank++ {
			p.links = append(p.links, link{name(shop, rank), name(shop, over(rank)), shopName(shop)})
		}
	}
	for i := range s.people {
		shop := i % s.shops
		teams := random.Perm(each - departments - 1)[:2]
		mine := person{name: personName(i), dom: shopName(shop)}
		for _, team := range teams {
			rank := 1 + departments + team
			p.links = append(p.links, link{mine.name, name(shop, rank), mine.dom})
			for at := rank; ; at = over(at) {
				for r := range rowsEach {
					mine.rows = append(mine.rows, place[(at*s.shops+shop)*rowsEach+r])
				}
				if at == 0 {
					break
				}
			}
		}
		p.people = append(p.people, mine)
	}
	return p
}

// drawn is how many requests are drawn for a policy; they come round again after that.
const drawn = 1 << 18

// requests draws people at random. Seven in ten ask for what a row of theirs allows, the others for what none does: another
// act, another class or in another shop. Each object is new.
func (p *policy) requests(n int) []request {
	random := rand.New(rand.NewPCG(3, 4))
	return p.ask(random, n, func() int { return random.IntN(len(p.people)) })
}

// stream is requests as they come from a company: few people do most.
func (p *policy) stream(n int) []request {
	random := rand.New(rand.NewPCG(5, 6))
	zipf := rand.NewZipf(random, 1.1, 1, uint64(len(p.people)-1))
	place := random.Perm(len(p.people))
	return p.ask(random, n, func() int { return place[zipf.Uint64()] })
}

func (p *policy) ask(random *rand.Rand, n int, who func() int) []request {
	asked := make([]request, n)
	for i := range asked {
		asking := &p.people[who()]
		want := p.rows[asking.rows[random.IntN(len(asking.rows))]]
		for denied := random.IntN(10) < 3; denied; {
			other, mine := p.rows[random.IntN(len(p.rows))], want
			switch random.IntN(3) {
			case 0:
				mine.act = other.act
			case 1:
				mine.prefix = other.prefix
			default:
				mine.dom = other.dom
			}
			if !p.allows(asking, mine) {
				want, denied = mine, false
			}
		}
		asked[i] = request{sub: asking.name, dom: want.dom, obj: fmt.Sprintf("%srec-%d", want.prefix, i), act: want.act}
	}
	return asked
}

// allows is whether a row of theirs gives somebody what another row would.
func (p *policy) allows(asking *person, want row) bool {
	return slices.ContainsFunc(asking.rows, func(i int) bool {
		r := p.rows[i]
		return r.dom == want.dom && r.prefix == want.prefix && r.act == want.act
	})
}
