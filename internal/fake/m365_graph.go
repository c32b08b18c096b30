// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// m365Entry is an entry of a log of Graph.
type m365Entry struct {
	raw    json.RawMessage
	time   time.Time
	number int
}

func compareM365(a, b m365Entry) int {
	return cmp.Or(b.time.Compare(a.time), cmp.Compare(a.number, b.number))
}

// m365Logs are the logs of Graph and the field of each that says when.
var m365Logs = map[string]string{"directoryAudits": "activityDateTime", "signIns": "createdDateTime"}

// AddGraph makes entries of a log of Graph, "directoryAudits" or "signIns", happen now, except that some may reach it
// late. The caller must not change them afterwards.
func (m *M365) AddGraph(log string, entries ...json.RawMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, raw := range entries {
		// What no decoder can read is in the log all the same: an error leaves the time zero.
		var times map[string]any
		_ = json.Unmarshal(raw, &times)
		text, _ := times[m365Logs[log]].(string)
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			at = m.config.Now()
		}
		m.made++
		entry := m365Entry{raw, at, m.made}
		bring := func() {
			place, _ := slices.BinarySearchFunc(m.logs[log], entry, compareM365)
			m.logs[log] = slices.Insert(m.logs[log], place, entry)
		}
		if request, late := m.isLate(); late {
			m.late[request] = append(m.late[request], bring)
			continue
		}
		bring()
	}
}

// serveGraph answers for Microsoft Graph.
func (m *M365) serveGraph(w *m365Answer, r *http.Request) {
	path, isGraph := strings.CutPrefix(r.URL.Path, "/v1.0/")
	if !isGraph {
		m365GraphError(w, http.StatusNotFound, "ResourceNotFound", "Invalid version.")
		return
	}
	log, isLog := strings.CutPrefix(path, "auditLogs/")
	if !isLog {
		m.mu.Lock()
		m.arrive()
		m.mu.Unlock()
		m.Directory.serve(w, r)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.arrive()
	switch {
	case m365Logs[log] == "" || r.Method != http.MethodGet:
		m365GraphError(w, http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+log+"'.")
	case !m.has("AuditLog.Read.All"):
		m365GraphError(w, http.StatusForbidden, "Authentication_MSGraphPermissionMissing",
			"Calling principal does not have required MSGraph permissions AuditLog.Read.All")
	case log == "signIns" && m.config.NoPremium:
		m365GraphError(w, http.StatusForbidden, "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
			"Neither tenant is B2C or tenant doesn't have premium license")
	default:
		m.serveLog(w, r, log)
	}
}

// serveLog answers with a page of a log, newest first.
func (m *M365) serveLog(w *m365Answer, r *http.Request, log string) {
	query := r.URL.Query()
	top := 100
	if text := query.Get("$top"); text != "" {
		var err error
		if top, err = strconv.Atoi(text); err != nil || top < 1 || top > 999 {
			m365GraphError(w, http.StatusBadRequest, "BadRequest", "Invalid value specified for $top.")
			return
		}
	}
	from, until, ok := m365Filter(query.Get("$filter"), m365Logs[log])
	if !ok {
		m365GraphError(w, http.StatusBadRequest, "BadRequest", "Invalid filter clause.")
		return
	}
	after := m365Entry{time: until.Add(time.Nanosecond)}
	if text := query.Get("$skiptoken"); text != "" {
		if after, ok = m.position(text, query); !ok || m.hit(m.config.ExpireEvery) {
			m365GraphError(w, http.StatusBadRequest, "BadRequest", "Skip token is invalid or has expired.")
			return
		}
	}
	entries := m.logs[log]
	at, _ := slices.BinarySearchFunc(entries, after, compareM365)
	page := []json.RawMessage{}
	answer := map[string]any{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#auditLogs/" + log}
	for ; at < len(entries) && !entries[at].time.Before(from); at++ {
		if len(page) == top {
			query.Set("$skiptoken", m.skipToken(entries[at], query))
			answer["@odata.nextLink"] = "http://" + r.Host + r.URL.Path + "?" + query.Encode()
			break
		}
		page = append(page, entries[at].raw)
	}
	answer["value"] = page
	w.json(http.StatusOK, answer)
}

// m365Filter reads "<field> ge <time> and <field> le <time>", which is all that these logs can be asked for by time.
func m365Filter(text, field string) (from, until time.Time, ok bool) {
	first, second, found := strings.Cut(text, " and ")
	lower, isLower := strings.CutPrefix(first, field+" ge ")
	upper, isUpper := strings.CutPrefix(second, field+" le ")
	if !found || !isLower || !isUpper {
		return time.Time{}, time.Time{}, false
	}
	from, fromErr := time.Parse(time.RFC3339, lower)
	until, untilErr := time.Parse(time.RFC3339, upper)
	return from, until, fromErr == nil && untilErr == nil
}

// skipToken and position turn the first entry of the next page into a token and back. It is bound to its query.
func (m *M365) skipToken(first m365Entry, query url.Values) string {
	text := fmt.Sprintf("%d %d %d %s", m.generation, first.time.UnixNano(), first.number, strings.ReplaceAll(query.Get("$filter"), " ", "_"))
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func (m *M365) position(token string, query url.Values) (first m365Entry, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return m365Entry{}, false
	}
	var generation, number int
	var nanoseconds int64
	var filter string
	if n, _ := fmt.Sscanf(string(text), "%d %d %d %s", &generation, &nanoseconds, &number, &filter); n != 4 ||
		generation != m.generation || filter != strings.ReplaceAll(query.Get("$filter"), " ", "_") {
		return m365Entry{}, false
	}
	return m365Entry{time: time.Unix(0, nanoseconds), number: number}, true
}
