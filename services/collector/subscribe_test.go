// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/curfewhq/curfew/internal/telemetry"
)

// ringer is a bell that has to be asked for its webhooks.
type ringer struct {
	bell
	lives []time.Duration // of each subscription in turn; refused where it is 0
	asked []time.Duration // since the beginning
	began time.Time
	at    string
}

func (r *ringer) Subscribe(_ context.Context, _, address string) (time.Time, error) {
	life := r.lives[min(len(r.asked), len(r.lives)-1)]
	r.asked, r.at = append(r.asked, time.Since(r.began)), address
	if life == 0 {
		return time.Time{}, errors.New("the address is not known to us")
	}
	return time.Now().Add(life), nil
}

// A subscription is asked for anew well before it ends, and one that is refused again, ever later.
func TestSubscriptionsAreRenewed(t *testing.T) {
	for name, test := range map[string]struct {
		lives []time.Duration
		want  []time.Duration
	}{
		"long ones":  {[]time.Duration{6 * time.Hour}, []time.Duration{0, 330 * time.Minute, 660 * time.Minute}},
		"short ones": {[]time.Duration{20 * time.Minute}, []time.Duration{0, 10 * time.Minute, 20 * time.Minute}},
		"refused":    {[]time.Duration{0, 0, time.Hour}, []time.Duration{0, time.Minute, 3 * time.Minute, 33 * time.Minute}},
		"over":       {[]time.Duration{-time.Hour}, []time.Duration{0, time.Minute, 2 * time.Minute}},
	} {
		synctest.Test(t, func(t *testing.T) {
			source := &ringer{lives: test.lives, began: time.Now()}
			l := &lane{source: "bell", feed: "log", from: source}
			l.Options = Options{WebhookAddress: "https://hooks.example.com", Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics()}
			ctx, cancel := context.WithTimeout(t.Context(), test.want[len(test.want)-1]+time.Second)
			defer cancel()
			if err := l.subscribe(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v, want it to go on until it is stopped", name, err)
			}
			if !slices.Equal(source.asked, test.want) || source.at != "https://hooks.example.com/webhook/bell" {
				t.Errorf("%s: asked after %v to send to %q, want %v", name, source.asked, source.at, test.want)
			}
		})
	}
}
