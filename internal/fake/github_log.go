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

// githubNumber is the number by which GitHub's own links name what has the log.
const githubNumber = "2001"

func (g *GitHub) hasLog(kind, name string) bool {
	switch kind {
	case "orgs":
		return g.config.Org != "" && strings.EqualFold(name, g.config.Org)
	case "enterprises":
		return g.config.Enterprise != "" && (strings.EqualFold(name, g.config.Enterprise) || name == githubNumber)
	case "organizations":
		return name == githubNumber
	}
	return false
}

// page is the records that a request asks for, with the links to others.
func (g *GitHub) page(r *http.Request) githubAnswer {
	g.requests++
	g.arrive()
	query := r.URL.Query()
	limit, err := strconv.Atoi(cmp.Or(query.Get("per_page"), "30"))
	if err != nil || limit < 1 {
		limit = 30
	}
	limit = min(limit, 100) // GitHub refuses no larger number.
	// Three months are looked at where nothing is said.
	from := g.config.Now().AddDate(0, -3, 0)
	if phrase := query.Get("phrase"); phrase != "" {
		text, isSince := strings.CutPrefix(phrase, "created:>=")
		if from, err = time.Parse("2006-01-02T15:04:05Z07:00", text); !isSince || err != nil {
			return githubRefusal(http.StatusUnprocessableEntity, "this fake knows phrases of the form created:>=TIME alone")
		}
	}
	if query.Get("order") != "asc" || query.Get("before") != "" {
		return githubRefusal(http.StatusUnprocessableEntity, "this fake knows order=asc and after alone")
	}
	start := githubRecord{time: from, number: -1}
	if after := query.Get("after"); after != "" {
		position, ok := g.position(after, query.Get("phrase"))
		if !ok || g.hit(g.config.ExpireEvery) {
			return githubRefusal(http.StatusUnprocessableEntity, "The cursor is not valid.")
		}
		start = position
	}
	include := cmp.Or(query.Get("include"), "web")
	kept := g.config.Now().Add(-7 * 24 * time.Hour)
	page, more := []json.RawMessage{}, false
	var last githubRecord
	at, _ := slices.BinarySearchFunc(g.log, start, compareGitHub)
	for _, record := range g.log[at:] {
		if record.git && (include == "web" || record.time.Before(kept)) || !record.git && include == "git" {
			continue
		}
		if more = len(page) == limit; more {
			break
		}
		page, last = append(page, record.raw), record
	}
	answer := githubJSON(http.StatusOK, page)
	links := []string{g.link(r, query, "", "first")}
	if more {
		links = append([]string{g.link(r, query, g.after(last, query.Get("phrase")), "next")}, links...)
	}
	answer.header.Set("Link", strings.Join(links, ", "))
	return answer
}

// arrive brings into the log what is due.
func (g *GitHub) arrive() {
	g.late = slices.DeleteFunc(g.late, func(late githubLate) bool {
		now := g.config.Now()
		if late.real {
			now = time.Now()
		}
		if late.at.After(now) {
			return false
		}
		g.persist(late.record)
		return true
	})
}

// link is a link as GitHub writes it: by number, with both cursors.
func (g *GitHub) link(r *http.Request, query url.Values, after, rel string) string {
	values := url.Values{"after": {after}, "before": {""}}
	for _, name := range []string{"phrase", "include", "order", "per_page"} {
		values.Set(name, query.Get(name))
	}
	kind := "organizations"
	if strings.HasPrefix(r.URL.Path, "/enterprises/") {
		kind = "enterprises"
	}
	return "<http://" + r.Host + "/" + kind + "/" + githubNumber + "/audit-log?" + values.Encode() + `>; rel="` + rel + `"`
}

// after and position turn the last record of a page into a cursor and back.
func (g *GitHub) after(last githubRecord, phrase string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "MS4|%d|%d|%d|%s", g.generation, last.time.UnixMilli(), last.number, phrase))
}

func (g *GitHub) position(after, phrase string) (behind githubRecord, ok bool) {
	text, err := base64.StdEncoding.DecodeString(after)
	if err != nil {
		return githubRecord{}, false
	}
	var generation, number int
	var milliseconds int64
	var of string
	if n, _ := fmt.Sscanf(string(text), "MS4|%d|%d|%d|%s", &generation, &milliseconds, &number, &of); n < 3 || generation != g.generation || of != phrase {
		return githubRecord{}, false
	}
	return githubRecord{time: time.UnixMilli(milliseconds), number: number + 1}, true
}
