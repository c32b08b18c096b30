// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// silences is every silence of a tenant as the bucket has it. Safe for concurrent use.
type silences struct {
	Options
	ready   chan struct{}
	changed func() // one was made, changed or dropped

	mu     sync.Mutex
	list   map[string]*curfewv1.Silence
	sorted []*curfewv1.Silence // of list, those that matter; nil = not known
}

func newSilences(o Options) *silences {
	return &silences{Options: o, ready: make(chan struct{}), list: map[string]*curfewv1.Silence{}}
}

// follow keeps the list until ctx ends or the bus breaks off.
func (s *silences) follow(ctx context.Context) error {
	return s.Bus.Watch(ctx, bus.Silences, func(e *bus.Entry) error {
		if e == nil { // all that was there has come
			select {
			case <-s.ready:
			default:
				close(s.ready)
			}
			return nil
		}
		if len(e.Key) != 2 || e.Key[0] != s.Tenant {
			return nil
		}
		silence := new(curfewv1.Silence)
		if err := proto.Unmarshal(e.Value, silence); err != nil {
			s.Metrics.Unread("notifier")
			s.Log.Error("a silence cannot be read, so it keeps nothing back: make it anew", "silence", e.Key[1], "error", err)
			silence = nil
		}
		s.mu.Lock()
		if silence == nil || len(e.Value) == 0 {
			delete(s.list, e.Key[1])
		} else {
			s.list[e.Key[1]] = silence
		}
		s.sorted = nil
		s.mu.Unlock()
		s.changed()
		return nil
	})
}

// all is every silence of which something is to come, in the order of their ids. It is not the caller's own.
func (s *silences) all() []*curfewv1.Silence {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sorted == nil {
		s.sorted = make([]*curfewv1.Silence, 0, len(s.list))
		for _, id := range slices.Sorted(maps.Keys(s.list)) {
			if one := s.list[id]; !one.GetEndTold() && (one.GetEnded() == nil || alert.IsApproved(one)) {
				s.sorted = append(s.sorted, one)
			}
		}
	}
	return s.sorted
}

func began(s *curfewv1.Silence) string {
	what := covers(s.GetMatch())
	if !alert.IsApproved(s) {
		return fmt.Sprintf("%s says that this is expected until %s: %s. Why: %s. It counts once somebody else says so too: `curfew silence approve %s`.",
			s.GetAuthor(), moment(s.GetUntil().AsTime()), what, orUnsaid(s.GetReason()), s.GetId())
	}
	return fmt.Sprintf("%s keeps alerts quiet until %s: %s. Why: %s. End it sooner: `curfew silence end %s`.",
		s.GetAuthor(), moment(s.GetUntil().AsTime()), what, orUnsaid(s.GetReason()), s.GetId())
}

// over is what is told of a silence that ended: how much it kept back, and how much of that is open.
func over(s *curfewv1.Silence, held, open int) string {
	how := "It is over"
	if s.GetEnded() != nil {
		how = s.GetEnder() + " ended it"
	}
	kept := "It kept nothing back to the end."
	switch {
	case held == 1 && open == 1:
		kept = "1 alert was kept back to the end, is open, and comes now."
	case held == 1:
		kept = "1 alert was kept back to the end, and is resolved."
	case held > 1:
		kept = fmt.Sprintf("%d alerts were kept back to the end; %d of them are open, and come now.", held, open)
	}
	return fmt.Sprintf("Alerts are no longer kept quiet: %s. %s. %s", covers(s.GetMatch()), how, kept)
}

// keptBack is how many alerts a silence keeps back, and how many of them are open.
func (d *desk) keptBack(s *curfewv1.Silence) (held, open int) {
	d.book.Each(func(e alert.Entry) bool {
		by := slices.ContainsFunc(e.Value.GetDeliveries(), func(x *curfewv1.AlertDelivery) bool { return x.GetHold().GetBy() == s.GetId() })
		if by {
			held++
			if e.Value.GetState() != curfewv1.AlertState_ALERT_STATE_RESOLVED {
				open++
			}
		}
		return true
	})
	return held, open
}

// covers is what a silence is about.
func covers(m *curfewv1.SilenceMatch) string {
	text := ""
	for _, part := range []struct{ name, value string }{
		{"alert", short(m.GetAlertId())}, {"detection", m.GetDetection()}, {"about", m.GetEntity()}, {"data", m.GetDataClass()}, {"source", m.GetSource()}, {"on", m.GetObject()},
	} {
		if part.value != "" {
			text += ", " + part.name + " " + part.value
		}
	}
	if m.GetSeverity() != curfewv1.Severity_SEVERITY_UNSPECIFIED {
		text += ", up to " + alert.Word(m.GetSeverity())
	}
	if text == "" {
		return "nothing"
	}
	return text[2:]
}

// noteSilence changes a silence as it stands now.
func (d *desk) noteSilence(ctx context.Context, id string, change func(*curfewv1.Silence)) error {
	for {
		entry, err := d.Bus.Get(ctx, bus.Silences, d.Tenant, id)
		if err != nil {
			return err
		}
		s := new(curfewv1.Silence)
		if err := proto.Unmarshal(entry.Value, s); err != nil {
			return fmt.Errorf("read silence %s: %w", id, err)
		}
		change(s)
		value, err := proto.Marshal(s)
		if err != nil {
			return fmt.Errorf("write silence %s: %w", id, err)
		}
		if _, err = d.Bus.Update(ctx, bus.Silences, value, entry.Revision, d.Tenant, id); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}
