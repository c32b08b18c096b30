// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// GoogleConfig is how a fake Google Workspace is set up.
type GoogleConfig struct {
	// Subject is the administrator that a service account has to act as; empty accepts any.
	Subject string
	// Token is the access token handed out for the scope of the audit log; empty makes one. Those for other scopes are
	// made from it by GoogleTokenFor. Without one of them nothing is answered.
	Token string
	// Scopes are those delegated to the service account; nil delegates all.
	Scopes []string
	// Faults go wrong in every request that passed the token check.
	Faults Faults
	// LateEvery is the mean number of added records from one that reaches the log late to the next, 0 for never. It is
	// in the log only after up to LateBy further requests.
	LateEvery, LateBy int
	// ExpireEvery is the mean number of requests with a page token from one that is refused to the next.
	ExpireEvery int
	// StrayEvery is the mean number of requests to the directory from one answered 404 for what exists to the next.
	StrayEvery int
	// RetryAfter is what a refusal for the quota asks to wait, in whole seconds; it asks nothing if 0, as Google does.
	RetryAfter time.Duration
}

// Google is a Google Workspace's audit log, the administration of its directory, and the endpoint that gives a service
// account its tokens.
//
// The log is the Admin SDK's Activities.list for all users, each application a log of its own. Pages are newest first,
// within startTime and endTime; a page token is good for its query alone, and a record that reaches the log meanwhile is
// behind it if it is newer than the page. See
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list. Who comes into a group or gets a
// role by a request, or goes, stands in the logs, and nothing else of the directory. It is safe for concurrent use.
type Google struct {
	config    GoogleConfig
	faults    *faults
	account   func() *serviceAccount // made when it is needed: that takes a while
	routes    *http.ServeMux
	directory *googleDirectory
	strays    *googleStrays
	// started is the time of records that say none.
	started time.Time

	mu         sync.Mutex
	rand       *rand.Rand
	logs       map[string][]googleRecord
	late       map[int][]googleRecord // by the request that brings them into the log
	due        []googleDue            // by time
	added      int
	requests   int
	generation int
	channels   []*googleChannel
	pushes     []GooglePush
}

type googleRecord struct {
	application string
	raw         json.RawMessage
	time        time.Time
	// number counts the records as they were added: the order of those of one time.
	number int
}

type googleDue struct {
	at     time.Time
	record googleRecord
}

// NewGoogle returns a Workspace with empty logs and a service account that is known to nobody else.
func NewGoogle(config GoogleConfig) *Google {
	if config.Token == "" {
		config.Token = "fake-access-token"
	}
	g := &Google{
		config:    config,
		faults:    newFaults(config.Faults),
		account:   sync.OnceValue(newServiceAccount),
		routes:    http.NewServeMux(),
		directory: newGoogleDirectory(),
		strays:    newGoogleStrays(config.Faults.Seed),
		started:   time.Now(),
		rand:      rand.New(rand.NewPCG(config.Faults.Seed, 0x676f6f676c65)),
		logs:      map[string][]googleRecord{},
		late:      map[int][]googleRecord{},
	}
	g.route()
	return g
}

// Credentials is the JSON key of the service account, for a server at url. It is thrown away with g.
func (g *Google) Credentials(url string) string { return g.account().json(url + googleTokenPath) }

// Add makes the records happen now in an application's log, except that some may reach it late; channels are told of
// them at once. The caller must not change them afterwards.
func (g *Google) Add(application string, records ...json.RawMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.happen(application, records...)
}

// AddAt makes the records reach an application's log at a time to come, by this machine's clock. They are not pushed.
func (g *Google) AddAt(at time.Time, application string, records ...json.RawMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, raw := range records {
		g.due = append(g.due, googleDue{at, g.record(application, raw)})
	}
	slices.SortStableFunc(g.due, func(a, b googleDue) int { return a.at.Compare(b.at) })
}

// Settle brings every late record into its log.
func (g *Google) Settle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for request := range g.late {
		g.persist(g.late[request]...)
	}
	clear(g.late)
}

// Expire makes every page token handed out so far one that is refused.
func (g *Google) Expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.generation++
}

// Requests is how many requests for activities passed the token check.
func (g *Google) Requests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.requests
}

