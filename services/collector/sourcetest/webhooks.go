// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// Listener is what the collector asks of a source that takes webhooks.
type Listener interface {
	Webhooks() []string
	MaxWebhook() int64
	Receive(delivery vendorhttp.Delivery) (*vendorhttp.Accepted, error)
}

// WebhookCase is a source under test that takes webhooks.
type WebhookCase struct {
	// New makes a source that wants webhooks proven by secret; none where it is "".
	New func(t *testing.T, secret string) Listener
	// Deliver is the request as the vendor sends it of records, proven by secret at a time, the nth of its deliveries.
	Deliver func(t *testing.T, secret string, at time.Time, n int, records ...[]byte) vendorhttp.Delivery
	// Resign makes the proof of a delivery right again after its body was changed; nil where the proof does not depend on
	// the body.
	Resign func(delivery *vendorhttp.Delivery, secret string)
	// Records are records that a delivery can carry, each of which Decode makes events of.
	Records [][]byte
	// Together is how many records one delivery can carry.
	Together int
	// Decode is the source's decoder for what Receive gives.
	Decode event.Decode
	// Proof is the header that proves a delivery.
	Proof string
	// Seals is whether each delivery has a proof of its own.
	Seals bool
	// Tolerance is how old a delivery may be; 0 where the vendor does not say when it was made.
	Tolerance time.Duration
}

const hookSecret = "kit-h00k-s3cr3t-9a8b7c6d"

// Webhooks holds the source of c to what is promised of webhooks: what the vendor sent is taken whole, and nothing else is
// believed or parsed.
func Webhooks(t *testing.T, c WebhookCase) {
	now := time.Now()
	if feeds := c.New(t, "").Webhooks(); len(feeds) > 0 {
		t.Errorf("without a secret: got webhooks for %v, want none", feeds)
	}
	if _, err := c.New(t, "").Receive(c.Deliver(t, "", now, 1, c.Records[0])); err == nil {
		t.Error("without a secret: a delivery was believed")
	}
	source := c.New(t, hookSecret)
	if len(source.Webhooks()) == 0 || source.MaxWebhook() < 1<<10 {
		t.Fatalf("got webhooks for %v of at most %d bytes, want a feed and room for one", source.Webhooks(), source.MaxWebhook())
	}
	t.Run("genuine", func(t *testing.T) { c.genuine(t, source, now) })
	t.Run("unbelieved", func(t *testing.T) { c.unbelieved(t, source, now) })
	t.Run("not parsed", func(t *testing.T) { c.notParsed(t, source, now) })
	if c.Tolerance > 0 {
		t.Run("stale", func(t *testing.T) { c.stale(t, source, now) })
	}
}

func (c WebhookCase) genuine(t *testing.T, source Listener, now time.Time) {
	keys, seals := map[string]bool{}, map[string]bool{}
	n := 0
	for chunk := range slices.Chunk(c.Records, max(1, c.Together)) {
		n++
		delivery := c.Deliver(t, hookSecret, now, n, chunk...)
		body := bytes.Clone(delivery.Body)
		accepted, err := source.Receive(delivery)
		if err != nil {
			t.Fatalf("delivery %d: %v", n, err)
		}
		if !bytes.Equal(body, delivery.Body) {
			t.Errorf("delivery %d: its body was changed", n)
		}
		if accepted.Question || accepted.Key == "" || keys[accepted.Key] || !slices.Contains(source.Webhooks(), accepted.Feed) {
			t.Errorf("delivery %d: got question %v, key %q, feed %q, want no question, a key of its own and one of %v", n, accepted.Question, accepted.Key, accepted.Feed, source.Webhooks())
		}
		if (accepted.Seal != "") != c.Seals || c.Seals && seals[accepted.Seal] {
			t.Errorf("delivery %d: got seal %q, want one of its own: %v", n, accepted.Seal, c.Seals)
		}
		keys[accepted.Key], seals[accepted.Seal] = true, true
		if len(accepted.Records) != len(chunk) {
			t.Fatalf("delivery %d: got %d records, want %d", n, len(accepted.Records), len(chunk))
		}
		for i, record := range accepted.Records {
			// The record within, byte for byte: a digest is taken of it.
			if !bytes.Contains(record, chunk[i]) {
				t.Errorf("delivery %d: record %d is not as it was sent: %s", n, i, record)
			}
			if _, err := c.Decode(record); err != nil {
				t.Errorf("delivery %d: decode record %d: %v", n, i, err)
			}
		}
		again, err := source.Receive(c.Deliver(t, hookSecret, now, n, chunk...))
		if err != nil || again.Key != accepted.Key {
			t.Errorf("delivery %d again: got key %q, %v, want %q", n, again.Key, err, accepted.Key)
		}
	}
}

