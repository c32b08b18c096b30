// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// m365Blob is a content blob: some records of one content type.
type m365Blob struct {
	id      string
	created time.Time
	records []json.RawMessage
}

var m365ContentTypes = []string{"Audit.AzureActiveDirectory", "Audit.Exchange", "Audit.SharePoint", "Audit.General", "DLP.All"}

// Add makes records of a content type happen now: they come in blobs, some late, some twice. What nobody has subscribed to
// is lost. The caller must not change them afterwards.
func (m *M365) Add(contentType string, records ...json.RawMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.subscribed[contentType] {
		return
	}
	var now []json.RawMessage
	flush := func() {
		if len(now) > 0 {
			m.list(contentType, m.blob(now))
			now = nil
		}
	}
	for i, record := range records {
		request, late := m.isLate()
		repeat := m.hit(m.config.RepeatEvery)
		switch {
		case late && i%2 == 0:
			m.late[request] = append(m.late[request], func() { m.list(contentType, m.blob([]json.RawMessage{record})) })
		case late:
			blob := m.blob([]json.RawMessage{record})
			m.late[request] = append(m.late[request], func() { m.list(contentType, blob) })
		default:
			now = append(now, record)
		}
		if repeat {
			m.list(contentType, m.blob([]json.RawMessage{record}))
		}
		if len(now) == m.config.BlobRecords {
			flush()
		}
	}
	flush()
}

// blob is a new blob, created now.
func (m *M365) blob(records []json.RawMessage) *m365Blob {
	m.made++
	created := m.config.Now().UTC().Truncate(time.Millisecond)
	id := fmt.Sprintf("%s$%s$audit_%04d$04", created.Format("20060102150405000"), m365Tenant, m.made)
	return &m365Blob{id: id, created: created, records: records}
}

// list puts a blob on its list, in the order of its creation.
func (m *M365) list(contentType string, blob *m365Blob) {
	blobs := append(m.blobs[contentType], blob)
	slices.SortStableFunc(blobs, func(a, b *m365Blob) int { return a.created.Compare(b.created) })
	m.blobs[contentType] = blobs
}

// serveActivity answers for the Management Activity API; path is what follows its version.
func (m *M365) serveActivity(w *m365Answer, r *http.Request, path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.arrive()
	tenant, operation, _ := strings.Cut(path, "/activity/feed/")
	query := r.URL.Query()
	contentType := query.Get("contentType")
	needed := "ActivityFeed.Read"
	if contentType == "DLP.All" {
		needed = "ActivityFeed.ReadDlp"
	}
	switch {
	case tenant != m365Tenant:
		m365ActivityError(w, http.StatusBadRequest, "AF20010", "The tenant ID passed in the URL does not match the tenant ID passed in the access token.")
		return
	case !m.has(needed):
		m365ActivityError(w, http.StatusUnauthorized, "AF10001", "The permission set () sent in the request did not include the expected permission ActivityFeed.Read.")
		return
	case query.Get("PublisherIdentifier") == "":
		// Microsoft answers, from a quota that all share; here it is a mistake of the source.
		m365ActivityError(w, http.StatusForbidden, "AF429", "Too many requests. Method=GetBlob, PublisherId=00000000-0000-0000-0000-000000000000")
		return
	}
	if id, isBlob := strings.CutPrefix(operation, "audit/"); isBlob {
		m.serveBlob(w, id)
		return
	}
	if operation != "subscriptions/list" && !slices.Contains(m365ContentTypes, contentType) {
		m365ActivityError(w, http.StatusBadRequest, "AF20020", "The specified content type is not valid.")
		return
	}
	switch {
	case operation == "subscriptions/start" && r.Method == http.MethodPost:
		if m.subscribed[contentType] {
			m365ActivityError(w, http.StatusBadRequest, "AF20024", "The subscription is already enabled. No property change.")
			return
		}
		m.subscribed[contentType] = true
		w.json(http.StatusOK, map[string]any{"contentType": contentType, "status": "enabled", "webhook": nil})
	case operation == "subscriptions/list" && r.Method == http.MethodGet:
		all := []any{}
		for _, contentType := range m365ContentTypes {
			if m.subscribed[contentType] {
				all = append(all, map[string]any{"contentType": contentType, "status": "enabled", "webhook": nil})
			}
		}
		w.json(http.StatusOK, all)
	case operation == "subscriptions/content" && r.Method == http.MethodGet:
		m.serveContent(w, r, contentType, query)
	default:
		m365ActivityError(w, http.StatusNotFound, "AF20050", "The specified content does not exist.")
	}
}

// serveContent lists the blobs that were created within a window.
func (m *M365) serveContent(w *m365Answer, r *http.Request, contentType string, query url.Values) {
	if !m.subscribed[contentType] {
		m365ActivityError(w, http.StatusBadRequest, "AF20022", "No subscription found for the specified content type.")
		return
	}
	start, startErr := time.Parse("2006-01-02T15:04:05", query.Get("startTime"))
	end, endErr := time.Parse("2006-01-02T15:04:05", query.Get("endTime"))
	if now := m.config.Now(); startErr != nil || endErr != nil || !start.Before(end) || end.Sub(start) > 24*time.Hour || start.Before(now.Add(-7*24*time.Hour)) {
		m365ActivityError(w, http.StatusBadRequest, "AF20055", "Start time and end time must both be specified (or both omitted) and must be less than or equal to 24 hours apart.")
		return
	}
	var within []*m365Blob
	for _, blob := range m.blobs[contentType] {
		if !blob.created.Before(start) && blob.created.Before(end) {
			within = append(within, blob)
		}
	}
	at := 0
	if text := query.Get("nextPage"); text != "" {
		place, generation, _ := strings.Cut(text, "R")
		var err error
		if at, err = strconv.Atoi(place); err != nil || generation != strconv.Itoa(m.generation) || at > len(within) || m.hit(m.config.ExpireEvery) {
			m365ActivityError(w, http.StatusBadRequest, "AF20031", "Invalid nextPage Input: "+text+".")
			return
		}
	}
	until := min(at+m.config.ListPage, len(within))
	root := "http://" + r.Host + "/api/v1.0/" + m365Tenant + "/activity/feed/"
	entries := []any{}
	for _, blob := range within[at:until] {
		entries = append(entries, map[string]any{
			"contentType": contentType, "contentId": blob.id, "contentUri": root + "audit/" + blob.id,
			"contentCreated":    blob.created.Format("2006-01-02T15:04:05.000Z"),
			"contentExpiration": blob.created.Add(7 * 24 * time.Hour).Format("2006-01-02T15:04:05.000Z"),
		})
	}
	if until < len(within) {
		query.Set("nextPage", strconv.Itoa(until)+"R"+strconv.Itoa(m.generation))
		query.Del("PublisherIdentifier")
		w.header.Set("NextPageUri", root+"subscriptions/content?"+query.Encode())
	}
	w.json(http.StatusOK, entries)
}

// serveBlob answers with a blob's records.
func (m *M365) serveBlob(w *m365Answer, id string) {
	for _, blobs := range m.blobs {
		for _, blob := range blobs {
			if blob.id != id {
				continue
			}
			if m.config.Now().After(blob.created.Add(7 * 24 * time.Hour)) {
				m365ActivityError(w, http.StatusBadRequest, "AF20051", "Content requested with the key "+id+" has already expired. Content older than 7 days cannot be retrieved.")
				return
			}
			w.json(http.StatusOK, blob.records)
			return
		}
	}
	m365ActivityError(w, http.StatusNotFound, "AF20050", "The specified content ("+id+") does not exist.")
}
