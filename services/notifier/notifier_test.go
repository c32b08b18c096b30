// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/state"
	"github.com/curfewhq/curfew/internal/telemetry"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// place is a receiver that keeps what it is given and refuses as often as it is told.
type place struct {
	mu      sync.Mutex
	got     map[string]int
	repeats int
	refuse  int
	after   bool // takes what it then refuses, as a place does whose answer is lost
	changed chan struct{}
}

func newPlace() *place { return &place{got: map[string]int{}, changed: make(chan struct{}, 1000)} }

func (p *place) Deliver(_ context.Context, alert *curfewv1.Alert, repeated bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if repeated {
		p.repeats++
	}
	if p.refuse > 0 {
		p.refuse--
		if p.after {
			p.got[alert.GetId()]++
		}
		return errors.New("not now")
	}
	p.got[alert.GetId()]++
	p.changed <- struct{}{}
	return nil
}

func (p *place) wait(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-p.changed:
		case <-time.After(30 * time.Second):
			t.Fatal("no alert came")
		}
	}
}

func run(t *testing.T, b *bus.Bus, mode config.Mode, receivers map[string]Receiver) (stop func()) {
	t.Helper()
	return runModes(t, b, config.Config{Mode: mode}.ModeOf, receivers)
}

func runModes(t *testing.T, b *bus.Bus, mode func(string) config.Mode, receivers map[string]Receiver) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Options{
			Bus: b, State: state.NewMemory(), Tenant: "main", Mode: mode, Receivers: receivers,
			Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
		})
	}()
	stop = func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: got %v, want Canceled", err)
		}
		done <- context.Canceled
	}
	t.Cleanup(stop)
	return stop
}

func find(t *testing.T, b *bus.Bus, message, id string) {
	t.Helper()
	findAt(t, b, "okta", message, id)
}

func findAt(t *testing.T, b *bus.Bus, source, message, id string) {
	t.Helper()
	f := &curfewv1.Finding{
		Format: 1, Id: id, Tenant: "main", Severity: curfewv1.Severity_SEVERITY_HIGH, Detection: "unauthorized_access", Title: "t",
		Event: &curfewv1.Event{Source: source},
	}
	if _, err := b.Publish(t.Context(), bus.FindingSubject(f), message, f); err != nil {
		t.Fatal(err)
	}
}

// states is the steps of an alert as stored.
func states(t *testing.T, b *bus.Bus, id string) string {
	t.Helper()
	var steps []string
	if err := b.Read(t.Context(), bus.AlertSubject("main", id), bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.AlertStep)
		if err := m.Decode(step); err != nil {
			return err
		}
		steps = append(steps, strings.TrimPrefix(step.GetState().String(), "ALERT_STATE_"))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, " ")
}

func TestAFindingBecomesOneAlert(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, config.Alert, map[string]Receiver{"place": p})
	find(t, b, "1", "f1")
	p.wait(t, 1)
	find(t, b, "2", "f1") // the same finding, written again after an evaluator's crash
	find(t, b, "3", "f2")
	p.wait(t, 1)
	if p.got["f1"] != 1 || p.got["f2"] != 1 {
		t.Errorf("got %v, want each once", p.got)
	}
	if got := states(t, b, "f1"); got != "OPEN SENDING SENT" {
		t.Errorf("steps: got %s", got)
	}
}

func TestARefusedAlertComesAgain(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	p.refuse = 3
	run(t, b, config.Alert, map[string]Receiver{"place": p})
	find(t, b, "1", "f1")
	p.wait(t, 1)
	if p.got["f1"] != 1 || p.repeats != 3 {
		t.Errorf("got %v with %d marked as repeats, want one and 3: it is not known whether a refused one was seen", p.got, p.repeats)
	}
}