func (c WebhookCase) unbelieved(t *testing.T, source Listener, now time.Time) {
	genuine := func() vendorhttp.Delivery {
		d := c.Deliver(t, hookSecret, now, 1, c.Records[0])
		d.Header = d.Header.Clone()
		return d
	}
	tests := map[string]func(d *vendorhttp.Delivery){
		"no proof":             func(d *vendorhttp.Delivery) { d.Header.Del(c.Proof) },
		"an empty proof":       func(d *vendorhttp.Delivery) { d.Header.Set(c.Proof, "") },
		"no header at all":     func(d *vendorhttp.Delivery) { d.Header = http.Header{} },
		"another secret":       func(d *vendorhttp.Delivery) { *d = c.Deliver(t, "another-s3cr3t-1111", now, 1, c.Records[0]) },
		"an empty secret":      func(d *vendorhttp.Delivery) { *d = c.Deliver(t, "", now, 1, c.Records[0]) },
		"nonsense for a proof": func(d *vendorhttp.Delivery) { d.Header.Set(c.Proof, "v0=zz") },
		"half a proof": func(d *vendorhttp.Delivery) {
			d.Header.Set(c.Proof, d.Header.Get(c.Proof)[:len(d.Header.Get(c.Proof))/2])
		},
		"more than a proof": func(d *vendorhttp.Delivery) { d.Header.Set(c.Proof, d.Header.Get(c.Proof)+"00") },
		"the proof behind another one": func(d *vendorhttp.Delivery) {
			d.Header[http.CanonicalHeaderKey(c.Proof)] = []string{"v0=00", d.Header.Get(c.Proof)}
		},
	}
	if c.Resign != nil {
		tests["a body with one bit changed"] = func(d *vendorhttp.Delivery) {
			d.Body = bytes.Clone(d.Body)
			d.Body[len(d.Body)/2] ^= 1
		}
		tests["another body"] = func(d *vendorhttp.Delivery) { d.Body = []byte(`{}`) }
		tests["no body"] = func(d *vendorhttp.Delivery) { d.Body = nil }
	}
	for name, forge := range tests {
		delivery := genuine()
		forge(&delivery)
		accepted, err := source.Receive(delivery)
		c.refused(t, name, accepted, err, "unsigned", "forged", "stale", "foreign")
	}
}

// refused wants a delivery not to have been believed, for one of the reasons.
func (c WebhookCase) refused(t *testing.T, name string, accepted *vendorhttp.Accepted, err error, reasons ...string) {
	t.Helper()
	var unbelieved *vendorhttp.Unbelieved
	if !errors.As(err, &unbelieved) || !slices.Contains(reasons, unbelieved.Reason) {
		t.Errorf("%s: got %+v and error %v, want an Unbelieved that is one of %v", name, accepted, err, reasons)
		return
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err)} {
		if strings.Contains(text, hookSecret[:8]) || strings.Contains(text, "\n") {
			t.Errorf("%s: the error tells of the secret or has several lines: %s", name, text)
		}
	}
}

// notParsed wants a body that is no webhook to be believed by its proof alone: kept where it is right, and where it is
// wrong refused for that and not for what it holds.
func (c WebhookCase) notParsed(t *testing.T, source Listener, now time.Time) {
	for _, body := range []string{``, `{`, `[]`, `42`, `null`, "\xff\xfe", `{"data":{"events":7},"event":[],"type":{}}`, strings.Repeat("[", 20_000)} {
		delivery := c.Deliver(t, hookSecret, now, 1, c.Records[0])
		delivery.Header, delivery.Body = delivery.Header.Clone(), []byte(body)
		if c.Resign == nil {
			delivery.Header.Set(c.Proof, "wrong")
		}
		accepted, err := source.Receive(delivery)
		c.refused(t, "nonsense without a proof", accepted, err, "forged", "unsigned")

		delivery = c.Deliver(t, hookSecret, now, 1, c.Records[0])
		delivery.Header, delivery.Body = delivery.Header.Clone(), []byte(body)
		if c.Resign != nil {
			c.Resign(&delivery, hookSecret)
		}
		accepted, err = source.Receive(delivery)
		if err != nil || accepted.Question || len(accepted.Records) == 0 || !bytes.Contains(bytes.Join(accepted.Records, nil), []byte(body)) {
			t.Errorf("nonsense %.40q with its proof: got %+v, %v, want it kept whole as a record", body, accepted, err)
		}
	}
}

func (c WebhookCase) stale(t *testing.T, source Listener, now time.Time) {
	for age, fresh := range map[time.Duration]bool{
		0: true, c.Tolerance - 2*time.Second: true, c.Tolerance + 2*time.Second: false, 24 * time.Hour: false,
		-c.Tolerance - 2*time.Second: false, 100 * 365 * 24 * time.Hour: false,
	} {
		delivery := c.Deliver(t, hookSecret, now.Add(-age), 1, c.Records[0])
		delivery.Received = now
		accepted, err := source.Receive(delivery)
		if !fresh {
			c.refused(t, fmt.Sprintf("of %v ago", age), accepted, err, "stale")
		} else if err != nil {
			t.Errorf("of %v ago: %v", age, err)
		}
	}
}
