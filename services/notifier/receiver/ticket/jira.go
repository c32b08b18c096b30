// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package ticket

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// late is how long Jira's search may miss what is new, "from a few seconds to minutes":
	// https://developer.atlassian.com/cloud/jira/platform/search-and-reconcile/.
	late = 5 * time.Minute
	// newest is how many comments are looked at, of which Jira gives 5,000 at most.
	newest = 100
)

// Jira makes issues in Jira Cloud: https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/.
type Jira struct {
	// Now is the time.
	Now func() time.Time

	config Config
	base   *url.URL
	client *http.Client
}

// Single says that a post is one alert.
func (j *Jira) Single() {}

// Pace is far below what Jira takes, which it does not say in numbers:
// https://developer.atlassian.com/cloud/jira/platform/rate-limiting/.
func (j *Jira) Pace() (posts, edits delivery.Pace) {
	pace := delivery.Pace{Burst: 5, Every: time.Second}
	return pace, pace
}

// issue is what Jira says of one.
type issue struct {
	Key string `json:"key"`
}

// Post makes an issue, with a label of the post's id by which it is found again. The ref is its key.
func (j *Jira) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	var made issue
	err := j.ask(ctx, http.MethodPost, "/rest/api/3/issue", map[string]any{"fields": map[string]any{
		"project": map[string]any{"key": j.config.Project}, "issuetype": map[string]any{"name": j.config.IssueType},
		"summary": card.Cut(card.Heading(post), maxTitle), "description": document(text(post)),
		"labels": []string{"curfew", label(post.GetId())},
	}}, &made)
	if err != nil {
		return "", fmt.Errorf("make jira issue: %w", err)
	}
	if !isKey(made.Key) {
		return "", errors.New("make jira issue: jira took it and did not say its key")
	}
	return made.Key, nil
}

// Edit comments where the alerts stand now, once for each state they are in together.
func (j *Jira) Edit(ctx context.Context, ref string, post *curfewv1.Post) error {
	hash := sha256.New()
	for _, a := range post.GetAlerts() {
		fmt.Fprintf(hash, "%d:%s %d %d,", len(a.GetId()), a.GetId(), a.GetEpisode(), a.GetState())
	}
	sign := mark(hex.EncodeToString(hash.Sum(nil)[:8]))
	// Whichever was said last counts: an alert can come back to a state.
	list, err := j.comments(ctx, ref)
	if err != nil {
		return fmt.Errorf("read jira comments: %w", err)
	}
	states := slices.DeleteFunc(list.Comments, func(c comment) bool { return !strings.Contains(string(c.Body), "is now ") })
	if len(states) > 0 && strings.Contains(string(states[0].Body), sign) {
		return nil
	}
	return j.comment(ctx, ref, append(standing(post), sign))
}

// Reply comments what is said.
func (j *Jira) Reply(ctx context.Context, reply *curfewv1.Reply) error {
	return j.comment(ctx, reply.GetRef(), append(said(reply), mark(reply.GetId())))
}

// Find looks for the issue of a post, or for the comment of a reply at the issue thread. That an issue is not there is known
// only some minutes after since, when Jira's search would show it.
func (j *Jira) Find(ctx context.Context, thread, id string, since time.Time) (string, bool, error) {
	if thread != "" {
		return j.findComment(ctx, thread, id, since)
	}
	var found struct {
		Issues []issue `json:"issues"`
	}
	err := j.ask(ctx, http.MethodPost, "/rest/api/3/search/jql", map[string]any{
		"jql": fmt.Sprintf("project = %q AND labels = %q", j.config.Project, label(id)), "fields": []string{"key"}, "maxResults": 1,
	}, &found)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("search jira: %w", err)
	case len(found.Issues) > 0 && isKey(found.Issues[0].Key):
		return found.Issues[0].Key, true, nil
	case j.Now().Sub(since) < late:
		return "", false, fmt.Errorf("search jira: it is not found, and may be before %s", since.Add(late).UTC().Format(time.RFC3339))
	}
	return "", false, nil
}

