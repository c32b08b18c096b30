// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// auditLogs is GET /audit/v1/logs. A cursor holds a place in the log and nothing of the query that it came from, so that
// a page without oldest goes on to the beginning of the log: https://github.com/elastic/integrations/issues/8163.
func (s *Slack) auditLogs(r *http.Request) (answer map[string]any, refusal string) {
	s.arrive()
	query := r.URL.Query()
	limit, ok := slackNumber(query, "limit", 9999, 1, 9999)
	oldest, okOldest := slackNumber(query, "oldest", 0, 0, 1<<40)
	latest, okLatest := slackNumber(query, "latest", int(time.Now().Unix()), 0, 1<<40)
	if !ok || !okOldest || !okLatest {
		return nil, "invalid_arguments"
	}
	after := slackRecord{time: time.Unix(int64(latest), 0).Add(time.Second - 1)}
	if text := query.Get("cursor"); text != "" {
		var number int
		var seconds int64
		var generation int
		place, err := base64.URLEncoding.DecodeString(text)
		if n, _ := fmt.Sscanf(string(place), "%d:%d:%d", &generation, &seconds, &number); err != nil || n != 3 ||
			generation != s.generation || s.hit(s.config.ExpireEvery) {
			return nil, "invalid_cursor"
		}
		after = slackRecord{time: time.Unix(seconds, 0), number: number}
	}
	if s.hit(s.config.ShortEvery) {
		limit = s.rand.IntN(limit)
	}
	log := s.logs[SlackAuditLog]
	at, _ := slices.BinarySearchFunc(log, after, compareSlack)
	entries, next := []json.RawMessage{}, ""
	for ; at < len(log) && log[at].time.Unix() >= int64(oldest); at++ {
		if len(entries) == limit {
			next = base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "%d:%d:%d", s.generation, log[at].time.Unix(), log[at].number))
			break
		}
		entries = append(entries, log[at].raw)
	}
	return map[string]any{"entries": entries, "response_metadata": map[string]any{"next_cursor": next}}, ""
}

// slackNumber is a number of a query from least to most, or a default where there is none.
func slackNumber(query url.Values, name string, missing, least, most int) (number int, ok bool) {
	text := query.Get(name)
	if text == "" {
		return missing, true
	}
	number, err := strconv.Atoi(text)
	return number, err == nil && number >= least && number <= most
}

func (s *Slack) integrationLogs(r *http.Request) (answer map[string]any, refusal string) {
	team, refusal := s.team(r)
	if refusal != "" {
		return nil, refusal
	}
	if s.directory.gone[r.URL.Query().Get("app_id")] {
		return nil, "app_not_found" // That Slack says so is not confirmed.
	}
	return s.counted(r, slackLogOf(team), "logs")
}

func (s *Slack) accessLogs(r *http.Request) (answer map[string]any, refusal string) {
	return s.counted(r, SlackAccessLog, "logins")
}

// counted is a page of a log by its number, counted from the newest record of this moment.
func (s *Slack) counted(r *http.Request, name, list string) (answer map[string]any, refusal string) {
	s.arrive()
	count, ok := slackNumber(r.URL.Query(), "count", 100, 1, 1000)
	page, okPage := slackNumber(r.URL.Query(), "page", 1, 1, 100)
	if !ok || !okPage {
		return nil, "over_pagination_limit"
	}
	log := s.logs[name]
	if app := r.URL.Query().Get("app_id"); app != "" {
		log = slices.DeleteFunc(slices.Clone(log), func(record slackRecord) bool { return slackIntegrationOf(record.raw).AppID != app })
	}
	records := []json.RawMessage{}
	for _, record := range log[min(len(log), (page-1)*count):min(len(log), page*count)] {
		records = append(records, record.raw)
	}
	return map[string]any{list: records, "paging": map[string]any{
		"count": count, "total": len(log), "page": page, "pages": (len(log) + count - 1) / count,
	}}, ""
}
