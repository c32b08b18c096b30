// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// sweep is the pause between two looks at privileges that nobody acts on.
const sweep = time.Minute

// orphans tells of privileges whose source is not configured, or cannot act: they stay until it is.
type orphans struct{ *provisioning }

// work looks once a minute until ctx ends or something cannot be stored.
func (o *orphans) work(ctx context.Context) (progressed bool, err error) {
	if err := o.current(ctx); err != nil {
		return false, err
	}
	for {
		if err := o.look(ctx); err != nil {
			return true, err
		}
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-o.Clock.After(sweep):
		}
	}
}

// look stores why they do not go on, where that is not known.
func (o *orphans) look(ctx context.Context) error {
	sources := map[string]int{}
	var edits []edit
	o.book.Each(func(e grant.Entry) bool {
		if !grant.IsWanted(e.Value) && !grant.IsEnding(e.Value) {
			return true
		}
		for i, held := range e.Value.GetPrivileges() {
			source := held.GetPrivilege().GetSource()
			m := member{e.Value, i, held}
			if o.actors[source] != nil || !m.isOpen() && held.GetStage() != stageNone {
				continue
			}
			sources[source]++
			text := o.why(source)
			never := held.GetStage() == stageNone && grant.IsEnding(e.Value)
			if idle := held.GetStage() == stageHeld && grant.IsWanted(e.Value); never || !idle && held.GetTrouble() != text {
				edits = append(edits, edit{id: e.Value.GetId(), at: i, was: held, wanted: grant.IsWanted(e.Value), detail: text, change: func(h *curfewv1.HeldPrivilege) {
					if h.Trouble = text; never {
						h.Stage, h.Trouble = stageGone, ""
					}
				}})
			}
		}
		return true
	})
	for source, n := range sources {
		o.Log.Warn("privileges wait for a source; configure it again to have them taken in time", "source", source, "privileges", n)
	}
	for part := range slices.Chunk(edits, o.ahead) {
		if _, err := o.store(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (o *orphans) why(source string) string {
	if _, configured := o.Sources[source]; configured {
		return fmt.Sprintf("source %s cannot give or take privileges", source)
	}
	return fmt.Sprintf("no source named %s is configured", source)
}
