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

// Detections are the names of what Curfew finds of itself.
func Detections() []string { return []string{sourceSilent, backlog, receiverRefusing, policyMismatch} }

// isBlind is whether a finding says that Curfew itself does not see or is not heard.
func isBlind(f *curfewv1.Finding) bool {
	return slices.Contains(Detections(), f.GetDetection())
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
	began          time.Time // this notifier did
	looked, beaten time.Time
	client         *http.Client
	stuck          map[string]time.Time // by receiver: since when something is refused there and nothing taken
	lasting        map[string]time.Time // by detection and entity: since when it is ill, as was reported
	reported       map[string]string    // by detection and entity: what was reported last, by when it began and the hour
}

func newWatch(d *desk, began time.Time) *watch {
	return &watch{desk: d, began: began, stuck: map[string]time.Time{}, lasting: map[string]time.Time{}, reported: map[string]string{}, client: &http.Client{
		Timeout: deliverTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ill is something that is not well.
type ill struct {
	detection, entity string
	since             time.Time
	title, reason     string
	next              []string
	quiet             bool // nothing shows it now, nor that it is over: its alert stays, and nothing new is said
}

// look looks at Curfew now and then, makes findings of what is not well, and resolves what is well again.
func (w *watch) look(ctx context.Context, now time.Time) {
	if now.Sub(w.looked) < watchEvery && !now.Before(w.looked) {
		return
	}
	if w.looked.IsZero() {
		w.restore()
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
	ills = append(ills, w.refusing(now)...)
	lasting := map[string]time.Time{}
	for n, i := range ills { // what waits changes, and is the same trouble
		if since, is := w.lasting[i.detection+" "+i.entity]; is {
			ills[n].since = since
		}
		lasting[i.detection+" "+i.entity] = ills[n].since
	}
	w.lasting = lasting
	maps.DeleteFunc(w.reported, func(of, _ string) bool { return lasting[of].IsZero() }) // it may come again
	for _, i := range ills {
		if err := w.report(ctx, i, now); err != nil && ctx.Err() == nil {
			w.Log.Warn("what Curfew found of itself was not stored, and is found again", "detection", i.detection, "error", err)
		}
	}
	w.recover(ctx, now, ills)
	if !slices.ContainsFunc(ills, func(i ill) bool { return !i.quiet }) {
		w.beat(ctx, now)
	}
}

// restore begins from what another notifier found.
func (w *watch) restore() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.own {
		entry, _ := w.book.Get(id)
		f := entry.Value.GetFinding()
		w.lasting[f.GetDetection()+" "+entry.Value.GetEntity()] = f.GetTime().AsTime()
		if name, is := strings.CutPrefix(entry.Value.GetEntity(), "receiver:"); is {
			w.stuck[name] = f.GetTime().AsTime()
		}
	}
}

// lanes is the feeds that say nothing, and those whose events wait for decisions.
func (w *watch) lanes(ctx context.Context, now time.Time) ([]ill, error) {
	subjects, err := w.Bus.Subjects(ctx, bus.All("event", w.Tenant))
	if err != nil {
		return nil, err
	}
	var ills []ill
	heard := map[string]bool{}
	for subject := range subjects {
		_, source, feed, ok := bus.SplitLane(subject)
		if !ok || source == ownSource {
			continue
		}
		heard[source] = true
		newest, err := w.Bus.Last(ctx, subject)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if now.Sub(newest.Time) > w.SilentAfter && w.isConfigured(source) && isPolled(newest) {
			ills = append(ills, silent(source, feed, newest.Time, now))
		}
		first, err := w.waits(ctx, source, feed, newest, now)
		if err != nil {
			return nil, err
		}
		if !first.IsZero() {
			ills = append(ills, ill{
				detection: backlog, entity: "feed:" + source + "/" + feed, since: first,
				title:  fmt.Sprintf("Events of %s (%s) wait for their decisions", source, feed),
				reason: fmt.Sprintf("What was stored at %s and later is not judged: no alert can come of it until it is.", moment(first)),
				next:   []string{"See whether an evaluator runs and has its policy: /readyz of each, and its log.", "Add evaluators if they are busy."},
			})
		}
	}
	for _, source := range w.Sources {
		if !heard[source] && now.Sub(w.began) > w.SilentAfter {
			ills = append(ills, silent(source, "no feed at all", w.began, now))
		}
	}
	slices.SortFunc(ills, func(a, b ill) int { return strings.Compare(a.detection+a.entity, b.detection+b.entity) })
	return ills, nil
}

// isPolled is whether a feed is one that is read, by its newest batch: a read says where reading goes on. A feed of webhooks
// alone says nothing where nothing happens, once one has come.
func isPolled(newest bus.Message) bool {
	batch := new(curfewv1.EventBatch)
	if err := newest.Decode(batch); err != nil {
		return true // better once too often
	}
	return batch.GetCursor() != "" || batch.GetCoverage() != nil || len(batch.GetDeliveries()) == 0
}

func silent(source, feed string, since, now time.Time) ill {
	return ill{
		detection: sourceSilent, entity: "source:" + source, since: since,
		title:  fmt.Sprintf("Curfew has not heard from %s (%s) since %s", source, feed, moment(since)),
		reason: fmt.Sprintf("Nothing came of this feed for %s, not even that nothing happened: what people do there is not seen.", now.Sub(since).Truncate(time.Minute)),
		next:   []string{"See what is wrong: curfew doctor", "Look at the collector's log, and whether its access at " + source + " still stands."},
	}
}

// isConfigured is whether a source is to be read: one that was taken out of the configuration says nothing any more.
func (w *watch) isConfigured(source string) bool {
	return len(w.Sources) == 0 || slices.Contains(w.Sources, source)
}

// errFirst ends a reading of one message.
var errFirst = errors.New("that is the first")

// waits is when the first batch of a lane was stored that waits for its decisions, if that is too long ago; else the zero
// time.
func (w *watch) waits(ctx context.Context, source, feed string, newest bus.Message, now time.Time) (time.Time, error) {
	batch := new(curfewv1.DecisionBatch)
	last, err := w.Bus.Last(ctx, bus.DecisionSubject(w.Tenant, source, feed))
	if err == nil {
		err = last.Decode(batch)
	}
	if err != nil && !errors.Is(err, bus.ErrNotFound) || batch.GetEventSequence() >= newest.Sequence {
		return time.Time{}, err
	}
	var first time.Time
	err = w.Bus.Read(ctx, bus.EventSubject(w.Tenant, source, feed), bus.From{After: batch.GetEventSequence()}, func(m bus.Message) error {
		first = m.Time
		return errFirst
	})
	switch {
	case err != nil && !errors.Is(err, errFirst):
		return time.Time{}, err
	case now.Sub(first) < backlogAfter:
		return time.Time{}, nil
	}
	return first, nil
}

// refusing is the receivers that refuse something and have taken nothing for too long. Every notifier hears of every
// delivery, whoever tried it.
func (w *watch) refusing(now time.Time) []ill {
	var ills []ill
	for _, name := range w.receivers {
		refused, waiting, took := w.senders[name].untaken()
		since, lasts := w.stuck[name], !w.lasting[receiverRefusing+" receiver:"+name].IsZero()
		if took.After(since) {
			since = time.Time{}
			delete(w.stuck, name)
		}
		switch {
		case refused == "" && lasts && !since.IsZero(): // what it refused need not be shown any more: nobody knows
			ills = append(ills, ill{detection: receiverRefusing, entity: "receiver:" + name, since: since, quiet: true})
		case refused == "":
			delete(w.stuck, name)
		case since.IsZero():
			w.stuck[name] = now
		case now.Sub(since) >= refusingAfter:
			entry, _ := w.book.Get(refused)
			ills = append(ills, ill{
				detection: receiverRefusing, entity: "receiver:" + name, since: since,
				title: fmt.Sprintf("Alerts do not reach people at %s since %s", name, moment(since)),
				reason: fmt.Sprintf("It took nothing for %s; the newest reason: %s. Nothing is lost: %d alerts wait there.",
					now.Sub(since).Truncate(time.Second), alert.Delivery(entry.Value, name).GetTrouble(), waiting),
				next: []string{"Try it by itself: curfew alert test --config FILE --receiver " + name, "See what waits: curfew alert list --undelivered"},
			})
		}
	}
	return ills
}

// untaken is one of the alerts that the receiver was tried with in vain, how many wait for it, and when it took any last.
func (s *sender) untaken() (refused string, waiting int, took time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, it := range s.items {
		if it.need != alert.Post && it.need != alert.Settle {
			continue
		}
		if waiting++; it.tries > 0 && (refused == "" || it.tried.After(s.items[refused].tried)) {
			refused = id
		}
	}
	return refused, waiting, s.took
}

// report makes a finding of what is not well: one each hour that it lasts.
func (w *watch) report(ctx context.Context, i ill, now time.Time) error {
	hour := fmt.Sprint(i.since.Unix(), now.Sub(i.since)/time.Hour)
	of := i.detection + " " + i.entity
	if i.quiet || w.reported[of] == hour {
		return nil
	}
	f := &curfewv1.Finding{
		Format: bus.Format, Id: strings.TrimPrefix(event.ContentKey(i.detection, w.Tenant, i.entity, hour), "sha256-"), Tenant: w.Tenant,
		Detection: i.detection, Title: i.title, Severity: curfewv1.Severity_SEVERITY_HIGH, Reason: i.reason, NextSteps: i.next,
		Controls: []string{"NIST AU-5", "NIST SI-4"}, Time: timestamppb.New(i.since), About: i.entity,
	}
	if _, err := w.Bus.Publish(ctx, bus.FindingSubject(f), f.GetId(), f); err != nil {
		return err
	}
	w.reported[of] = hour
	return nil
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
