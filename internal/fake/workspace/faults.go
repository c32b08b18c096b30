// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is what goes wrong with calls of a method. Of what stops a call before it did anything, the first named below wins.
type Fault struct {
	// Latency passes before anything is done, whether or not the caller still waits; Lag passes before the reply to what was
	// done.
	Latency, Lag time.Duration
	// DropRequest cuts the connection before anything is done.
	DropRequest bool
	// Before answers with this HTTP status and does nothing.
	Before int
	// RetryAfter answers with 429 and does nothing.
	RetryAfter time.Duration
	// Error answers with a code of Slack's and does nothing.
	Error string
	// DropReply does what was asked and cuts the connection without a reply.
	DropReply bool
	// After does what was asked and answers with this HTTP status.
	After int
}

// broken is a fault that is still to happen.
type broken struct {
	Fault
	times int
}

// Break makes the next calls of a method go wrong, times of them, all until Mend if times is negative; "*" is any method
// that has no fault of its own.
func (w *Workspace) Break(method string, f Fault, times int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[method] = &broken{f, times}
}

// Mend ends what Break began.
func (w *Workspace) Mend(method string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.faults, method)
}

// fault is that of the next call of a method.
func (w *Workspace) fault(method string) Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range []string{method, "*"} {
		if b := w.faults[name]; b != nil && b.times != 0 {
			b.times--
			return b.Fault
		}
	}
	return Fault{}
}

// wait lets time pass, unless the workspace is closed.
func (w *Workspace) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-w.options.After(d):
	case <-w.done:
	}
}

// Call is one that reached the workspace.
type Call struct {
	At time.Time
	// Method is such as chat.postMessage, Channel the id of the conversation it was about, and TS that of the message that
	// came of it; empty if there is none.
	Method, Channel, TS string
	// Outcome is "ok", "dropped" for what was done without a reply, "cut" for what was not even done, Slack's code of a
	// refusal, "ratelimited" for 429, or an HTTP status that a fault gave, with " done" behind it if it was done all the same.
	Outcome string
}

// Calls are all, in the order in which they were done or refused.
func (w *Workspace) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

// Posted counts the calls by method and Call.Outcome.
func (w *Workspace) Posted() map[string]map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := map[string]map[string]int{}
	for _, c := range w.calls {
		if counts[c.Method] == nil {
			counts[c.Method] = map[string]int{}
		}
		counts[c.Method][c.Outcome]++
	}
	return maps.Clone(counts)
}

// serveMethod answers a call as Slack does, or as badly as its fault says.
func (w *Workspace) serveMethod(rw http.ResponseWriter, r *http.Request, name string) {
	c := &call{method: name, token: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	if refused := c.read(r); refused != nil {
		w.record(c, refused.code)
		c.answer(rw, nil, refused)
		return
	}
	w.suffer(rw, c, func() (map[string]any, *refusal) { return w.perform(c) })
}

// suffer does a call and answers it, unless its fault is in the way. It calls do, if at all, with the lock held.
func (w *Workspace) suffer(rw http.ResponseWriter, c *call, do func() (map[string]any, *refusal)) {
	f := w.fault(c.method)
	w.wait(f.Latency)
	switch {
	case f.DropRequest:
		w.record(c, "cut")
		panic(http.ErrAbortHandler)
	case f.Before > 0:
		w.record(c, strconv.Itoa(f.Before))
		http.Error(rw, http.StatusText(f.Before), f.Before)
		return
	case f.RetryAfter > 0:
		refused := &refusal{code: "ratelimited", wait: f.RetryAfter}
		w.record(c, refused.code)
		c.answer(rw, nil, refused)
		return
	case f.Error != "":
		w.record(c, f.Error)
		c.answer(rw, nil, &refusal{code: f.Error})
		return
	}
	answer, refused := w.do(c, f, do)
	w.wait(f.Lag)
	switch {
	case f.DropReply:
		panic(http.ErrAbortHandler)
	case f.After > 0:
		http.Error(rw, http.StatusText(f.After), f.After)
	default:
		c.answer(rw, answer, refused)
	}
}

// record keeps a call that was not done.
func (w *Workspace) record(c *call, outcome string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(c, outcome)
}

// keep keeps a call. The caller holds the lock.
func (w *Workspace) keep(c *call, outcome string) {
	about := c.args["channel"]
	if to := w.conversation(about); to != nil {
		about = to.id
	}
	w.calls = append(w.calls, Call{At: w.options.Now(), Method: c.method, Channel: about, TS: c.made, Outcome: outcome})
	w.change()
}

// do does what was asked, and keeps how it ended.
func (w *Workspace) do(c *call, f Fault, do func() (map[string]any, *refusal)) (map[string]any, *refusal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answer, refused := do()
	outcome := "ok"
	switch {
	case refused != nil:
		outcome = refused.code
	case f.DropReply:
		outcome = "dropped"
	case f.After > 0:
		outcome = strconv.Itoa(f.After) + " done"
	}
	w.keep(c, outcome)
	return answer, refused
}

// seconds is how Retry-After says a time to wait: whole seconds, no fewer than needed.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
