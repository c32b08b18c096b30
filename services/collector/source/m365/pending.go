// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxPending bounds the blobs that are gone past: where more cannot be read, it is not theirs to answer for, and the
	// feed waits.
	maxPending = 32
	// maxEntry bounds the list entry of one, in bytes.
	maxEntry = 2 << 10
	// quickTries is how often one is tried again at once. Then the pauses grow up to longestPause.
	quickTries   = 3
	longestPause = 6 * time.Hour
	// kept is how long Microsoft keeps a blob.
	kept = 7 * 24 * time.Hour
	// maxRow is how many blobs in a row may break before the rest is left for later.
	maxRow = 3
)

// pending is a blob that could not be read, and is tried again until Microsoft keeps it no longer.
type pending struct {
	// Key stands for its id, Entry is its entry of the list.
	Key   string          `json:"key"`
	Entry json.RawMessage `json:"entry"`
	// Created is when it was made available, Next when it is tried again, after so many Tries.
	Created time.Time `json:"created"`
	Next    time.Time `json:"next"`
	Tries   int       `json:"tries"`
}

// failed notes one more try.
func (p *pending) failed(now time.Time) {
	p.Tries++
	pause := time.Duration(0)
	if p.Tries >= quickTries {
		pause = min(time.Minute<<min(p.Tries-quickTries, 16), longestPause)
	}
	p.Next = now.Add(pause).UTC().Truncate(time.Second)
}

// concernsAll is whether an error of reading a blob says nothing of that blob, but of all that is asked for now.
func concernsAll(ctx context.Context, err error) bool {
	var refused *vendorhttp.Refused
	var untold *vendorhttp.TokenRefused
	switch {
	case ctx.Err() != nil || errors.As(err, &untold) || errors.Is(err, vendorhttp.ErrUnasked):
		return true
	case errors.As(err, &refused):
		return refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden || refused.Status == http.StatusTooManyRequests
	}
	return false
}

// goPast makes a blob that broke a pending one.
func (r *reading) goPast(blob *content, broke error) error {
	at := r.at
	switch created := blob.created(at.Until); {
	case len(blob.raw) > maxEntry:
		r.lose(blob.raw, created, "content not readable", broke)
		at.done(blob)
	case len(at.Pending) >= maxPending:
		return fmt.Errorf("%d blobs could not be read, so the feed waits: %w", maxPending, broke)
	default:
		p := pending{Key: key(blob), Entry: blob.raw, Created: created.UTC()}
		p.failed(r.source.client.Time())
		at.Pending = append(at.Pending, p)
	}
	r.changed = true
	return nil
}

// lose makes a blob that never will be read a dead letter, and coverage begin anew behind it.
func (r *reading) lose(entry []byte, created time.Time, reason string, why error) {
	event.Append(r.batch, entry, 0, func([]byte) ([]*curfewv1.Event, error) {
		return nil, &event.Unreadable{Reason: reason, Detail: why.Error()}
	})
	if r.at.Covered.IsZero() || created.After(r.at.Covered) {
		r.at.Covered = created.UTC()
	}
}

// readPending tries again what is due of the blobs that were gone past. An error concerns all.
func (r *reading) readPending(ctx context.Context) error {
	now := r.source.client.Time()
	row := 0
	var left []pending
	for i, p := range r.at.Pending {
		if p.Next.After(now) || row == maxRow || r.full() {
			left = append(left, p)
			continue
		}
		blob, err := readContent(p.Entry)
		if err != nil {
			return err
		}
		records, err := r.source.read(ctx, r.batch.GetFeed(), blob)
		switch {
		case err == nil:
			event.AppendAll(r.batch, records, Decode)
			r.at.settle(&p)
			row = 0
		case code(err) == codeExpired || code(err) == codeNoContent:
			r.lose(p.Entry, p.Created, "content expired", err)
			r.at.settle(&p)
			row = 0
		case concernsAll(ctx, err):
			r.at.Pending = append(left, r.at.Pending[i:]...)
			return err
		case now.After(p.Created.Add(kept)):
			r.lose(p.Entry, p.Created, "content not readable", err)
			row++
		default:
			p.failed(now)
			left = append(left, p)
			row++
		}
		r.blobs++
		r.changed = true
	}
	r.at.Pending = left
	return nil
}
