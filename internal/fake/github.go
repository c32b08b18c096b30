// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// GitHubConfig is how a fake GitHub is set up.
type GitHubConfig struct {
	// Org and Enterprise are the names of what has the audit log; "example" if both are empty.
	Org, Enterprise string
	// Token is the personal token that is accepted, besides those of the app; empty accepts any.
	Token string
	// Scopes are what GitHub says of the token's scopes; "admin:org, repo, read:audit_log" if empty, and "-" for a token
	// of which it says none.
	Scopes string
	// NoAuditLog is a plan without an audit log that can be read: it is answered as what is not there.
	NoAuditLog bool
	// Faults go wrong in every request that passed the token check.
	Faults Faults
	// LateEvery is the mean number of added records from one that reaches the log late to the next, 0 for never. It is in
	// the log up to LateMost after it happened, 110 minutes if 0: so much was seen,
	// https://github.com/orgs/community/discussions/210897.
	LateEvery int
	LateMost  time.Duration
	// DuplicateEvery is the mean number of added records from one that is in the log twice to the next, 0 for never.
	DuplicateEvery int
	// ExpireEvery is the mean number of requests with a cursor from one that is refused to the next.
	ExpireEvery int
	// ResetAfter is how far ahead a refusal for too many requests puts the time to come back; one second if 0.
	ResetAfter time.Duration
	// Now is the log's clock; this machine's if nil.
	Now func() time.Time
}

// GitHub is an organisation at GitHub: its audit log, its people, teams, repositories and apps, and the endpoint that
// gives a GitHub App its token. The log is ordered by the events' own time, so that what is late is behind a reader that
// has passed it; a page that is the last has no link to a next one.
// See https://docs.github.com/en/enterprise-cloud@latest/rest/orgs/orgs#get-the-audit-log-for-an-organization. It is safe
// for concurrent use.
type GitHub struct {
	config GitHubConfig
	faults *faults
	app    *githubApp

	mu         sync.Mutex
	rand       *rand.Rand
	log        []githubRecord // by time, then number
	late       []githubLate
	added      int
	requests   int
	refused    int
	generation int
	directory  *GitHubDirectory
	forbidden  []string
	changes    int
	right      githubRight
}

type githubRecord struct {
	raw    json.RawMessage
	time   time.Time
	number int
	git    bool
}

type githubLate struct {
	record githubRecord
	at     time.Time
	// real is whether at is by this machine's clock and not the log's.
	real bool
}

// NewGitHub returns an organisation with an empty log and nobody in it.
func NewGitHub(config GitHubConfig) *GitHub {
	if config.Org == "" && config.Enterprise == "" {
		config.Org = "example"
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	config.ResetAfter = cmp.Or(config.ResetAfter, time.Second)
	config.LateMost = cmp.Or(config.LateMost, 110*time.Minute)
	return &GitHub{
		config:    config,
		faults:    newFaults(config.Faults),
		app:       &githubApp{},
		directory: newGitHubDirectory(),
		right:     githubRight{scopes: cmp.Or(config.Scopes, "admin:org, repo, read:audit_log"), owner: true},
		rand:      rand.New(rand.NewPCG(config.Faults.Seed, 0x676974687562)),
	}
}

// Add makes the records happen, except that some may reach the log late and some stand in it twice. The caller must not
// change them afterwards.
func (g *GitHub) Add(records ...json.RawMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, raw := range records {
		record := g.record(raw)
		copies := []githubRecord{record}
		if g.hit(g.config.DuplicateEvery) {
			copies = append(copies, g.record(raw))
		}
		if g.hit(g.config.LateEvery) {
			for _, record := range copies {
				at := record.time.Add(time.Duration(g.rand.Int64N(int64(g.config.LateMost))))
				g.late = append(g.late, githubLate{record: record, at: at})
			}
			continue
		}
		g.persist(copies...)
	}
}

// AddAt makes the records reach the log at a time to come, by this machine's clock.
func (g *GitHub) AddAt(at time.Time, records ...json.RawMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, raw := range records {
		g.late = append(g.late, githubLate{record: g.record(raw), at: at, real: true})
	}
}

// Settle brings every late record into the log.
func (g *GitHub) Settle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, late := range g.late {
		g.persist(late.record)
	}
	g.late = nil
}

// Expire makes every cursor handed out so far one that is refused.
func (g *GitHub) Expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.generation++
}

// Requests is how many requests for the log passed the token check.
func (g *GitHub) Requests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.requests
}

