// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// WebhookPath stands before a source's name in the address that its vendor sends webhooks to.
	WebhookPath = "/webhook/"
	// storeWebhook bounds how long a webhook may take to be durable. Okta and Slack wait three seconds for the answer.
	storeWebhook = 2500 * time.Millisecond
	// rememberSeals is for how long replays are refused at the door.
	rememberSeals = 10 * time.Minute
	// maxBodies bounds the bodies that are read at once, in bytes, and waitForRoom how long one waits for its turn: whoever
	// calls has proven nothing before its body was read.
	maxBodies   = 64 << 20
	waitForRoom = 2 * time.Second
)

// ServeWebhooks takes webhooks on an open listener until ctx ends, and closes it. Nil means that ctx ended. A delivery is
// believed by its source or refused; believed, it is durable before it is answered with success.
func ServeWebhooks(ctx context.Context, listener net.Listener, o Options) error {
	server := &http.Server{
		Handler: webhooks(o), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 40 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	stop := context.AfterFunc(ctx, func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		_ = server.Shutdown(stopping) // what does not end in time is cut off, unanswered: the vendor sends it again
	})
	defer stop()
	if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// webhooks answers the vendors of all sources.
func webhooks(o Options) http.Handler {
	mux := http.NewServeMux()
	hooks := map[string]*hook{}
	room := semaphore.NewWeighted(maxBodies)
	for name, configured := range o.Sources {
		if listener, ok := configured.Source.(Listener); ok && len(listener.Webhooks()) > 0 {
			hooks[name] = &hook{
				Options: o, source: name, listener: listener, replayed: replays{horizon: rememberSeals}, room: room,
				loudly: rate.Sometimes{First: 10, Interval: 10 * time.Second},
			}
		}
	}
	mux.HandleFunc(WebhookPath+"{source}", func(w http.ResponseWriter, r *http.Request) {
		h := hooks[r.PathValue("source")]
		if h == nil {
			// What was asked for is no label: whoever calls could make time series.
			o.Metrics.Webhook("", "unknown source")
			http.Error(w, "no source takes webhooks here", http.StatusNotFound)
			return
		}
		h.serve(w, r)
	})
	return mux
}

// hook takes the deliveries of one source.
type hook struct {
	Options
	source   string
	listener Listener
	room     *semaphore.Weighted
	loudly   rate.Sometimes // whoever calls could fill the log; all are counted

	mu       sync.Mutex
	replayed replays
}

func (h *hook) serve(w http.ResponseWriter, r *http.Request) {
	accepted, received, err := h.believe(r)
	if err == nil && !h.fresh(accepted, received) {
		err = &vendorhttp.Unbelieved{Reason: "replayed", Detail: "the same signed body came before as another delivery"}
	}
	var unbelieved *vendorhttp.Unbelieved
	switch {
	case errors.As(err, &unbelieved):
		status, known := statuses[unbelieved.Reason]
		if !known {
			status = http.StatusUnauthorized
		}
		h.refuse(w, status, unbelieved.Reason, unbelieved.Reason)
		h.loudly.Do(func() {
			h.Log.Warn("webhook refused", "source", h.source, "reason", unbelieved.Reason, "detail", unbelieved.Detail, "from", r.RemoteAddr)
		})
		return
	case err != nil:
		h.refuse(w, http.StatusServiceUnavailable, "failed", "try again later")
		h.loudly.Do(func() { h.Log.Error("webhook not read", "source", h.source, "error", err) })
		return
	}
	if !accepted.Question {
		ctx, cancel := context.WithTimeout(r.Context(), storeWebhook)
		defer cancel()
		if err := h.store(ctx, accepted, received); err != nil {
			h.refuse(w, http.StatusServiceUnavailable, "failed", "try again later")
			h.loudly.Do(func() {
				h.Log.Error("webhook not stored; the vendor is told to send it again", "source", h.source, "error", err)
			})
			return
		}
		h.Metrics.Webhook(h.source, "stored")
	}
	if accepted.Answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", accepted.AnswerType)
	_, _ = w.Write(accepted.Answer) // whoever asked may have gone
}

// refuse counts a refusal and answers with it.
func (h *hook) refuse(w http.ResponseWriter, status int, outcome, text string) {
	h.Metrics.Webhook(h.source, outcome)
	http.Error(w, text, status)
}

// statuses are the answers to what is refused for another reason than its proof.
var statuses = map[string]int{
	"oversized": http.StatusRequestEntityTooLarge, "broken off": http.StatusBadRequest, "busy": http.StatusServiceUnavailable,
	"no delivery": http.StatusMethodNotAllowed,
}

// believe reads a delivery, no longer than the source takes and only while there is room for it, and has the source believe
// it. What lacks its proof is refused unread.
func (h *hook) believe(r *http.Request) (*vendorhttp.Accepted, time.Time, error) {
	delivery := vendorhttp.Delivery{Method: r.Method, Query: r.URL.Query(), Header: r.Header, Received: time.Now()}
	var unbelieved *vendorhttp.Unbelieved
	if _, err := h.listener.Receive(delivery); errors.As(err, &unbelieved) && unbelieved.Reason == "unsigned" {
		return nil, delivery.Received, err
	}
	limit := h.listener.MaxWebhook()
	oversized := &vendorhttp.Unbelieved{Reason: "oversized", Detail: "its body is longer than the vendor's can be"}
	weight := r.ContentLength
	switch {
	case weight > limit:
		return nil, delivery.Received, oversized
	case weight < 0:
		weight = limit
	}
	waiting, cancel := context.WithTimeout(r.Context(), waitForRoom)
	defer cancel()
	if h.room.Acquire(waiting, weight) != nil {
		return nil, delivery.Received, &vendorhttp.Unbelieved{Reason: "busy", Detail: "too many bodies are on their way in"}
	}
	defer h.room.Release(weight)
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		return nil, delivery.Received, &vendorhttp.Unbelieved{Reason: "broken off", Detail: "its body did not come to its end"}
	case int64(len(body)) > limit:
		return nil, delivery.Received, oversized
	}
	delivery.Body, delivery.Received = body, time.Now()
	accepted, err := h.listener.Receive(delivery)
	if err == nil && !accepted.Question && r.Method != http.MethodPost {
		err = &vendorhttp.Unbelieved{Reason: "no delivery", Detail: "deliveries come by POST"}
	}
	return accepted, delivery.Received, err
}

