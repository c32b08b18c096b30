// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"slices"
	"sync"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// maxGaps is how many gaps a process names. Beyond them one more finding for each source says that there are more.
const maxGaps = 1000

// gaps is what this process has told of what nobody has said what data it is about. Another process, and this one after a
// restart, tells the same again under the same id. The zero value has told nothing; it is safe for concurrent use.
type gaps struct {
	mu   sync.Mutex
	told map[gap]bool
}

// gap is a thing of a source.
type gap struct {
	source string
	detection.Gap
}

// tell publishes a finding for each gap of judged events that has not been told. After nil they are on disk.
func (g *gaps) tell(ctx context.Context, o Options, by *judge.Judge, events []*curfewv1.Event, decisions []*curfewv1.Decision) error {
	for i, d := range decisions {
		if !slices.Contains(d.GetClasses(), catalog.Unclassified) {
			continue
		}
		for _, met := range by.Gaps(events[i]) {
			of, told := g.look(gap{events[i].GetSource(), met})
			if told {
				continue
			}
			f := detection.Unclassified(detection.Input{Event: events[i], Decision: d}, of.Gap)
			if _, err := o.Bus.Publish(ctx, bus.FindingSubject(f), f.GetId(), f); err != nil {
				return err
			}
			o.Metrics.Found(f.GetDetection())
			g.remember(of)
		}
	}
	return nil
}

// look is the gap to tell in place of one that was met, and whether it has been told.
func (g *gaps) look(met gap) (of gap, told bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.told[met] && len(g.told) >= maxGaps {
		met = gap{met.source, detection.Gap{What: "rest"}}
	}
	return met, g.told[met]
}

func (g *gaps) remember(of gap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told == nil {
		g.told = map[gap]bool{}
	}
	g.told[of] = true
}
