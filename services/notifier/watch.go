// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// What Curfew finds of itself, besides the detections of events and grants. The evaluator finds the last.
const (
	sourceSilent     = "source_silent"
	backlog          = "backlog"
	receiverRefusing = "receiver_refusing"
	policyMismatch   = "policy_mismatch"
)

// ownSource is the source of what Curfew says of itself.
const ownSource = "curfew"

// isBlind is whether a finding says that Curfew itself does not see or is not heard.
func isBlind(f *curfewv1.Finding) bool {
	return slices.Contains([]string{sourceSilent, backlog, receiverRefusing, policyMismatch}, f.GetDetection())
}

const (
	// watchEvery is how often Curfew looks at itself, and beatEvery how often it says that all is well.
	watchEvery, beatEvery = 15 * time.Second, time.Minute
	// backlogAfter is how long an event may wait for its decision, and refusingAfter how long a receiver may take nothing.
	backlogAfter, refusingAfter = 5 * time.Minute, 2 * time.Minute
)

// watch is one notifier's look at Curfew itself.
type watch struct {
	*desk
	looked, beaten time.Time
	client         *http.Client
}

func newWatch(d *desk) *watch {
	return &watch{desk: d, client: &http.Client{
		Timeout: deliverTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ill is something that is not well.
type ill struct {
	detection, entity string
	since             time.Time
	title, reason     string
	next              []string
}

// look looks at Curfew now and then, makes findings of what is not well, and resolves what is well again.
func (w *watch) look(ctx context.Context, now time.Time) {
	if now.Sub(w.looked) < watchEvery && !now.Before(w.looked) {
		return
	}
	w.looked = now
	ills, err := w.lanes(ctx, now)
	if err != nil {
		if ctx.Err() == nil {
			w.Metrics.Failed("notifier", "watch")
			w.Log.Warn("Curfew could not look at itself, and looks again", "error", err)
		}
		return
	}
	for _, name := range w.receivers {
		if i, is := w.senders[name].isRefusing(now); is {
			ills = append(ills, i)
		}
	}
	for _, i := range ills {
		if err := w.report(ctx, i); err != nil && ctx.Err() == nil {
			w.Log.Warn("what Curfew found of itself was not stored, and is found again", "detection", i.detection, "error", err)
		}
	}
	w.recover(ctx, now, ills)
	if len(ills) == 0 {
		w.beat(ctx, now)
	}
}

// lanes is the feeds that say nothing, and those whose events wait for decisions.
func (w *watch) lanes(ctx context.Context, now time.Time) ([]ill, error) {
	subjects, err := w.Bus.Subjects(ctx, bus.All("event", w.Tenant))
	if err != nil {
		return nil, err
	}
	var ills []ill
	for subject := range subjects {
		_, source, feed, ok := bus.SplitLane(subject)
		if !ok || source == ownSource {
			continue
		}
		newest, err := w.Bus.Last(ctx, subject)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if quiet := now.Sub(newest.Time); quiet > w.SilentAfter && w.isConfigured(source) {
			ills = append(ills, ill{
				detection: sourceSilent, entity: "source:" + source, since: newest.Time,
				title:  fmt.Sprintf("Curfew has not heard from %s (%s) since %s", source, feed, moment(newest.Time)),
				reason: fmt.Sprintf("Nothing came of this feed for %s, not even that nothing happened: what people do there is not seen.", quiet.Truncate(time.Minute)),
				next:   []string{"See what is wrong: curfew doctor", "Look at the collector's log, and whether its access at " + source + " still stands."},
			})
		}
		waiting, err := w.waits(ctx, source, feed, newest, now)
		if err != nil {
			return nil, err
		}
		if waiting {
			ills = append(ills, ill{
				detection: backlog, entity: "feed:" + source + "/" + feed, since: newest.Time,
				title:  fmt.Sprintf("Events of %s (%s) wait for their decisions", source, feed),
				reason: fmt.Sprintf("The newest was stored at %s and is not judged: no alert can come of it until it is.", moment(newest.Time)),
				next:   []string{"See whether an evaluator runs and has its policy: /readyz of each, and its log.", "Add evaluators if they are busy."},
			})
		}
	}
	slices.SortFunc(ills, func(a, b ill) int { return strings.Compare(a.detection+a.entity, b.detection+b.entity) })
	return ills, nil
}

// isConfigured is whether a source is to be read: one that was taken out of the configuration says nothing any more.
func (w *watch) isConfigured(source string) bool {
	return len(w.Sources) == 0 || slices.Contains(w.Sources, source)
}

// waits is whether the newest batch of a lane waits for its decisions for too long.
func (w *watch) waits(ctx context.Context, source, feed string, newest bus.Message, now time.Time) (bool, error) {
	if now.Sub(newest.Time) < backlogAfter {
		return false, nil
	}
	last, err := w.Bus.Last(ctx, bus.DecisionSubject(w.Tenant, source, feed))
	if errors.Is(err, bus.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	batch := new(curfewv1.DecisionBatch)
	if err := last.Decode(batch); err != nil {
		return false, err
	}
	return batch.GetEventSequence() < newest.Sequence, nil
}

// isRefusing is whether the receiver has taken nothing for too long, as far as this notifier knows.
func (s *sender) isRefusing(now time.Time) (ill, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing.IsZero() || now.Sub(s.failing) < refusingAfter {
		return ill{}, false
	}
	return ill{
		detection: receiverRefusing, entity: "receiver:" + s.name, since: s.failing,
		title:  fmt.Sprintf("Alerts do not reach people at %s since %s", s.name, moment(s.failing)),
		reason: fmt.Sprintf("It took nothing for %s; the newest reason: %s. Nothing is lost: %d alerts wait there.", now.Sub(s.failing).Truncate(time.Second), s.trouble, len(s.items)),
		next:   []string{"Try it by itself: curfew alert test --receiver " + s.name, "See what waits: curfew alert list --undelivered"},
	}, true
}

// report makes a finding of what is not well: one each hour that it lasts.
func (w *watch) report(ctx context.Context, i ill) error {
	hour := fmt.Sprint(i.since.Unix(), w.Clock.Now().Sub(i.since)/time.Hour)
	f := &curfewv1.Finding{
		Format: bus.Format, Id: strings.TrimPrefix(event.ContentKey(i.detection, w.Tenant, i.entity, hour), "sha256-"), Tenant: w.Tenant,
		Detection: i.detection, Title: i.title, Severity: curfewv1.Severity_SEVERITY_HIGH, Reason: i.reason, NextSteps: i.next,
		Controls: []string{"NIST AU-5", "NIST SI-4"}, Time: timestamppb.New(i.since), About: i.entity,
	}
	_, err := w.Bus.Publish(ctx, bus.FindingSubject(f), f.GetId(), f)
	return err
}

// recover resolves what Curfew found of itself and is well again.
func (w *watch) recover(ctx context.Context, now time.Time, ills []ill) {
	w.mu.Lock()
	own := slices.Sorted(maps.Keys(w.own))
	w.mu.Unlock()
	for _, id := range own {
		entry, known := w.book.Get(id)
		a := entry.Value
		if !known || now.Sub(a.GetNewest().AsTime()) <= 2*watchEvery || slices.ContainsFunc(ills, func(i ill) bool {
			return i.detection == a.GetFinding().GetDetection() && i.entity == a.GetEntity()
		}) {
			continue
		}
		w.step(ctx, id, "it is well again", func(a *curfewv1.Alert) *curfewv1.Alert {
			return alert.Resolve(a, notifierAuthor, "it is well again, by itself or by somebody's hand", now)
		})
	}
}

// beat says that all is well to whoever notices where it does not.
func (w *watch) beat(ctx context.Context, now time.Time) {
	if !w.Heartbeat.URL.IsSet() || now.Sub(w.beaten) < beatEvery {
		return
	}
	w.beaten = now
	if err := w.ping(ctx); err != nil && ctx.Err() == nil {
		w.Metrics.Failed("notifier", "heartbeat")
		w.Log.Warn("the heartbeat was not taken", "error", err)
	}
}

func (w *watch) ping(ctx context.Context) error {
	address, err := w.Heartbeat.URL.Value()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSpace(address), nil)
	if err != nil {
		return errors.New("send heartbeat: alerts.heartbeat.url holds no URL")
	}
	response, err := w.client.Do(request)
	if err != nil {
		return errors.New("send heartbeat: there was no answer") // the error of net/http holds the address, which is a secret
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("send heartbeat: answered %d", response.StatusCode)
	}
	return nil
}
