// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
)

// wire is a vendor behind faults.
type wire struct {
	vendor http.Handler
	mu     sync.Mutex
	fault  func(r *http.Request, n int) string // "", "away", "503", "403", "hang", "drop", "lie", "stale"
	seen   map[string]*httptest.ResponseRecorder
	count  int
	asked  map[string]int // changes that reached the vendor, by method
	hangs  int
}

func (w *wire) breaks(fault func(r *http.Request, n int) string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault, w.count = fault, 0
}

func (w *wire) always(fault string) { w.breaks(func(*http.Request, int) string { return fault }) }

func (w *wire) changes(method string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[method]
}

func (w *wire) hanging() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hangs
}

func (w *wire) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.count++
	fault, key := "", r.Method+r.URL.String()
	if w.fault != nil {
		fault = w.fault(r, w.count)
	}
	stale := w.seen[key]
	if fault == "hang" {
		w.hangs++
	}
	w.mu.Unlock()
	switch {
	case fault == "away":
		panic(http.ErrAbortHandler)
	case fault == "503", fault == "403":
		status, _ := strconv.Atoi(fault)
		http.Error(out, `{"error":{"code":`+fault+`,"message":"no"}}`, status)
		return
	case fault == "hang":
		<-r.Context().Done()
		w.mu.Lock()
		w.hangs--
		w.mu.Unlock()
		return
	case fault == "lie" && r.Method != http.MethodGet:
		out.WriteHeader(http.StatusNoContent)
		return
	case fault == "stale" && r.Method == http.MethodGet && stale != nil:
		answer(out, stale)
		return
	}
	recorded := httptest.NewRecorder()
	w.vendor.ServeHTTP(recorded, r)
	w.mu.Lock()
	w.seen[key] = recorded
	if r.Method != http.MethodGet {
		w.asked[r.Method]++
	}
	w.mu.Unlock()
	if fault == "drop" {
		panic(http.ErrAbortHandler)
	}
	answer(out, recorded)
}

func answer(out http.ResponseWriter, recorded *httptest.ResponseRecorder) {
	for name, values := range recorded.Header() {
		out.Header()[name] = values
	}
	out.WriteHeader(recorded.Code)
	_, _ = out.Write(recorded.Body.Bytes())
}
