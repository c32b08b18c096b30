// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// What Slack allows of Socket Mode: https://docs.slack.dev/apis/events-api/using-socket-mode.
const (
	maxSockets = 10
	// maxAck is how large an acknowledgement may be; Slack drops a larger one without a word.
	maxAck    = 20_000
	ticketFor = 30 * time.Second
	// pingEvery is by the machine's clock, as is writeWithin: they are the connection's and not the workspace's.
	pingEvery   = 10 * time.Second
	writeWithin = 5 * time.Second
)

// socket is a connected one.
type socket struct {
	conn    *websocket.Conn
	left    chan struct{} // closed when it is gone
	writing sync.Mutex
	leaving bool // it was told to connect anew
}

// pending is an envelope that waits for its acknowledgement.
type pending struct {
	id    string
	on    *socket
	acked chan json.RawMessage // closed when none will come
}

// wrap is the envelope of a copy.
func (p *pending) wrap(e envelope) map[string]any {
	wrapped := map[string]any{"type": e.kind, "envelope_id": p.id, "payload": e.payload, "accepts_response_payload": true}
	if e.try > 0 {
		wrapped["retry_attempt"], wrapped["retry_reason"] = e.try, "timeout"
	}
	return wrapped
}

// openConnection gives out a ticket for one socket.
func (w *Workspace) openConnection(*call) (map[string]any, *refusal) {
	ticket := w.id("ticket")
	w.tickets[ticket] = w.options.Now()
	base := "ws" + strings.TrimPrefix(w.url, "http")
	return map[string]any{"url": base + "/link?" + url.Values{"ticket": {ticket}, "app_id": {AppID}}.Encode()}, nil
}

// Sockets is how many are connected and were not told to connect anew.
func (w *Workspace) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.staying())
}

func (w *Workspace) staying() []*socket {
	return slices.DeleteFunc(slices.Clone(w.sockets), func(s *socket) bool { return s.leaving })
}

// Refresh tells every socket to connect anew, as Slack does every few hours. Nothing is sent to them any more, and what
// they were sent they may still acknowledge.
func (w *Workspace) Refresh() {
	w.mu.Lock()
	told := w.staying()
	for _, s := range told {
		s.leaving = true
	}
	w.change()
	w.mu.Unlock()
	for _, s := range told {
		if !s.write(disconnect("refresh_requested")) {
			w.leave(s)
		}
	}
}

func disconnect(reason string) map[string]any {
	return map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-fake"}}
}

// Cut breaks every socket without a word.
func (w *Workspace) Cut() {
	w.mu.Lock()
	cut := slices.Clone(w.sockets)
	w.mu.Unlock()
	for _, s := range cut {
		w.leave(s)
	}
}

// serveSocket serves one until it breaks.
func (w *Workspace) serveSocket(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	ticket := r.URL.Query().Get("ticket")
	at, known := w.tickets[ticket]
	delete(w.tickets, ticket)
	w.mu.Unlock()
	if !known || w.options.Now().Sub(at) > ticketFor {
		http.Error(rw, "invalid ticket", http.StatusUnauthorized)
		return
	}
	// The origin is the app's library's, whatever it says.
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(rw, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	s := &socket{conn: conn, left: make(chan struct{})}
	if !w.enter(s) {
		return
	}
	defer w.running.Done()
	defer w.leave(s)
	for {
		var ack struct {
			EnvelopeID string          `json:"envelope_id"`
			Payload    json.RawMessage `json:"payload"`
		}
		_, raw, err := conn.ReadMessage()
		if err != nil {
			return
		}
		// What is no acknowledgement or too large a one does nothing, as at Slack.
		if len(raw) < maxAck && json.Unmarshal(raw, &ack) == nil {
			w.acknowledge(ack.EnvelopeID, ack.Payload)
		}
	}
}

// enter greets a socket, unless there are too many.
func (w *Workspace) enter(s *socket) bool {
	w.mu.Lock()
	if n := len(w.staying()); w.closed() || n >= maxSockets {
		w.mu.Unlock()
		s.write(disconnect("too_many_websockets"))
		_ = s.conn.Close()
		return false
	}
	w.running.Add(1)
	w.sockets = append(w.sockets, s)
	n := len(w.staying())
	w.running.Go(func() { w.keepAlive(s) })
	w.mu.Unlock()
	s.write(map[string]any{
		"type": "hello", "num_connections": n, "connection_info": map[string]any{"app_id": AppID},
		"debug_info": map[string]any{"host": "applink-fake", "approximate_connection_time": 18060},
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.change()
	return true
}

// keepAlive pings a socket, and breaks it when the workspace closes.
func (w *Workspace) keepAlive(s *socket) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := s.conn.WriteControl(websocket.PingMessage, []byte("Ping from applink-fake"), time.Now().Add(writeWithin)); err != nil {
				w.leave(s)
			}
		case <-s.left:
			return
		case <-w.done:
			w.leave(s)
			return
		}
	}
}

// write is whether a message was written.
func (s *socket) write(message map[string]any) bool {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return false
	}
	return s.conn.WriteMessage(websocket.TextMessage, encode(message)) == nil
}

// leave breaks a socket and tells who waits for it.
func (w *Workspace) leave(s *socket) {
	_ = s.conn.Close() // what it would say of is gone
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.sockets, s) {
		return
	}
	close(s.left)
	w.sockets = slices.DeleteFunc(w.sockets, func(one *socket) bool { return one == s })
	for id, p := range w.pending {
		if p.on == s {
			delete(w.pending, id)
			close(p.acked)
		}
	}
	w.change()
}

// choose is a socket to send an envelope on, one that was not tried if there is one; nil if there is none at all.
func (w *Workspace) choose(tried map[*socket]bool) (*socket, *pending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	staying := w.staying()
	if len(staying) == 0 {
		return nil, nil
	}
	w.turn++
	s := staying[w.turn%len(staying)]
	if fresh := slices.DeleteFunc(staying, func(one *socket) bool { return tried[one] }); len(fresh) > 0 {
		s = fresh[w.turn%len(fresh)]
	}
	tried[s] = true
	p := &pending{id: w.id("envelope"), on: s, acked: make(chan json.RawMessage, 1)}
	w.pending[p.id] = p
	return s, p
}

// unlist stops to wait for an envelope.
func (w *Workspace) unlist(p *pending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pending, p.id)
}

// acknowledge takes the acknowledgement of an envelope. One that came too late does nothing.
func (w *Workspace) acknowledge(id string, payload json.RawMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.pending[id]
	if p == nil {
		return
	}
	delete(w.pending, id)
	if string(payload) == "null" {
		payload = nil
	}
	p.acked <- payload
	w.change()
}
