// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"sync"
	"time"
)

// OktaConfig is how a fake Okta is set up.
type OktaConfig struct {
	// Token is the API token that is accepted; empty accepts any.
	Token string
	// Faults go wrong in every request that passed the token check.
	Faults Faults
	// LateEvery is the mean number of added records from one that reaches the log late to the next, 0 for never. It is
	// in the log only after up to LateBy further requests, behind records of a later "published".
	LateEvery, LateBy int
	// ExpireEvery is the mean number of requests with a cursor from one that is refused as expired to the next.
	ExpireEvery int
	// ResetAfter is how far ahead a refusal for too many requests puts the time to come back; one second if 0.
	ResetAfter time.Duration
	// Owner is the id of the person whose API token Token is.
	Owner string
	// Client is the service app that may ask for access tokens; "" for none.
	Client string
	// Clock is the org's own time, which every answer tells in its Date header; this machine's if nil. Whoever asks has
	// another.
	Clock func() time.Time
}

// Okta is an Okta org: its System Log and the administration of its directory.
//
// The log is GET /api/v1/logs as polling requests use it. Pages follow the order in which records reached the log,
// whatever their "published"; the next link is always there and its cursor means nothing to anyone else; an empty page is
// an answer like any other. See https://developer.okta.com/docs/reference/system-log-query/. What requests change of
// memberships and roles stands in the log, and nothing else of the directory. It is safe for concurrent use.
type Okta struct {
	config    OktaConfig
	faults    *faults
	routes    *http.ServeMux
	access    *oktaAccess
	directory *oktaDirectory

	mu         sync.Mutex
	rand       *rand.Rand
	log        []oktaRecord
	late       map[int][]json.RawMessage // by the request that brings them into the log
	due        []oktaDue                 // by time
	requests   int
	generation int
}

type oktaRecord struct {
	raw json.RawMessage
	// persisted never goes back along the log: what "since" of a polling request goes by.
	persisted time.Time
}

type oktaDue struct {
	at  time.Time
	raw json.RawMessage
}

// NewOkta returns an org with an empty log and nobody in it.
func NewOkta(config OktaConfig) *Okta {
	if config.ResetAfter == 0 {
		config.ResetAfter = time.Second
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	o := &Okta{
		config:    config,
		faults:    newFaults(config.Faults),
		access:    newOktaAccess(config.Client),
		directory: newOktaDirectory(),
		rand:      rand.New(rand.NewPCG(config.Faults.Seed, 0x6f6b7461)),
		late:      map[int][]json.RawMessage{},
	}
	o.routes = o.route()
	return o
}

// Add makes the records happen now, in this order, except that some may reach the log late. The caller must not change
// them afterwards.
func (o *Okta) Add(records ...json.RawMessage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, record := range records {
		if o.hit(o.config.LateEvery) && o.config.LateBy > 0 {
			request := o.requests + 1 + o.rand.IntN(o.config.LateBy)
			o.late[request] = append(o.late[request], record)
			continue
		}
		o.persist(record)
	}
}

// AddAt makes the records reach the log at a time to come, by the org's clock.
func (o *Okta) AddAt(at time.Time, records ...json.RawMessage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, record := range records {
		o.due = append(o.due, oktaDue{at, record})
	}
	sort.SliceStable(o.due, func(i, j int) bool { return o.due[i].at.Before(o.due[j].at) })
}

// Settle brings every late record into the log.
func (o *Okta) Settle() {
	o.mu.Lock()
	defer o.mu.Unlock()
	requests := make([]int, 0, len(o.late))
	for request := range o.late {
		requests = append(requests, request)
	}
	sort.Ints(requests)
	for _, request := range requests {
		o.persist(o.late[request]...)
		delete(o.late, request)
	}
}

// Expire makes every cursor handed out so far one that is refused.
func (o *Okta) Expire() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.generation++
}

// Requests is how many requests for the log passed the token check.
func (o *Okta) Requests() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.requests
}

func (o *Okta) hit(every int) bool {
	draw := o.rand.Float64()
	return every > 0 && draw*float64(every) < 1
}

// persist takes "published" for the time a record is persisted, or the previous record's time where that is later: so
// the log's order never depends on how fast a test runs. A time that is none, or is still to come, counts for nothing.
func (o *Okta) persist(records ...json.RawMessage) {
	for _, record := range records {
		var last time.Time
		if len(o.log) > 0 {
			last = o.log[len(o.log)-1].persisted
		}
		// Records that no decoder can read are in the log all the same: an error leaves the time zero.
		var times struct {
			Published time.Time `json:"published"`
		}
		_ = json.Unmarshal(record, &times)
		if times.Published.After(last) && !times.Published.After(o.config.Clock()) {
			last = times.Published
		}
		o.log = append(o.log, oktaRecord{record, last})
	}
}

// ServeHTTP answers as Okta's API does.
func (o *Okta) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", o.config.Clock().UTC().Format(http.TimeFormat))
	o.routes.ServeHTTP(w, r)
}

