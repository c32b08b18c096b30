// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// checkpoint stands between a process and what it talks to. At one point, counted over writes to the bus and calls to the
// vendor, it says so and lets nothing more through: whoever listens kills the process there, and then releases.
type checkpoint struct {
	up       chan struct{} // gets one for each service that began to follow its stream
	reached  chan string   // gets the point's name
	released chan struct{}

	mu    sync.Mutex
	left  int // points until it is reached
	asked []call
}

// call is one request that could change something.
type call struct {
	at      time.Time
	request string
	changed bool
	present bool // afterwards
}

func newCheckpoint(point int) *checkpoint {
	return &checkpoint{up: make(chan struct{}, 100), reached: make(chan string, 1), released: make(chan struct{}), left: point}
}

// release lets everything through from now on.
func (p *checkpoint) release() { close(p.released) }

// pass is one point. It returns false, late, where the process was killed at it or meanwhile.
func (p *checkpoint) pass(name string) bool {
	p.mu.Lock()
	p.left--
	hit, over := p.left == 0, p.left <= 0
	p.mu.Unlock()
	select {
	case <-p.released:
		return true
	default:
	}
	if hit {
		p.reached <- name
	}
	if over {
		<-p.released
		return false
	}
	return true
}

// watchOkta serves a vendor behind the checkpoint and returns its address. Present says whether the privilege is there.
func (p *checkpoint) watchOkta(t *testing.T, vendor http.Handler, present func() bool) string {
	t.Helper()
	var one sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, crashPerson) {
			vendor.ServeHTTP(w, r)
			return
		}
		name := r.Method + " " + strings.NewReplacer(crashPerson, "U", crashGroup, "G", "/api/v1/", "").Replace(r.URL.Path)
		if !p.pass("before " + name) {
			return
		}
		one.Lock()
		before, answer := present(), httptest.NewRecorder()
		vendor.ServeHTTP(answer, r)
		after := present()
		one.Unlock()
		if r.Method != http.MethodGet {
			p.mu.Lock()
			p.asked = append(p.asked, call{time.Now(), fmt.Sprintf("%s: %d", name, answer.Code), before != after, after})
			p.mu.Unlock()
		}
		if !p.pass("after " + name) {
			return
		}
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // whoever asked may be dead
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// watchNATS stands before a NATS server and returns its address. Points are the writes to subjects that begin with prefix;
// up is told of whoever begins to follow the stream.
func (p *checkpoint) watchNATS(t *testing.T, address, prefix, followed string) string {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			server, err := net.Dial("tcp", target.Host)
			if err != nil {
				_ = conn.Close()
				continue
			}
			var stored atomic.Bool // a write is at the server, and its answer not yet with the process
			write, follow := []byte("PUB "+prefix), []byte("PUB $JS.API.CONSUMER.CREATE."+followed+".")
			go relay(conn, server, func(chunk []byte) bool {
				for range bytes.Count(chunk, follow) {
					select {
					case p.up <- struct{}{}:
					default:
					}
				}
				for range bytes.Count(chunk, write) {
					if !p.pass("before step") {
						return false
					}
					stored.Store(true)
				}
				return true
			})
			go relay(server, conn, func([]byte) bool { return !stored.Swap(false) || p.pass("after step") })
		}
	}()
	return "nats://" + listener.Addr().String()
}

// watchHTTP serves a vendor behind the checkpoint and returns its address. Points are the requests that is says are.
func (p *checkpoint) watchHTTP(t *testing.T, vendor http.Handler, is func(*http.Request) bool) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !is(r) {
			vendor.ServeHTTP(w, r)
			return
		}
		name := strings.TrimPrefix(r.URL.Path, "/api/")
		if !p.pass("before " + name) {
			return
		}
		answer := httptest.NewRecorder()
		vendor.ServeHTTP(answer, r)
		if !p.pass("after " + name) {
			return
		}
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // whoever asked may be dead
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// relay copies what one side says to the other, as long as may lets it.
func relay(from, to net.Conn, may func([]byte) bool) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && may(buffer[:n]) {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		} else if n > 0 {
			return
		}
		if err != nil {
			return
		}
	}
}

// taken is when the vendor first showed the privilege no longer, and how often it changed.
func (p *checkpoint) taken() (at time.Time, changes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.asked {
		if c.changed {
			changes++
		}
		if c.changed && !c.present && at.IsZero() {
			at = c.at
		}
	}
	return at, changes
}

// calls is every request that could change something, a line each.
func (p *checkpoint) calls() (text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.asked {
		text += fmt.Sprintf("%s %s (changed: %v)\n", c.at.Format("05.000"), c.request, c.changed)
	}
	return text
}
