// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"fmt"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// one is a place that takes one alert a message.
type one struct{ *place }

func (one) Single() {}

func (one) Pace() (posts, edits delivery.Pace) {
	return delivery.Pace{Burst: 5, Every: 2 * time.Millisecond}, delivery.Pace{Burst: 5, Every: 2 * time.Millisecond}
}

// NATS goes away in the middle of a burst and comes back: two notifiers show each alert once.
func TestNATSGoesAndComesBack(t *testing.T) {
	const alerts = 300
	address, stop, start := bustest.Restartable(t)
	p := newPlace()
	var buses []*bus.Bus
	for i := range 2 {
		b, err := bus.Open(t.Context(), bus.Config{URL: address})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() }) // the server may be gone
		buses = append(buses, b)
		run(t, b, map[string]Receiver{"place": one{p}}, func(o *Options) { o.Holder = fmt.Sprint("notifier-", i) })
	}
	var fs []*curfewv1.Finding
	for i := range alerts {
		fs = append(fs, found(t, buses[0], fmt.Sprint("f", i), fmt.Sprint("p", i), severe([]curfewv1.Severity{lowly, urgent}[i%2])))
	}
	p.until(t, "some are shown", func() bool { return len(p.times()) >= alerts/5 })
	stop()
	<-time.After(3 * time.Second)
	start()
	p.until(t, "all are shown", func() bool { return len(p.times()) == alerts })
	for _, f := range fs {
		waits(t, buses[1], p, f, "stored as shown", func(a *curfewv1.Alert) bool {
			return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT
		})
	}
	for title, times := range p.times() {
		if times != 1 {
			t.Errorf("%s is shown %d times, want once", title, times)
		}
	}
}