// serve answers a request of a route as the caller's rights, the day's faults and the org's state have it. The scope is
// what an access token needs for it.
func (o *Okta) serve(w http.ResponseWriter, r *http.Request, scope string, answer func(*http.Request) oktaAnswer) {
	if refusal, refused := o.unauthorized(r, scope); refused {
		refusal.write(w, r)
		return
	}
	wrong := o.faults.next()
	switch wrong {
	case faultRateLimit:
		// https://developer.okta.com/docs/reference/rl-best-practices/: the reset is in UTC epoch seconds.
		w.Header().Set("X-Rate-Limit-Limit", "60")
		w.Header().Set("X-Rate-Limit-Remaining", "0")
		w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(o.config.Clock().Add(o.config.ResetAfter).Unix(), 10))
		oktaRefusal(http.StatusTooManyRequests, "E0000047", "API call exceeded rate limit due to too many requests.").write(w, r)
		return
	case faultServerError:
		oktaRefusal(http.StatusInternalServerError, "E0000009", "Internal Server Error").write(w, r)
		return
	case faultAway:
		goAway()
	case faultNone, faultDropReply: // answered, the latter in part
	}
	if o.isForbidden(r) {
		oktaRefusal(http.StatusForbidden, "E0000006", "You do not have permission to perform the requested action").write(w, r)
		return
	}
	if o.isHidden(r) {
		oktaMissing("Hidden", r.URL.Path).write(w, r)
		return
	}
	answered := answer(r)
	if wrong == faultDropReply {
		dropReply(w, answered.body)
	}
	answered.write(w, r)
}

// serveLog answers with a page of the log.
func (o *Okta) serveLog(r *http.Request) oktaAnswer {
	page, next, refusal := o.page(r.URL.Query())
	if refusal != "" {
		return oktaInvalid(refusal)
	}
	return oktaAnswer{status: http.StatusOK, body: joinJSON(page), next: next}
}

// page is the records that query asks for and the query of the page after them, or why there is none.
func (o *Okta) page(query url.Values) (page []oktaRecord, next, refusal string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests++
	o.persist(o.late[o.requests]...)
	delete(o.late, o.requests)
	now := o.config.Clock()
	for len(o.due) > 0 && !o.due[0].at.After(now) {
		o.persist(o.due[0].raw)
		o.due = o.due[1:]
	}

	limit := 100
	if text := query.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 0 || limit > 1000 {
			return nil, "", "'limit': must be a number from 0 to 1000."
		}
	}
	since, after := query.Get("since"), query.Get("after")
	if query.Get("sortOrder") != "ASCENDING" || query.Has("until") {
		return nil, "", "this fake knows polling requests alone: sortOrder=ASCENDING, and no until."
	}
	start := 0
	switch {
	case after != "":
		if o.hit(o.config.ExpireEvery) {
			return nil, "", "'after': the cursor is no longer valid."
		}
		var ok bool
		if start, ok = o.position(after); !ok {
			return nil, "", "'after': the cursor is not valid."
		}
	case since != "":
		from, err := time.Parse(time.RFC3339, since)
		if err != nil {
			return nil, "", "'since': The date format in your query is not recognized."
		}
		start = sort.Search(len(o.log), func(i int) bool { return !o.log[i].persisted.Before(from) })
	}
	end := min(start+limit, len(o.log))
	values := url.Values{"limit": {strconv.Itoa(limit)}, "sortOrder": {"ASCENDING"}, "after": {o.after(end)}}
	if since != "" {
		// Okta's documentation has the two exclude each other, and its own links carry both.
		values.Set("since", since)
	}
	return o.log[start:end:end], values.Encode(), ""
}

// after and position turn a place in the log into a cursor and back. What a client could read from a cursor is scrambled
// on purpose.
func (o *Okta) after(place int) string {
	return fmt.Sprintf("%016x_%d", (uint64(place)+1)*0x9e3779b97f4a7c15^o.config.Faults.Seed, o.generation)
}

func (o *Okta) position(after string) (place int, ok bool) {
	var scrambled uint64
	var generation int
	if n, err := fmt.Sscanf(after, "%016x_%d", &scrambled, &generation); n != 2 || err != nil || generation != o.generation {
		return 0, false
	}
	// The inverse of the odd factor above, modulo 2^64.
	at := (scrambled^o.config.Faults.Seed)*0xf1de83e19937733d - 1
	if at > uint64(len(o.log)) {
		return 0, false
	}
	return int(at), true
}

func joinJSON(records []oktaRecord) []byte {
	size := 2
	for _, record := range records {
		size += len(record.raw) + 1
	}
	var body bytes.Buffer
	body.Grow(size)
	body.WriteByte('[')
	for i, record := range records {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(record.raw)
	}
	body.WriteByte(']')
	return body.Bytes()
}

// oktaAnswer is one answer of the API.
type oktaAnswer struct {
	status int
	body   []byte
	// next is the query of the next page; "" for none.
	next string
}

// write answers with a. The client may have gone; it will ask again.
func (a oktaAnswer) write(w http.ResponseWriter, r *http.Request) {
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if a.status == http.StatusOK {
		base := "http://" + r.Host + r.URL.Path
		w.Header().Add("Link", "<"+base+"?"+r.URL.RawQuery+`>; rel="self"`)
		if a.next != "" {
			w.Header().Add("Link", "<"+base+"?"+a.next+`>; rel="next"`)
		}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// oktaJSON is a good answer.
func oktaJSON(status int, value any) oktaAnswer {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // What the fake makes itself can be written.
	}
	return oktaAnswer{status: status, body: body}
}

// oktaRefusal is an error in Okta's form: https://developer.okta.com/docs/reference/error-codes/.
func oktaRefusal(status int, code, summary string, causes ...string) oktaAnswer {
	because := []map[string]string{}
	for _, cause := range causes {
		because = append(because, map[string]string{"errorSummary": cause})
	}
	return oktaJSON(status, map[string]any{
		"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "oae-invented", "errorCauses": because,
	})
}

// oktaInvalid is the refusal of a request that is wrong in itself, oktaMissing of one for what is not there.
func oktaInvalid(why string) oktaAnswer {
	return oktaRefusal(http.StatusBadRequest, "E0000001", "Api validation failed: "+why)
}

func oktaMissing(what, id string) oktaAnswer {
	return oktaRefusal(http.StatusNotFound, "E0000007", "Not found: Resource not found: "+id+" ("+what+")")
}
