// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// SlackConfig is how a fake Slack is set up.
type SlackConfig struct {
	// Token is the user token that is accepted; empty accepts any.
	Token string
	// Plan is "enterprise", whose organisation has an audit log, "other" for a paid workspace or "free" for one that is
	// not; "enterprise" if empty.
	Plan string
	// Scopes are the token's; it has every scope if nil.
	Scopes []string
	// Faults go wrong in every request that passed the token check. The rate limit is the organisation's, not the app's.
	Faults Faults
	// LateEvery is the mean number of added records from one that reaches its log late to the next, 0 for never. It is in
	// the log only after up to LateBy further requests.
	LateEvery, LateBy int
	// DuplicateEvery is the mean number of added records from one that is in its log twice to the next, 0 for never.
	DuplicateEvery int
	// ShortEvery is the mean number of pages of the audit log from one with fewer records than asked for, though there are
	// more, to the next, 0 for never.
	ShortEvery int
	// ExpireEvery is the mean number of requests with a cursor from one that is refused to the next.
	ExpireEvery int
	// RetryAfter is what a refusal for the rate limit asks to wait, in whole seconds; one second if 0.
	RetryAfter time.Duration
}

// The logs of a fake Slack.
const (
	// SlackAuditLog is the Audit Logs API's, of an Enterprise organisation.
	SlackAuditLog = "audit"
	// SlackIntegrationLog is team.integrationLogs, SlackAccessLog team.accessLogs, of a workspace on another plan.
	SlackIntegrationLog = "integration_logs"
	SlackAccessLog      = "access_logs"
)

// Slack is an Enterprise organisation or a workspace on another plan: the Audit Logs API, newest first within oldest and
// latest, whose cursors say where to go on and not where to end; and the logs of the Web API in pages counted from the
// newest record, which move down while new ones arrive.
// See https://docs.slack.dev/reference/audit-logs-api/methods-actions-reference and
// https://docs.slack.dev/reference/methods/team.integrationLogs. It is safe for concurrent use.
type Slack struct {
	config SlackConfig
	faults *faults
	// started is the time of records that say none.
	started time.Time

	mu         sync.Mutex
	rand       *rand.Rand
	logs       map[string][]slackRecord
	late       map[int][]slackRecord // by the request that brings them into the log
	due        []slackDue            // by time
	directory  *slackDirectory
	methods    map[string]slackMethod
	visits     map[string]*slackVisit
	added      int
	requests   int
	generation int
}

type slackRecord struct {
	log  string
	raw  json.RawMessage
	time time.Time
	// number counts the records as they were added: the order of those of one second.
	number int
}

type slackDue struct {
	at     time.Time
	record slackRecord
}

// NewSlack returns a Slack with empty logs.
func NewSlack(config SlackConfig) *Slack {
	config.Plan = cmp.Or(config.Plan, "enterprise")
	config.RetryAfter = max(config.RetryAfter, time.Second)
	return &Slack{
		config:  config,
		faults:  newFaults(config.Faults),
		started: time.Now(),
		rand:    rand.New(rand.NewPCG(config.Faults.Seed, 0x736c61636b)),
		logs:    map[string][]slackRecord{},
		late:    map[int][]slackRecord{},
		visits:  map[string]*slackVisit{},

		directory: newSlackDirectory(),
		methods:   slackMethods(),
	}
}

// Add makes the records happen now in a log, except that some may reach it late and some twice. The caller must not change
// them afterwards.
func (s *Slack) Add(log string, records ...json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, raw := range records {
		record := s.record(log, raw)
		if s.hit(s.config.LateEvery) && s.config.LateBy > 0 {
			request := s.requests + 1 + s.rand.IntN(s.config.LateBy)
			s.late[request] = append(s.late[request], record)
			continue
		}
		s.persist(record)
		if s.hit(s.config.DuplicateEvery) {
			s.persist(record)
		}
	}
}

// AddAt makes the records reach a log at a time to come, by this machine's clock.
func (s *Slack) AddAt(at time.Time, log string, records ...json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, raw := range records {
		s.due = append(s.due, slackDue{at, s.record(log, raw)})
	}
	slices.SortStableFunc(s.due, func(a, b slackDue) int { return a.at.Compare(b.at) })
}

// Visit makes an account use a workspace: its record in team.accessLogs grows, and comes before the others.
func (s *Slack) Visit(visit SlackLogin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	visit = visit.whole()
	key := visit.User.ID + " " + visit.IP + " " + visit.UserAgent
	known := s.visits[key]
	if known == nil {
		known = &slackVisit{SlackLogin: visit}
		known.Count = 0
		s.visits[key] = known
	}
	known.Count++
	if visit.Last.After(known.Last) {
		known.Last = visit.Last
	}
	s.logs[SlackAccessLog] = slices.DeleteFunc(s.logs[SlackAccessLog], func(r slackRecord) bool { return r.number == known.number })
	record := s.record(SlackAccessLog, known.JSON())
	known.number = record.number
	s.persist(record)
}

// slackVisit is a record of team.accessLogs that grows.
type slackVisit struct {
	SlackLogin
	number int
}

// Settle brings every late record into its log.
func (s *Slack) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, records := range s.late {
		s.persist(records...)
	}
	clear(s.late)
}

// Expire makes every cursor handed out so far one that is refused.
func (s *Slack) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
}

// Requests is how many requests for a log passed the token check.
func (s *Slack) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *Slack) hit(every int) bool {
	draw := s.rand.Float64()
	return every > 0 && draw*float64(every) < 1
}