func (g *GitHub) hit(every int) bool {
	draw := g.rand.Float64()
	return every > 0 && draw*float64(every) < 1
}

// record gives a record that says no time the newest one's: no decoder can read it, and it is in the log all the same.
func (g *GitHub) record(raw json.RawMessage) githubRecord {
	var head struct {
		Timestamp int64  `json:"@timestamp"`
		Action    string `json:"action"`
	}
	// An error leaves the time zero.
	_ = json.Unmarshal(raw, &head)
	g.added++
	record := githubRecord{raw: raw, time: time.UnixMilli(head.Timestamp), number: g.added, git: strings.HasPrefix(head.Action, "git.")}
	if head.Timestamp == 0 {
		record.time = time.UnixMilli(0)
		if len(g.log) > 0 {
			record.time = g.log[len(g.log)-1].time
		}
	}
	return record
}

func (g *GitHub) persist(records ...githubRecord) {
	for _, record := range records {
		at, _ := slices.BinarySearchFunc(g.log, record, compareGitHub)
		g.log = slices.Insert(g.log, at, record)
	}
}

func compareGitHub(a, b githubRecord) int {
	return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.number, b.number))
}

// ServeHTTP answers as GitHub's API does.
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.app.serve(w, r) {
		return
	}
	w.Header().Set("Date", g.config.Now().UTC().Format(http.TimeFormat))
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !g.app.gave(token) && (token == "" || g.config.Token != "" && token != g.config.Token) {
		githubError(w, http.StatusUnauthorized, "Bad credentials")
		return
	}
	wrong := g.faults.next()
	switch wrong {
	case faultRateLimit:
		g.refuse(w)
		return
	case faultServerError:
		githubError(w, http.StatusBadGateway, "Server Error")
		return
	case faultAway:
		goAway()
	case faultNone, faultDropReply:
		// It does what is asked; the reply may be broken off.
	}
	isApp := g.app.gave(token)
	answer := g.answer(r, isApp)
	if scopes := g.scopes(); scopes != "-" && !isApp {
		w.Header().Set("X-OAuth-Scopes", scopes)
	}
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if wrong == faultDropReply {
		// Padded, so that an answer without a body can break off too.
		dropReply(w, append(answer.body, "   "...))
	}
	w.WriteHeader(answer.status)
	// The client may have gone; it will ask again.
	_, _ = w.Write(answer.body)
}

// githubAnswer is what is to be answered.
type githubAnswer struct {
	status int
	header http.Header
	body   []byte
}

func githubRefusal(status int, message string) githubAnswer {
	return githubJSON(status, map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)})
}

func githubJSON(status int, value any) githubAnswer {
	body, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("a record that was added is no JSON: %v", err))
	}
	return githubAnswer{status: status, header: http.Header{}, body: body}
}

// answer is what a request that passed the checks is answered.
func (g *GitHub) answer(r *http.Request, isApp bool) githubAnswer {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return githubRefusal(http.StatusBadRequest, "Problems parsing JSON")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Method == http.MethodGet && len(path) == 3 && path[2] == "audit-log" {
		if !g.hasLog(path[0], path[1]) || g.config.NoAuditLog {
			return githubNotFound()
		}
		return g.page(r)
	}
	return g.route(&githubCall{Request: r, body: body, isApp: isApp})
}

// refuse answers one request too many, in turn in each of the ways in which GitHub does:
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit.
func (g *GitHub) refuse(w http.ResponseWriter) {
	g.mu.Lock()
	g.refused++
	way := g.refused % 4
	g.mu.Unlock()
	seconds := strconv.Itoa(max(1, int(g.config.ResetAfter/time.Second)))
	status, message := http.StatusForbidden, "API rate limit exceeded for user ID 1001."
	switch way {
	case 0, 1:
		w.Header().Set("X-RateLimit-Limit", "1750")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(g.config.Now().Add(g.config.ResetAfter).Unix(), 10))
		if way == 1 {
			status = http.StatusTooManyRequests
		}
	case 2:
		message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
		w.Header().Set("Retry-After", seconds)
	case 3:
		status, message = http.StatusTooManyRequests, "You have exceeded a secondary rate limit."
		w.Header().Set("Retry-After", seconds)
	}
	githubError(w, status, message)
}

// githubError answers with an error in GitHub's form.
func githubError(w http.ResponseWriter, status int, message string) {
	answer := githubRefusal(status, message)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	// The client may have gone; it will ask again.
	_, _ = w.Write(answer.body)
}
