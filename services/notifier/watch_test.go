// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// read is what a collector stores of one read.
func read(t *testing.T, b *bus.Bus, source string, last uint64) uint64 {
	t.Helper()
	sequence, err := b.Append(t.Context(), bus.EventSubject("main", source, "log"), last, &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: source, Feed: "log"})
	if err != nil {
		t.Fatal(err)
	}
	return sequence
}

// judged is what an evaluator stores of it.
func judged(t *testing.T, b *bus.Bus, source string, event, last uint64) {
	t.Helper()
	if _, err := b.Append(t.Context(), bus.DecisionSubject("main", source, "log"), last, &curfewv1.DecisionBatch{Format: 1, Tenant: "main", Source: source, Feed: "log", EventSequence: event}); err != nil {
		t.Fatal(err)
	}
}

func own(detection, entity string) *curfewv1.Finding {
	return &curfewv1.Finding{Tenant: "main", Detection: detection, About: entity}
}

// A source that says nothing, events that nobody judges and a receiver that takes nothing are told on another way, whatever
// the mode, and resolved once it is well again.
func TestCurfewSaysThatItIsBlind(t *testing.T) {
	b, p, deaf, c := bustest.New(t), newPlace(), newPlace(), clocktest.New(time.Now())
	var refuses atomic.Bool
	refuses.Store(true)
	deaf.fault = func(string) error {
		if refuses.Load() {
			return &delivery.Refused{Reason: "no"}
		}
		return nil
	}
	var beats atomic.Int64
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { beats.Add(1) }))
	defer outside.Close()
	okta := read(t, b, "okta", 0)
	read(t, b, "gone", 0) // no source of that name is configured any more
	t.Setenv("TEST_HEARTBEAT", outside.URL+"/secret-path")
	conf := heartbeat(t, "place")
	conf.SilentAfter = 10 * time.Minute
	conf.Routes = []config.Route{{Name: "all", Receivers: []string{"place", "deaf"}}}
	run(t, b, map[string]Receiver{"place": p, "deaf": deaf}, withClock(c), withAlerts(conf), withMode(config.Config{Mode: config.Alert}.ModeOf),
		func(o *Options) { o.Sources = []string{"okta"} })
	defer moving(t, c)()
	silent, waiting, refusing := own(sourceSilent, "source:okta"), own(backlog, "feed:okta/log"), own(receiverRefusing, "receiver:deaf")
	found(t, b, "f1", "ida")
	p.until(t, "all three are told", func() bool {
		return strings.Contains(p.text(), "has not heard from okta") && strings.Contains(p.text(), "wait for their decisions") && strings.Contains(p.text(), "do not reach people at deaf")
	})
	for _, f := range []*curfewv1.Finding{silent, waiting, refusing} {
		if a := load(t, b, f); a == nil || !strings.HasPrefix(deliveryOf(a).GetReason(), "heartbeat: ") {
			t.Errorf("%s: got %v", f.GetDetection(), a)
		}
	}
	if a := load(t, b, refusing); alert.Delivery(a, "deaf") != nil {
		t.Error("that a receiver refuses is told by that receiver")
	}
	if load(t, b, own(sourceSilent, "source:gone")) != nil {
		t.Error("a source that is not read any more is missed")
	}
	before, until := beats.Load(), c.Now().Add(3*time.Minute)
	p.until(t, "three more minutes", func() bool { return c.Now().After(until) })
	if beats.Load() != before {
		t.Error("it says that all is well")
	}
	refuses.Store(false)
	now := read(t, b, "okta", okta)
	judged(t, b, "okta", now, 0)
	for _, f := range []*curfewv1.Finding{waiting, refusing} {
		waits(t, b, p, f, f.GetDetection()+" is resolved", func(a *curfewv1.Alert) bool { return a.GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED })
	}
}

// heartbeat is alerts whose heartbeat goes to the environment's TEST_HEARTBEAT, and to a receiver.
func heartbeat(t *testing.T, receiver string) config.Alerts {
	t.Helper()
	path := filepath.Join(t.TempDir(), "curfew.yaml")
	text := fmt.Sprintf("receivers: {place: {}, deaf: {}}\nalerts:\n  heartbeat: {url: {env: TEST_HEARTBEAT}, receivers: [%s]}\n", receiver)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := config.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return conf.Alerts
}