func (s *Slack) record(log string, raw json.RawMessage) slackRecord {
	// Records that no decoder can read are in the log all the same: an error leaves the time zero.
	var head struct {
		Created json.Number `json:"date_create"`
		Date    json.Number `json:"date"`
		Last    json.Number `json:"date_last"`
	}
	_ = json.Unmarshal(raw, &head)
	at := s.started.Truncate(time.Second)
	if seconds, err := cmp.Or(head.Created, head.Date, head.Last).Int64(); err == nil && seconds > 0 {
		at = time.Unix(seconds, 0)
	}
	s.added++
	return slackRecord{log, raw, at, s.added}
}

// persist keeps each log newest first.
func (s *Slack) persist(records ...slackRecord) {
	for _, record := range records {
		log := s.logs[record.log]
		at, _ := slices.BinarySearchFunc(log, record, compareSlack)
		s.logs[record.log] = slices.Insert(log, at, record)
	}
}

func compareSlack(a, b slackRecord) int {
	return cmp.Or(b.time.Compare(a.time), cmp.Compare(a.number, b.number))
}

// arrive is one request for a log: it brings what was late or is due by now.
func (s *Slack) arrive() {
	s.requests++
	s.persist(s.late[s.requests]...)
	delete(s.late, s.requests)
	now := time.Now()
	for len(s.due) > 0 && !s.due[0].at.After(now) {
		s.persist(s.due[0].record)
		s.due = s.due[1:]
	}
}

// slackMethod is one that the fake answers: which scopes open it, one of them enough, and what it does.
type slackMethod struct {
	scopes []string
	plans  []string
	serve  func(s *Slack, r *http.Request) (answer map[string]any, refusal string)
}

// ServeHTTP answers as Slack's APIs do.
func (s *Slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/audit/v1/logs" && r.Method == http.MethodGet {
		s.serve(w, r, http.StatusBadRequest, slackMethod{[]string{"auditlogs:read"}, []string{"enterprise"}, (*Slack).auditLogs})
		return
	}
	name, isAPI := strings.CutPrefix(r.URL.Path, "/api/")
	method, known := s.methods[name]
	if !isAPI || !known {
		slackAnswer(w, http.StatusOK, map[string]any{"ok": false, "error": "unknown_method", "req_method": name}, false)
		return
	}
	// The Web API refuses with status 200.
	s.serve(w, r, http.StatusOK, method)
}

func (s *Slack) serve(w http.ResponseWriter, r *http.Request, refused int, method slackMethod) {
	refuse := func(status int, reason string, more ...string) {
		body := map[string]any{"ok": false, "error": reason}
		for i := 0; i+1 < len(more); i += 2 {
			body[more[i]] = more[i+1]
		}
		if refused == http.StatusOK {
			status = http.StatusOK
		}
		slackAnswer(w, status, body, false)
	}
	if s.config.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.config.Token {
		refuse(http.StatusUnauthorized, "invalid_auth")
		return
	}
	if err := r.ParseForm(); err != nil {
		refuse(http.StatusBadRequest, "invalid_form_data")
		return
	}
	wrong := s.faults.next()
	switch wrong {
	case faultRateLimit:
		// https://docs.slack.dev/apis/web-api/rate-limits.
		w.Header().Set("Retry-After", strconv.Itoa(int(s.config.RetryAfter/time.Second)))
		slackAnswer(w, http.StatusTooManyRequests, map[string]any{"ok": false, "error": "ratelimited"}, false)
		return
	case faultServerError:
		slackAnswer(w, http.StatusInternalServerError, map[string]any{"ok": false, "error": "internal_error"}, false)
		return
	case faultAway:
		goAway()
	case faultNone, faultDropReply:
		// It does what is asked; the reply is broken off below.
	}
	w.Header().Set("X-OAuth-Scopes", strings.Join(s.config.Scopes, ","))
	switch {
	case s.forbids(r):
		refuse(http.StatusForbidden, "missing_scope", "needed", strings.Join(method.scopes, ","), "provided", "")
		return
	case s.config.Scopes != nil && len(method.scopes) > 0 && !slices.ContainsFunc(method.scopes, func(scope string) bool { return slices.Contains(s.config.Scopes, scope) }):
		refuse(http.StatusForbidden, "missing_scope", "needed", strings.Join(method.scopes, ","), "provided", strings.Join(s.config.Scopes, ","))
		return
	case method.plans != nil && !slices.Contains(method.plans, s.config.Plan):
		reason := map[string]string{"enterprise": "enterprise_is_restricted", "other": "feature_not_enabled", "free": "feature_not_enabled"}[s.config.Plan]
		if slices.Contains(method.plans, "other") && s.config.Plan == "free" {
			reason = "paid_only"
		}
		refuse(http.StatusForbidden, reason)
		return
	}
	answer, refusal := s.answer(method, r)
	if refusal != "" {
		refuse(refused, refusal)
		return
	}
	answer["ok"] = true
	slackAnswer(w, http.StatusOK, answer, wrong == faultDropReply)
}

// answer does what was asked.
func (s *Slack) answer(method slackMethod, r *http.Request) (answer map[string]any, refusal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return method.serve(s, r)
}

// forbids is whether the token may not use a method, or not about what it is asked about.
func (s *Slack) forbids(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/api/")
	return s.directory.forbidden[name+" "] || s.directory.forbidden[name+" "+slackAbout(r)]
}

// slackAnswer writes an answer, or with dropped its first half.
func slackAnswer(w http.ResponseWriter, status int, answer map[string]any, dropped bool) {
	body, err := json.Marshal(answer)
	if err != nil {
		panic(fmt.Sprintf("a record that was added is no JSON: %v", err))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if dropped {
		dropReply(w, body)
	}
	w.WriteHeader(status)
	// The client may have gone; it will ask again.
	_, _ = w.Write(body)
}
