// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/curfewhq/curfew/internal/temporal"
)

const benchModel = `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && r.dom == p.dom && keyMatch(r.obj, p.obj) && g(r.sub, p.sub, r.dom)
`

// benchSize is a policy as in Casbin's own benchmark, one p row a role and one role a user; wide is denser: users with two
// roles, roles with twenty rows, under two levels of further roles.
type benchSize struct {
	name                           string
	users, roles, classes, tenants int
	wide                           bool
}

func benchSizes() []benchSize {
	return []benchSize{
		{"small", 100, 10, 10, 2, false}, {"medium", 1000, 100, 10, 5, false}, {"large", 10_000, 1000, 100, 20, false},
		{"huge", 100_000, 10_000, 1000, 100, false}, {"wide", 10_000, 1000, 200, 20, true},
	}
}

// benchPolicy is one of a size, with requests of which most are aimed at what the user may.
type benchPolicy struct {
	rows     []Row
	links    [][3]string
	requests []Request
}

func newBenchPolicy(size benchSize) *benchPolicy {
	random := rand.New(rand.NewPCG(7, 7))
	acts := []string{"read", "write", "delete", "export"}
	p := &benchPolicy{}
	byRole := make([][]int, size.roles)
	add := func(role int) {
		object := fmt.Sprintf("/app%d/class%d/*", random.IntN(10), random.IntN(size.classes))
		byRole[role] = append(byRole[role], len(p.rows))
		p.rows = append(p.rows, Row{[]string{fmt.Sprintf("role:%d", role), fmt.Sprintf("tenant%d", role%size.tenants), object, acts[random.IntN(len(acts))]}, len(p.rows) + 1})
	}
	perRole, perUser := 1, 1
	if size.wide {
		perRole, perUser = 20, 2
	}
	for role := range size.roles {
		for range perRole {
			add(role)
		}
		// A role's further roles are of the same tenant.
		if size.wide && role >= size.tenants {
			p.links = append(p.links, [3]string{fmt.Sprintf("role:%d", role), fmt.Sprintf("role:%d", role%size.tenants+size.tenants*(role/size.tenants/8)), fmt.Sprintf("tenant%d", role%size.tenants)})
		}
	}
	held := make([][]int, size.users)
	for user := range size.users {
		for range perUser {
			role := random.IntN(size.roles)
			held[user] = append(held[user], role)
			p.links = append(p.links, [3]string{fmt.Sprintf("person:%d", user), fmt.Sprintf("role:%d", role), fmt.Sprintf("tenant%d", role%size.tenants)})
		}
	}
	zipf := rand.NewZipf(random, 1.1, 10, uint64(size.users-1))
	for i := range 1 << 17 {
		user := random.IntN(size.users)
		if i >= 1<<16 {
			user = int(zipf.Uint64()) // the second half is a realistic stream
		}
		row := p.rows[random.IntN(len(p.rows))].Fields
		if random.IntN(10) < 7 {
			role := byRole[held[user][random.IntN(perUser)]]
			row = p.rows[role[random.IntN(len(role))]].Fields
		}
		p.requests = append(p.requests, Request{
			Sub: fmt.Sprintf("person:%d", user), Dom: row[1], Act: row[3], Obj: fmt.Sprintf("%srec-%d", row[2][:len(row[2])-1], i),
		})
	}
	return p
}

// relation is the links, each with as many ended ones before it.
func (p *benchPolicy) relation(past int) *temporal.Relation {
	byHolder := map[string][]temporal.Link{}
	for _, l := range p.links {
		for i := range past {
			byHolder[l[0]] = append(byHolder[l[0]], temporal.Link{Held: l[1], Dom: l[2], From: int64(i * 10), Until: int64(i*10 + 5)})
		}
		byHolder[l[0]] = append(byHolder[l[0]], temporal.Link{Held: l[1], Dom: l[2], From: int64(past * 10), Until: temporal.End})
	}
	return temporal.NewRelation().With(byHolder)
}