func (g *Google) hit(every int) bool {
	draw := g.rand.Float64()
	return every > 0 && draw*float64(every) < 1
}

func (g *Google) record(application string, raw json.RawMessage) googleRecord {
	// Records that no decoder can read are in the log all the same: an error leaves the time zero.
	var head struct {
		ID struct {
			Time time.Time `json:"time"`
		} `json:"id"`
	}
	_ = json.Unmarshal(raw, &head)
	if head.ID.Time.IsZero() {
		head.ID.Time = g.started
	}
	g.added++
	return googleRecord{application, raw, head.ID.Time, g.added}
}

// persist keeps each log newest first.
func (g *Google) persist(records ...googleRecord) {
	for _, record := range records {
		log := g.logs[record.application]
		at, _ := slices.BinarySearchFunc(log, record, compareGoogle)
		g.logs[record.application] = slices.Insert(log, at, record)
	}
}

func compareGoogle(a, b googleRecord) int {
	return cmp.Or(b.time.Compare(a.time), cmp.Compare(a.number, b.number))
}

// ServeHTTP answers as Google's APIs do.
func (g *Google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == googleTokenPath {
		g.serveToken(w, r)
		return
	}
	if _, pattern := g.routes.Handler(r); pattern == "" {
		googleError(w, http.StatusNotFound, "notFound", "Not Found")
		return
	}
	g.routes.ServeHTTP(w, r)
}

// googleAnswer is what comes of a request: a body, or a refusal by its reason and message. A change is made by do, unless
// the answer is a lie.
type googleAnswer struct {
	status          int
	body            any
	reason, message string
	do              func()
}

func googleRefusal(status int, reason, message string) googleAnswer {
	return googleAnswer{status: status, reason: reason, message: message}
}

// handle answers requests of a pattern to whoever has a token for one of the scopes. Answer is asked one request at a
// time.
func (g *Google) handle(pattern string, scopes []string, answer func(r *http.Request) googleAnswer) {
	g.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		scope, known := g.scopeOf(r)
		switch {
		case !known:
			googleError(w, http.StatusUnauthorized, "authError", "Request had invalid authentication credentials.")
			return
		case !slices.Contains(scopes, scope):
			googleError(w, http.StatusForbidden, "insufficientPermissions", "Request had insufficient authentication scopes.")
			return
		}
		wrong := g.faults.next()
		switch wrong {
		case faultRateLimit:
			g.refuseQuota(w, r)
			return
		case faultServerError:
			googleError(w, http.StatusInternalServerError, "backendError", "Internal error encountered.")
			return
		case faultAway:
			goAway()
		case faultNone, faultDropReply:
			// It does what is asked; the reply is broken off below.
		}
		g.reply(w, g.answer(r, answer), wrong == faultDropReply)
	})
}

func (g *Google) answer(r *http.Request, answer func(r *http.Request) googleAnswer) googleAnswer {
	g.mu.Lock()
	defer g.mu.Unlock()
	if refusal := g.refusal(r); refusal.reason != "" {
		return refusal
	}
	made := answer(r)
	if made.do != nil && made.reason == "" && !g.faults.lies() {
		made.do()
		g.directory.changes++
	}
	return made
}

func (g *Google) reply(w http.ResponseWriter, answer googleAnswer, dropped bool) {
	if answer.reason != "" {
		googleError(w, answer.status, answer.reason, answer.message)
		return
	}
	var body []byte
	if answer.body != nil {
		var err error
		if body, err = json.Marshal(answer.body); err != nil {
			panic(fmt.Sprintf("a record that was added is no JSON: %v", err))
		}
		w.Header().Set("Content-Type", "application/json")
	}
	if dropped {
		dropReply(w, body)
	}
	w.WriteHeader(cmp.Or(answer.status, http.StatusOK))
	// The client may have gone; it will ask again.
	_, _ = w.Write(body)
}

