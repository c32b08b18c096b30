// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
)

// watchGrants publishes what every step of a grant gives reason to say, and ends what somebody is given who has left, until
// ctx ends. Replicas share the steps; one is done with once all that follows from it is on disk.
func (e *evaluator) watchGrants(ctx context.Context) error {
	w := &grantWatch{evaluator: e, told: map[string]map[string]bool{}}
	consumer := bus.Consumer{
		Service: "evaluator", Name: "evaluator-grants-" + e.Tenant, Filter: bus.All("grant", e.Tenant),
		Dead: func(reason string) { e.Metrics.Dead("evaluator", reason) },
	}
	return e.again(ctx, "grants", func(ctx context.Context) error { return e.Bus.Consume(ctx, consumer, w.handle) })
}

// grantWatch is what one process has told of grants: a step shows again what the one before showed. Another process, and
// this one after a restart, tells the same again under the same id. It is for one goroutine.
type grantWatch struct {
	*evaluator
	told map[string]map[string]bool // by grant: ids of findings
}

// maxWatched is of how many grants is kept what was told.
const maxWatched = 100_000

func (w *grantWatch) handle(ctx context.Context, m bus.Message) error {
	step := new(curfewv1.GrantStep)
	if err := m.Decode(step); err != nil {
		return bus.Permanent("unreadable grant step", err)
	}
	g := step.GetGrant()
	for _, f := range detection.AskGrant(g) {
		if w.told[g.GetId()][f.GetId()] {
			continue
		}
		if grant.IsWanted(g) {
			f.Context = &curfewv1.FindingContext{Grants: []*curfewv1.HeldGrant{heldGrant(g)}}
		}
		if _, err := w.Bus.Publish(ctx, bus.FindingSubject(f), f.GetId(), f); err != nil {
			return err
		}
		w.Metrics.Found(f.GetDetection())
		w.remember(g.GetId(), f.GetId())
	}
	return w.endOfLost(ctx, g)
}

// heldGrant is a grant in a line.
func heldGrant(g *curfewv1.Grant) *curfewv1.HeldGrant {
	text := g.GetRole()
	var things []string
	for _, held := range g.GetPrivileges()[:min(len(g.GetPrivileges()), maxThings)] {
		p := held.GetPrivilege()
		things = append(things, strings.Join([]string{p.GetSource(), p.GetKind(), cmp.Or(p.GetResourceName(), p.GetResource())}, " "))
	}
	if len(things) > 0 {
		text += " (" + strings.Join(things, "; ") + ")"
	}
	return &curfewv1.HeldGrant{Id: g.GetId(), Text: fmt.Sprintf("%s until %s", text, grant.End(g).UTC().Format(time.RFC3339))}
}

// endOfLost revokes a grant that is being given, or in force, though its holder has left since it was approved. It looks
// at the newest step, whatever step it was called for, and again behind any that comes first.
func (w *grantWatch) endOfLost(ctx context.Context, g *curfewv1.Grant) error {
	person := asCaller(g.GetSubject()).person
	for person != "" && grant.IsWanted(g) {
		now := time.Now()
		by, err := w.knowledge.since(ctx, now)
		if err != nil {
			return err
		}
		why, err := w.lost(ctx, by, person, now)
		if err != nil || why == "" {
			return err
		}
		stored, err := w.newest(ctx, g.GetId())
		if err != nil {
			return err
		}
		if g = stored.Value; !grant.IsWanted(g) {
			return nil
		}
		now = later(now, stored.Time)
		_, err = w.Bus.Append(ctx, bus.GrantSubject(w.Tenant, g.GetId()), stored.Sequence, &curfewv1.GrantStep{
			Format: bus.Format, Grant: grant.Revoke(g, now), Time: timestamppb.New(now), Author: "service:evaluator",
			Detail: g.GetSubject() + " can hold nothing any more: " + why,
		})
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
	return nil
}

func (w *grantWatch) remember(id, finding string) {
	if len(w.told) >= maxWatched {
		clear(w.told) // what is told twice has one id
	}
	if w.told[id] == nil {
		w.told[id] = map[string]bool{}
	}
	w.told[id][finding] = true
}
