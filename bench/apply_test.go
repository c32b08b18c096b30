// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	stringadapter "github.com/casbin/casbin/v2/persist/string-adapter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// csv is the policy as its file.
func (p *policy) csv() []byte {
	var text bytes.Buffer
	for _, r := range p.rows {
		fmt.Fprintf(&text, "p, %s, %s, %s*, %s\n", r.role, r.dom, r.prefix, r.act)
	}
	for _, l := range p.links {
		fmt.Fprintf(&text, "g, %s, %s, %s\n", l.holder, l.held, l.dom)
	}
	return text.Bytes()
}

// BenchmarkApply is what a policy of 110,000 rows takes until the first decision: ours with all that is checked of it,
// beside Casbin's loading of the same text. "rows" is the enforcer alone where all of them are p rows.
func BenchmarkApply(b *testing.B) {
	cat, err := catalog.Load()
	if err != nil {
		b.Fatal(err)
	}
	text := newPolicy(sized("huge")).csv()
	files := map[string][]byte{"model.conf": []byte(modelText("")), "policy.csv": text}
	many := sized("huge")
	many.roles, many.people = 110_000, 1
	rows := newPolicy(many).curfewRows()
	for range rounds {
		b.Run("curfew", func(b *testing.B) {
			measure(b, func() {
				if _, err := judge.NewPolicy(files, cat); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run("rows", func(b *testing.B) {
			measure(b, func() {
				if _, err := enforcer.New(modelText(""), rows, nil); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run("casbin", func(b *testing.B) {
			measure(b, func() {
				m, err := model.NewModelFromString(modelText(""))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := casbin.NewEnforcer(m, stringadapter.NewAdapter(string(text))); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkGrants is the memory that each of 100,000 live grants takes, read from their steps as stored.
func BenchmarkGrants(b *testing.B) {
	const grants = 100_000
	steps := make([][]byte, grants)
	at := time.Unix(0, now)
	for i := range steps {
		stored, err := proto.Marshal(&curfewv1.GrantStep{
			Format: 1, Time: timestamppb.New(at), Author: "person:p000001", Grant: &curfewv1.Grant{
				Id: fmt.Sprintf("g-%016x", i), Tenant: "main", Subject: personName(i), Role: roleName(i % 1_000), State: curfewv1.GrantState_GRANT_STATE_ACTIVE,
				From: timestamppb.New(at), ExpiresAt: timestamppb.New(at.Add(8 * time.Hour)), Author: "person:p000001", Reason: "look into order 4711", Ticket: "OPS-42",
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		steps[i] = stored
	}
	for b.Loop() {
		before := heap()
		fold := temporal.NewFold()
		for _, stored := range steps {
			step := new(curfewv1.GrantStep)
			if err := proto.Unmarshal(stored, step); err != nil {
				b.Fatal(err)
			}
			fold.Grant(step)
		}
		relation := fold.Relation()
		b.ReportMetric(float64(heap()-before)/grants, "B/grant")
		if got := relation.Links(personName(grants - 1)); len(got) != 1 {
			b.Fatalf("got %v, want one link", got)
		}
		runtime.KeepAlive(fold)
	}
}

// heap is how much is in use after what nobody uses has been cleared away.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first only marked as not used
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