// plain is Casbin as it comes.
func (p *benchPolicy) plain(b *testing.B) *casbin.Enforcer {
	b.Helper()
	m, err := model.NewModelFromString(benchModel)
	if err != nil {
		b.Fatal(err)
	}
	c, err := casbin.NewEnforcer(m)
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range p.rows {
		if err := m.AddPolicy("p", "p", row.Fields); err != nil {
			b.Fatal(err)
		}
	}
	for _, l := range p.links {
		if err := m.AddPolicy("g", "g", l[:]); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.BuildRoleLinks(); err != nil {
		b.Fatal(err)
	}
	return c
}

// cpu is what this process has used so far, all threads and the collector of garbage included, in microseconds: on a
// machine with other work, wall time says less.
func cpu(b *testing.B) float64 {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return float64(use.Utime.Sec+use.Stime.Sec)*1e6 + float64(use.Utime.Usec+use.Stime.Usec)
}

// measure reports the CPU time of one call.
func measure(b *testing.B, call func(i int)) {
	b.Helper()
	b.ReportAllocs()
	n, before := 0, cpu(b)
	for ; b.Loop(); n++ {
		call(n)
	}
	b.ReportMetric((cpu(b)-before)/float64(n), "cpu-us/op")
}

// BenchmarkDecide is one decision, at several sizes of policy. Beside it in the same run is plain Casbin, with the cheap
// comparisons first. "candidates" asks Casbin each time, "memo" does not; "zipf" is memo over a stream in which few people
// do most; "past" has ten ended intervals before each link; "holding" finds what the subject holds anew each time.
func BenchmarkDecide(b *testing.B) {
	for _, size := range benchSizes() {
		b.Run(size.name, func(b *testing.B) {
			p := newBenchPolicy(size)
			e, err := New(benchModel, p.rows, nil)
			if err != nil {
				b.Fatal(err)
			}
			forgetful, err := New(benchModel, p.rows, nil)
			if err != nil {
				b.Fatal(err)
			}
			forgetful.memo = nil
			b.Run("casbin", func(b *testing.B) {
				c := p.plain(b)
				measure(b, func(i int) {
					q := p.requests[i%len(p.requests)]
					if _, _, err := c.EnforceEx(q.Sub, q.Dom, q.Obj, q.Act); err != nil {
						b.Fatal(err)
					}
				})
			})
			half := len(p.requests) / 2
			for _, c := range []struct {
				name     string
				enforcer *Enforcer
				requests []Request
				past     int
				anew     bool
			}{
				{"candidates", forgetful, p.requests[:half], 0, false}, {"candidates-holding", forgetful, p.requests[:half], 0, true},
				{"candidates-holding-past", forgetful, p.requests[:half], 10, true},
				{"memo", e, p.requests[:half], 0, false}, {"memo-zipf", e, p.requests[half:], 0, false},
				{"memo-holding", e, p.requests[:half], 0, true}, {"memo-holding-past", e, p.requests[:half], 10, true},
			} {
				b.Run(c.name, func(b *testing.B) {
					links := &moment{relation: p.relation(c.past), at: 1000}
					subjects := map[[2]string]*Subject{}
					for _, q := range c.requests {
						if c.anew {
							break
						}
						key := [2]string{q.Sub, q.Dom}
						if subjects[key] == nil {
							subjects[key] = c.enforcer.Subject(links.Hold(q.Sub, q.Dom))
						}
					}
					kept := make([]*Subject, len(c.requests))
					for i, q := range c.requests {
						kept[i] = subjects[[2]string{q.Sub, q.Dom}]
					}
					allowed := 0
					measure(b, func(i int) {
						q := &c.requests[i%len(c.requests)]
						s := kept[i%len(kept)]
						if c.anew {
							s = c.enforcer.Subject(links.Hold(q.Sub, q.Dom))
						}
						a, err := c.enforcer.Decide(*q, s, links)
						if err != nil {
							b.Fatal(err)
						}
						if a.Allowed {
							allowed++
						}
					})
					b.ReportMetric(float64(allowed)/float64(b.N), "allowed/op")
				})
			}
		})
	}
}

// BenchmarkNew is reading the largest policy, and beside it plain Casbin doing so.
func BenchmarkNew(b *testing.B) {
	p := newBenchPolicy(benchSizes()[3])
	for len(p.rows) < 110_000 {
		p.rows = append(p.rows, p.rows[:min(len(p.rows), 110_000-len(p.rows))]...)
	}
	b.Run("enforcer", func(b *testing.B) {
		measure(b, func(int) {
			if _, err := New(benchModel, p.rows, nil); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("casbin", func(b *testing.B) {
		measure(b, func(int) { p.plain(b) })
	})
}