// comments is the newest comments of an issue, the newest first.
type comments struct {
	Total    int       `json:"total"`
	Comments []comment `json:"comments"`
}

type comment struct {
	ID      string          `json:"id"`
	Created string          `json:"created"`
	Body    json.RawMessage `json:"body"`
}

func (j *Jira) findComment(ctx context.Context, key, id string, since time.Time) (string, bool, error) {
	list, err := j.comments(ctx, key)
	if err != nil {
		return "", false, fmt.Errorf("read jira comments: %w", err)
	}
	for _, c := range list.Comments {
		if strings.Contains(string(c.Body), mark(id)) {
			return card.Plain(c.ID, maxTitle), true, nil
		}
	}
	if n := len(list.Comments); n > 0 && n < list.Total {
		if oldest, err := time.Parse("2006-01-02T15:04:05.000-0700", list.Comments[n-1].Created); err != nil || oldest.After(since) {
			return "", false, fmt.Errorf("read jira comments: there are %d, and the newest %d do not reach back to %s", list.Total, n, since.UTC().Format(time.RFC3339))
		}
	}
	return "", false, nil
}

func (j *Jira) comments(ctx context.Context, key string) (comments, error) {
	var list comments
	if !isKey(key) {
		return list, delivery.Unsent(errors.New("there is no issue at the ref"))
	}
	err := j.ask(ctx, http.MethodGet, fmt.Sprintf("/rest/api/3/issue/%s/comment?orderBy=-created&maxResults=%d", key, newest), nil, &list)
	return list, err
}

func (j *Jira) comment(ctx context.Context, key string, lines []string) error {
	if !isKey(key) {
		return delivery.Unsent(errors.New("comment jira issue: there is none at the ref"))
	}
	if err := j.ask(ctx, http.MethodPost, "/rest/api/3/issue/"+key+"/comment", map[string]any{"body": document(lines)}, nil); err != nil {
		return fmt.Errorf("comment jira issue: %w", err)
	}
	return nil
}

// ask asks Jira; what it answers is read into into, if that is not nil.
func (j *Jira) ask(ctx context.Context, method, path string, body, into any) error {
	token, err := j.config.Token.Value()
	if err != nil {
		return delivery.Unsent(err)
	}
	credentials := base64.StdEncoding.EncodeToString([]byte(j.config.Email + ":" + token))
	var encoded []byte
	if body != nil {
		if encoded, err = json.Marshal(body); err != nil {
			return delivery.Unsent(fmt.Errorf("encode request: %w", err))
		}
	}
	answer, err := delivery.Post(ctx, j.client, delivery.Request{
		Method: method, URL: j.base.String() + path, Body: encoded, Secrets: []string{token, credentials},
		Header:  http.Header{"Authorization": {"Basic " + credentials}, "Accept": {"application/json"}},
		Missets: []string{`"project"`, `"issuetype"`},
	})
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		// Not wrapped: an error of encoding/json quotes what it read.
		return errors.New("read answer: it is not the JSON that jira answers with")
	}
	return nil
}

// document is lines in the Atlassian Document Format, where text is text and no markup:
// https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/.
func document(lines []string) map[string]any {
	paragraphs := make([]any, 0, len(lines))
	for _, line := range lines {
		if line != "" {
			paragraphs = append(paragraphs, map[string]any{"type": "paragraph", "content": []any{map[string]any{"type": "text", "text": line}}})
		}
	}
	return map[string]any{"type": "doc", "version": 1, "content": paragraphs}
}

// label is a label of Jira, which has no spaces, for an id.
func label(id string) string { return "curfew-" + safe(id) }

// mark is what a comment of ours ends with.
func mark(id string) string { return "[curfew " + safe(id) + "]" }

// safe is an id of ours in characters that JSON, JQL and labels leave alone; another one's hash.
func safe(id string) string {
	if regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`).MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

func isKey(key string) bool {
	return len(key) <= 100 && regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*-[0-9]+$`).MatchString(key)
}
