// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package fake is the vendors on their worst day: HTTP handlers that speak a vendor's real paging, limits, lateness and
// faults, all of it repeatable from a seed. Tests and the demo talk to them as they would to the vendor.
package fake

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
)

// Faults is how badly a fake behaves. The zero value behaves well. Each Every is the mean number of requests from one
// such fault to the next, 0 for never; which requests are hit follows from Seed and their order alone.
type Faults struct {
	// Seed makes the faults, and the lateness of a fake that has any, repeatable.
	Seed uint64
	// RateLimitEvery is how often a request is refused for being one too many, in the vendor's own form.
	RateLimitEvery int
	// ServerErrorEvery is how often the vendor breaks before it did anything (5xx).
	ServerErrorEvery int
	// DropReplyEvery is how often the vendor does what was asked and the connection breaks in the middle of the reply.
	DropReplyEvery int
	// LieEvery is how often a change is answered with success and not made.
	LieEvery int
	// AwayAfter and AwayFor make the vendor go away: behind the first AwayAfter requests, the next AwayFor find nobody.
	AwayAfter, AwayFor int
}

// fault is what is to go wrong with one request.
type fault int

const (
	faultNone        fault = iota
	faultRateLimit         // answer as the vendor refuses one request too many; do nothing
	faultServerError       // answer 5xx; do nothing
	faultDropReply         // do what was asked, then answer with dropReply
	faultAway              // answer with goAway; do nothing
)

// faults draws the fault of each request. It is safe for concurrent use.
type faults struct {
	Faults
	mu       sync.Mutex
	rand     *rand.Rand
	lying    *rand.Rand
	requests int
}

func newFaults(f Faults) *faults {
	return &faults{Faults: f, rand: rand.New(rand.NewPCG(f.Seed, 0x63757266)), lying: rand.New(rand.NewPCG(f.Seed, 0x6c6965))}
}

// next is the fault of the next request; faultNone where there is none. Vendors differ in how they refuse, so the
// caller writes the answer.
func (f *faults) next() fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	if f.requests > f.AwayAfter && f.requests <= f.AwayAfter+f.AwayFor {
		return faultAway
	}
	// All three are drawn each time, so that turning one of them on does not move the others.
	limit, broken, dropped := f.hit(f.RateLimitEvery), f.hit(f.ServerErrorEvery), f.hit(f.DropReplyEvery)
	switch {
	case limit:
		return faultRateLimit
	case broken:
		return faultServerError
	case dropped:
		return faultDropReply
	}
	return faultNone
}

// lies is whether the next change is answered with success and not made.
func (f *faults) lies() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.LieEvery > 0 && f.lying.Float64()*float64(f.LieEvery) < 1
}

func (f *faults) hit(every int) bool {
	draw := f.rand.Float64()
	return every > 0 && draw*float64(every) < 1
}

// dropReply begins an answer, breaks off in the middle of its body and cuts the connection. It does not return.
func dropReply(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	// An error here means that the client has gone already, which is what is wanted.
	_, _ = w.Write(body[:len(body)/2])
	panic(http.ErrAbortHandler)
}

// goAway cuts the connection before a byte of an answer. It does not return.
func goAway() { panic(http.ErrAbortHandler) }