// refuseQuota refuses one request too many. The Reports API does not say 429, nor does the Directory API:
// https://developers.google.com/workspace/admin/reports/v1/limits and
// https://developers.google.com/workspace/admin/directory/v1/limits.
func (g *Google) refuseQuota(w http.ResponseWriter, r *http.Request) {
	if seconds := int(g.config.RetryAfter / time.Second); seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if strings.HasPrefix(r.URL.Path, "/admin/reports/") {
		googleError(w, http.StatusServiceUnavailable, "backendError", "The service is currently unavailable.")
		return
	}
	googleError(w, http.StatusForbidden, "userRateLimitExceeded", "User Rate Limit Exceeded.")
}

// activities answers Activities.list.
func (g *Google) activities(r *http.Request) googleAnswer {
	page, next, refusal := g.page(r.PathValue("application"), r.URL.Query())
	if refusal != "" {
		return googleRefusal(http.StatusBadRequest, "invalid", refusal)
	}
	return googleAnswer{body: struct {
		Kind  string            `json:"kind"`
		ETag  string            `json:"etag"`
		Next  string            `json:"nextPageToken,omitempty"`
		Items []json.RawMessage `json:"items,omitempty"`
	}{"admin#reports#activities", `"invented"`, next, page}}
}

// page is the records that query asks for and the token of the page after them, or why there is none.
func (g *Google) page(application string, query url.Values) (page []json.RawMessage, next, refusal string) {
	g.requests++
	g.persist(g.late[g.requests]...)
	delete(g.late, g.requests)
	now := time.Now()
	for len(g.due) > 0 && !g.due[0].at.After(now) {
		g.persist(g.due[0].record)
		g.due = g.due[1:]
	}

	limit := 1000
	if text := query.Get("maxResults"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 1000 {
			return nil, "", "Invalid value '" + text + "'. Values must be within the range: [1, 1000]"
		}
	}
	start, until := time.Time{}, now
	for name, at := range map[string]*time.Time{"startTime": &start, "endTime": &until} {
		if text := query.Get(name); text != "" {
			var err error
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return nil, "", "Invalid value for: Invalid format of " + name
			}
		}
	}
	switch {
	case start.After(until):
		return nil, "", "Start time should not be after the end time."
	case !start.IsZero() && start.Before(now.Add(-180*24*time.Hour)):
		return nil, "", "Start time can not be before 180 days."
	}
	after := googleRecord{time: until.Add(time.Nanosecond)}
	if text := query.Get("pageToken"); text != "" {
		var ok bool
		if after, ok = g.position(text, query); !ok || g.hit(g.config.ExpireEvery) {
			return nil, "", "Invalid page token."
		}
	}
	log := g.logs[application]
	at, _ := slices.BinarySearchFunc(log, after, compareGoogle)
	for ; at < len(log) && !log[at].time.Before(start); at++ {
		if len(page) == limit {
			return page, g.pageToken(log[at], query), ""
		}
		page = append(page, log[at].raw)
	}
	return page, "", ""
}

// pageToken and position turn the first record of the next page into a token and back. It is bound to its query.
func (g *Google) pageToken(first googleRecord, query url.Values) string {
	text := fmt.Sprintf("%d %d %d %s %s", g.generation, first.time.UnixNano(), first.number, query.Get("startTime"), query.Get("endTime"))
	return base64.URLEncoding.EncodeToString([]byte(text))
}

func (g *Google) position(token string, query url.Values) (first googleRecord, ok bool) {
	text, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return googleRecord{}, false
	}
	var generation, number int
	var nanoseconds int64
	var start, until string
	if n, _ := fmt.Sscanf(string(text), "%d %d %d %s %s", &generation, &nanoseconds, &number, &start, &until); n < 3 ||
		generation != g.generation || start != query.Get("startTime") || until != query.Get("endTime") {
		return googleRecord{}, false
	}
	return googleRecord{time: time.Unix(0, nanoseconds), number: number}, true
}

// googleError answers with an error in Google's form:
// https://developers.google.com/workspace/admin/reports/v1/guides/troubleshoot-error-codes.
func googleError(w http.ResponseWriter, status int, reason, message string) {
	body, err := json.Marshal(map[string]any{"error": map[string]any{
		"code": status, "message": message,
		"errors": []any{map[string]any{"message": message, "domain": "global", "reason": reason}},
	}})
	if err != nil {
		panic(err) // Strings and numbers alone: it cannot be.
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may have gone; it will ask again.
	_, _ = w.Write(body)
}