// While all is well somebody outside hears of it, and the address, which is a secret, stands in no log.
func TestHeartbeat(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	var beats atomic.Int64
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if beats.Add(1) > 1 {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer outside.Close()
	t.Setenv("TEST_HEARTBEAT", outside.URL+"/secret-path")
	var log bytes.Buffer
	end := run(t, b, map[string]Receiver{"place": p}, withClock(c), withAlerts(heartbeat(t, "place")), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	stop := moving(t, c)
	p.until(t, "three beats", func() bool { return beats.Load() >= 3 })
	stop()
	end()
	outside.Close()
	if strings.Contains(log.String(), "secret-path") {
		t.Errorf("the log holds the address: %s", log.String())
	}
}

// From so many waiting alerts on a summary counts them all.
func TestAStormIsSummarised(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	for i := range 300 {
		found(t, b, fmt.Sprint("f", i), fmt.Sprint("p", i), severe(curfewv1.Severity_SEVERITY_LOW))
	}
	critical := found(t, b, "critical", "ida", severe(curfewv1.Severity_SEVERITY_CRITICAL))
	run(t, b, map[string]Receiver{"place": p}, withClock(c), withAlerts(config.Alerts{Storm: 100}))
	defer moving(t, c)()
	p.until(t, "all are shown", func() bool { return len(p.times()) == 301 })
	summarised := 0
	for _, m := range p.messages {
		if m.summary {
			summarised += len(m.alerts)
		} else if len(m.alerts) > maxTogether {
			t.Errorf("%s shows %d alerts", m.ref, len(m.alerts))
		}
	}
	a := waits(t, b, p, critical, "the critical one is sent", func(a *curfewv1.Alert) bool {
		return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT
	})
	if summarised < 100 || deliveryOf(a).GetSummarised() || len(deliveryOf(a).GetWith()) > 0 {
		t.Errorf("%d are in summaries; the critical one: %v", summarised, deliveryOf(a))
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := Open("pager", yamlfile.Section{}, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "there are console") {
		t.Errorf("got %v", err)
	}
	var out bytes.Buffer
	r, err := Open("console", yamlfile.Section{}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Post(t.Context(), &curfewv1.Post{Alerts: []*curfewv1.Alert{{Id: "a"}}}); err != nil || out.Len() == 0 {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

// Whoever is asked whether it was them is asked once, where they can be reached.
func TestAQuestionIsAskedOnce(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	contact := &curfewv1.Contacts{Contacts: []*curfewv1.Contact{{Person: "person:ida", System: "slack", Id: "U1"}}}
	value, err := proto.Marshal(contact)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), bus.Contacts, value, "main", "person:ida"); err != nil {
		t.Fatal(err)
	}
	run(t, b, map[string]Receiver{"place": p})
	f := found(t, b, "f1", "ida")
	p.until(t, "it is shown", func() bool { return len(p.messages) == 1 })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", time.Now()) })
	p.until(t, "they are asked", func() bool { return len(p.notices) > 0 })
	waits(t, b, p, f, "it is noted", func(a *curfewv1.Alert) bool { return a.GetQuestion().GetTold() })
	n := p.notices[0]
	if len(p.notices) != 1 || n.GetTo()[0] != "person:ida" || len(n.GetContacts()) != 1 || n.GetContacts()[0].GetId() != "U1" || n.GetAlert().GetId() != alert.ID(f) {
		t.Errorf("got %v", p.notices)
	}
}

// Events that nobody judges are found however new the newest is: feeds where nothing happens write each minute.
func TestABacklogIsFoundBehindTheNewestDecision(t *testing.T) {
	b, c := bustest.New(t), clocktest.New(time.Now())
	w := &watch{desk: &desk{Options: Options{Bus: b, Tenant: "main", Clock: c}}}
	first := read(t, b, "okta", 0)
	second := read(t, b, "okta", first)
	newest, err := b.Last(t.Context(), bus.EventSubject("main", "okta", "log"))
	if err != nil {
		t.Fatal(err)
	}
	stored := newest.Time
	c.Move(10 * time.Minute)
	newest.Time = c.Now().Add(-50 * time.Second)
	decided := uint64(0)
	for _, judges := range []uint64{0, first, second} {
		if judges > 0 {
			judged(t, b, "okta", judges, decided)
			last, err := b.Last(t.Context(), bus.DecisionSubject("main", "okta", "log"))
			if err != nil {
				t.Fatal(err)
			}
			decided = last.Sequence
		}
		since, err := w.waits(t.Context(), "okta", "log", newest, c.Now())
		if err != nil || since.IsZero() != (judges == second) || since.Equal(stored) != (judges == first) {
			t.Errorf("judged up to %d of %d: waits since %v, %v", judges, second, since, err)
		}
	}
	if since, err := w.waits(t.Context(), "okta", "log", newest, c.Now().Add(-10*time.Minute)); err != nil || !since.IsZero() {
		t.Errorf("a moment old: waits since %v, %v", since, err)
	}
}

// A feed of webhooks alone says nothing where nothing happens; a source that never made a feed is missed.
func TestWhichSourcesAreSilent(t *testing.T) {
	b, c := bustest.New(t), clocktest.New(time.Now())
	for source, batch := range map[string]*curfewv1.EventBatch{
		"polled": {Cursor: "c1"}, "hooked": {Deliveries: []*curfewv1.Delivery{{}}}, "both": {Cursor: "c1", Deliveries: []*curfewv1.Delivery{{}}}, "mute": {More: true},
	} {
		batch.Format, batch.Tenant, batch.Source, batch.Feed = 1, "main", source, "log"
		if _, err := b.Append(t.Context(), bus.EventSubject("main", source, "log"), 0, batch); err != nil {
			t.Fatal(err)
		}
	}
	d := &desk{Options: Options{Bus: b, Tenant: "main", Clock: c, Sources: []string{"polled", "hooked", "both", "mute", "never"}}, routing: newRouting(config.Alerts{}, nil, nil)}
	w := newWatch(d, c.Now())
	for _, after := range []time.Duration{time.Minute, 2 * time.Hour} {
		ills, err := w.lanes(t.Context(), c.Now().Add(after))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range ills {
			if i.detection == sourceSilent {
				got = append(got, i.entity)
			}
		}
		want := "source:both source:mute source:never source:polled"
		if after == time.Minute {
			want = ""
		}
		if strings.Join(got, " ") != want {
			t.Errorf("after %v: got %v, want %s", after, got, want)
		}
	}
}

// A receiver that asks for ever to be asked later takes nothing either; one that took something since is well.
func TestWhichReceiversRefuse(t *testing.T) {
	b, p, busy, c := bustest.New(t), newPlace(), newPlace(), clocktest.New(time.Now())
	busy.fault = func(string) error { return &delivery.Refused{Reason: "too fast", After: 20 * time.Second} }
	var beats atomic.Int64
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { beats.Add(1) }))
	defer outside.Close()
	t.Setenv("TEST_HEARTBEAT", outside.URL)
	run(t, b, map[string]Receiver{"place": p, "busy": busy}, withClock(c), withAlerts(heartbeat(t, "place")))
	defer moving(t, c)()
	f := found(t, b, "f1", "ida")
	p.until(t, "people hear of it elsewhere", func() bool { return strings.Contains(p.text(), "do not reach people at busy") })
	if load(t, b, own(receiverRefusing, "receiver:place")) != nil {
		t.Error("the other one refuses as well")
	}
	silence(t, b, c.Now(), func(s *curfewv1.Silence) { s.Match = &curfewv1.SilenceMatch{AlertId: alert.ID(f)} })
	before, later := beats.Load(), c.Now().Add(5*time.Minute)
	p.until(t, "five minutes pass in which nothing waits there", func() bool { return c.Now().After(later) })
	if alert.IsOver(load(t, b, own(receiverRefusing, "receiver:busy"))) {
		t.Error("it is said to be well and has taken nothing")
	}
	if beats.Load() == before {
		t.Error("nothing is refused any more, and the heartbeat stays out")
	}
	busy.mu.Lock()
	busy.fault = func(string) error { return nil }
	busy.mu.Unlock()
	found(t, b, "f2", "bob")
	busy.until(t, "it takes something", func() bool { return busy.times()["f2"] == 1 })
	waits(t, b, p, own(receiverRefusing, "receiver:busy"), "it is well", alert.IsOver)
}