// fresh is whether no delivery with this seal came lately to this process under another key. The lane, which remembers
// longer and over restarts, has the last word.
func (h *hook) fresh(accepted *vendorhttp.Accepted, received time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	came, _ := h.replayed.add(&curfewv1.Delivery{Key: accepted.Key, Seal: accepted.Seal}, received)
	return came != asAnother
}

// store makes a believed delivery durable.
func (h *hook) store(ctx context.Context, accepted *vendorhttp.Accepted, received time.Time) error {
	webhook := &curfewv1.Webhook{
		Format: bus.Format, Tenant: h.Tenant, Source: h.source, Feed: accepted.Feed, Key: accepted.Key, Seal: accepted.Seal,
		Received: timestamppb.New(received), Records: accepted.Records, Logged: accepted.Logged,
	}
	if size := proto.Size(webhook); size > h.Bus.MaxMessage()/2 {
		content, err := proto.Marshal(webhook)
		if err != nil {
			return err
		}
		object, err := h.Bus.PutObject(ctx, content)
		if err != nil {
			return err
		}
		webhook.Records, webhook.Object = nil, object
	}
	id := event.ContentKey(h.source, accepted.Feed, accepted.Key, accepted.Seal)
	_, err := h.Bus.Publish(ctx, bus.InboxSubject(h.Tenant, h.source, accepted.Feed), id, webhook)
	return err
}