func TestObserveAlertsNobody(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	stop := run(t, b, config.Observe, map[string]Receiver{"place": p})
	find(t, b, "1", "f1")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	seen := errors.New("seen")
	if err := b.Follow(ctx, bus.All("alert"), bus.From{}, func(bus.Message) error { return seen }); !errors.Is(err, seen) {
		t.Fatal(err)
	}
	stop()
	if got := states(t, b, "f1"); got != "SUPPRESSED" || len(p.got) != 0 {
		t.Errorf("got %s and %v, want it recorded and nobody alerted", got, p.got)
	}
	// What was kept from people once is not sent when the mode changes.
	run(t, b, config.Alert, map[string]Receiver{"place": p})
	find(t, b, "2", "f1")
	find(t, b, "3", "f2")
	p.wait(t, 1)
	if p.got["f1"] != 0 || p.got["f2"] != 1 {
		t.Errorf("got %v", p.got)
	}
}

// A source's own mode comes before that of the whole: what it observes is recorded and told nobody, and the other way round.
func TestASourceHasAModeOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		name            string
		whole, oktas    config.Mode
		okta, elsewhere string
	}{
		{"one observed among many", config.Alert, config.Observe, "SUPPRESSED", "OPEN SENDING SENT"},
		{"one alerted among many", config.Observe, config.Alert, "OPEN SENDING SENT", "SUPPRESSED"},
		{"none of its own", config.Alert, "", "OPEN SENDING SENT", "OPEN SENDING SENT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, p := bustest.New(t), newPlace()
			conf := config.Config{Mode: c.whole, Sources: map[string]config.Source{"okta": {Mode: c.oktas}}}
			runModes(t, b, conf.ModeOf, map[string]Receiver{"place": p})
			findAt(t, b, "okta", "1", "okta")
			findAt(t, b, "slack", "2", "elsewhere")
			findAt(t, b, "", "3", "sourceless")
			want := map[string]string{"okta": c.okta, "elsewhere": c.elsewhere, "sourceless": c.elsewhere}
			settled(t, b, want)
			for id, steps := range want {
				if got := states(t, b, id); got != steps {
					t.Errorf("%s: got %s, want %s", id, got, steps)
				}
				if sent := strings.HasSuffix(steps, "SENT"); (p.got[id] == 1) != sent {
					t.Errorf("%s: a receiver got it %d times, want it there: %v", id, p.got[id], sent)
				}
			}
		})
	}
}

// settled waits until as many steps are stored as wanted.
func settled(t *testing.T, b *bus.Bus, want map[string]string) {
	t.Helper()
	steps := 0
	for _, s := range want {
		steps += len(strings.Fields(s))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	all := errors.New("all")
	if err := b.Follow(ctx, bus.All("alert"), bus.From{}, func(bus.Message) error {
		if steps--; steps == 0 {
			return all
		}
		return nil
	}); !errors.Is(err, all) {
		t.Fatal(err)
	}
}

func TestEachReceiverGetsIt(t *testing.T) {
	b, one, two := bustest.New(t), newPlace(), newPlace()
	two.refuse = 1
	run(t, b, config.Alert, map[string]Receiver{"one": one, "two": two})
	find(t, b, "1", "f1")
	two.wait(t, 1)
	if one.got["f1"] != 1 || two.got["f1"] != 1 {
		t.Errorf("got %v and %v, want one each: what one has is not sent again for another's sake", one.got, two.got)
	}
}

func TestTwoNotifiersAlertOnce(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, config.Alert, map[string]Receiver{"place": p})
	run(t, b, config.Alert, map[string]Receiver{"place": p})
	for i := range 15 {
		find(t, b, fmt.Sprint(i), fmt.Sprint("f", i))
	}
	p.wait(t, 15)
	for id, n := range p.got {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
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
	if err := r.Deliver(t.Context(), &curfewv1.Alert{Id: "a"}, false); err != nil || out.Len() == 0 {
		t.Errorf("got %q, %v", out.String(), err)
	}
}
