// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// maxAge is how far the time of a delivery may lie from ours: what Slack recommends, in
// https://docs.slack.dev/authentication/verifying-requests-from-slack.
const maxAge = 5 * time.Minute

// serve listens by HTTP.
func (r *Receiver) serve(ctx context.Context, l *clicks) error {
	listener, err := net.Listen("tcp", r.config.Listen)
	if err != nil {
		return fmt.Errorf("slack: listen for clicks: %w", err)
	}
	server := &http.Server{
		Handler: l.handler(ctx), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 15, ErrorLog: log.New(io.Discard, "", 0),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		// Who is being answered is answered: nothing of it takes longer.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackFor+time.Second)
		defer cancel()
		stopped <- server.Shutdown(end)
	})
	err = server.Serve(listener)
	if !stop() {
		return errors.Join(ctx.Err(), <-stopped)
	}
	return fmt.Errorf("slack: listen for clicks: %w", err)
}

// handler is where Slack delivers. Nothing of a delivery is read before its signature is checked.
func (l *clicks) handler(base context.Context) http.Handler {
	seals := &seals{known: map[string]time.Time{}}
	mux := http.NewServeMux()
	for path, kind := range map[string]string{"POST /slack/interactions": interactive, "POST /slack/commands": slashed} {
		mux.HandleFunc(path, func(w http.ResponseWriter, req *http.Request) { l.receive(base, seals, kind, w, req) })
	}
	return mux
}

// receive answers one delivery.
func (l *clicks) receive(base context.Context, seals *seals, kind string, w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "not read whole", http.StatusBadRequest)
		return
	}
	secret, err := l.r.config.SigningSecret.Value()
	if err != nil {
		l.complain(fmt.Errorf("slack: signing_secret: %w", err))
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	seal := req.Header.Get("X-Slack-Signature")
	if err := believe(secret, req.Header.Get("X-Slack-Request-Timestamp"), seal, body, l.r.now()); err != nil {
		if n := seals.doubt(l.r.now()); n > 0 {
			l.complain(fmt.Errorf("slack: %d deliveries were not believed, the last: %w", n, err))
		}
		http.Error(w, "not believed", http.StatusUnauthorized)
		return
	}
	if !seals.add(seal, l.r.now()) {
		http.Error(w, "seen before", http.StatusConflict)
		return
	}
	o, err := l.deliver(req.Context(), kind, body)
	defer l.after(base, o)
	if err != nil {
		// The very same delivery may come again, and must be taken then.
		seals.drop(seal)
		l.complain(fmt.Errorf("slack: %w", err))
		http.Error(w, "not taken", http.StatusServiceUnavailable)
		return
	}
	l.acknowledge(w, o)
}

// deliver handles a delivery that is believed.
func (l *clicks) deliver(ctx context.Context, kind string, body []byte) (outcome, error) {
	payload, err := unform(kind, body)
	if err != nil {
		return outcome{}, err
	}
	return l.handle(ctx, kind, payload)
}

func (l *clicks) acknowledge(w http.ResponseWriter, o outcome) {
	answer, err := o.body()
	if err != nil {
		l.complain(fmt.Errorf("slack: answer a click: %w", err))
		answer = nil
	}
	if answer != nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(http.StatusOK)
	// Slack sends it again where it did not hear.
	_, _ = w.Write(answer)
}

func (l *clicks) complain(err error) {
	if l.r.report != nil {
		l.r.report(err)
	}
}

// believe is an error unless a delivery is signed with the secret and of now.
func believe(secret, at, seal string, body []byte, now time.Time) error {
	if err := vendorhttp.CheckHMAC(secret, seal, "v0=", []byte("v0:"+at+":"), body); err != nil {
		return err
	}
	return vendorhttp.CheckAge(at, now, maxAge)
}

// seals are the signatures that were taken: one proves where a delivery is from, and not that it is new.
type seals struct {
	mu    sync.Mutex
	known map[string]time.Time
	swept time.Time
	// doubted is how many deliveries were not believed since that was told, at spoke.
	doubted int
	spoke   time.Time
}

// doubt counts a delivery that is not believed, and returns how many there were, or 0 if that was told less than a minute
// ago: anybody may send them.
func (s *seals) doubt(now time.Time) (told int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubted++
	if now.Sub(s.spoke) >= time.Minute {
		told, s.doubted, s.spoke = s.doubted, 0, now
	}
	return told
}

// add is whether a signature is new.
func (s *seals) add(seal string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept) > maxAge {
		for one, at := range s.known {
			// One may be of maxAge before us or behind us.
			if now.Sub(at) > 2*maxAge {
				delete(s.known, one)
			}
		}
		s.swept = now
	}
	if _, known := s.known[seal]; known {
		return false
	}
	s.known[seal] = now
	return true
}

func (s *seals) drop(seal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, seal)
}
