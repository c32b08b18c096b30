// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package ticket_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier/receiver/ticket"
	"github.com/curfewhq/curfew/services/notifier/receivertest"
)

func open(t *testing.T, kind, address string) ticket.Receiver {
	t.Helper()
	r, err := ticket.New(ticket.Config{Kind: kind, URL: address, Email: "bot@example.com", Token: config.SecretValue(receivertest.Secret), Project: "SEC"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// jira is a Jira of one project that keeps what it takes.
type jira struct {
	labels   map[string]string // by label: key
	comments []json.RawMessage
}

// check is what Jira would not like.
func check(r *http.Request, body []byte) error {
	if user, password, ok := r.BasicAuth(); !ok || user != "bot@example.com" || password != receivertest.Secret {
		return errors.New("got no sound Authorization")
	}
	if r.Method == http.MethodGet {
		return nil
	}
	var sent struct {
		Fields *struct {
			Project, IssueType struct{ Key, Name string }
			Summary            string
			Description        document
			Labels             []string
		}
		Body *document
		JQL  string
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return err
	}
	switch {
	case sent.Fields != nil:
		f := sent.Fields
		if f.Project.Key != "SEC" || f.IssueType.Name != "Task" || f.Summary == "" || utf8.RuneCountInString(f.Summary) > 255 || strings.ContainsAny(f.Summary, "\r\n") {
			return fmt.Errorf("got fields %.300v", f)
		}
		if slices.ContainsFunc(f.Labels, func(l string) bool { return strings.Contains(l, " ") }) {
			return fmt.Errorf("got labels %q", f.Labels)
		}
		return f.Description.check()
	case sent.Body != nil:
		return sent.Body.check()
	case sent.JQL == "":
		return fmt.Errorf("got %.200s", body)
	}
	return nil
}

type document struct {
	Type    string
	Version int
	Content []struct {
		Type    string
		Content []struct{ Type, Text string }
	}
}

func (d document) check() error {
	length := 0
	for _, p := range d.Content {
		if p.Type != "paragraph" || len(p.Content) != 1 || p.Content[0].Type != "text" || p.Content[0].Text == "" {
			return fmt.Errorf("got paragraph %v", p)
		}
		length += utf8.RuneCountInString(p.Content[0].Text)
	}
	if d.Type != "doc" || d.Version != 1 || length > 32_767 {
		return fmt.Errorf("got document %q of version %d with %d characters", d.Type, d.Version, length)
	}
	return nil
}

func (j *jira) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch path := r.URL.Path; {
	case path == "/rest/api/3/issue":
		var sent struct{ Fields struct{ Labels []string } }
		if json.Unmarshal(body, &sent) == nil && j.labels != nil {
			j.labels[sent.Fields.Labels[1]] = "SEC-7"
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id":"10000","key":"SEC-7"}`)
	case path == "/rest/api/3/search/jql":
		var sent struct{ JQL string }
		if json.Unmarshal(body, &sent) == nil {
			match := regexp.MustCompile(`^project = "SEC" AND labels = "([^"]*)"$`).FindStringSubmatch(sent.JQL)
			if key := j.labels[match[1]]; key != "" {
				fmt.Fprintf(w, `{"issues":[{"key":%q}]}`, key)
				return
			}
		}
		fmt.Fprint(w, `{"issues":[]}`)
	case strings.HasSuffix(path, "/comment") && r.Method == http.MethodGet:
		fmt.Fprint(w, `{"total":`, len(j.comments), `,"comments":[`)
		for i, c := range slices.Backward(j.comments) {
			fmt.Fprintf(w, `{"id":"%d","created":"2026-11-02T09:%02d:00.000+0000","body":%s}`, i, i, c)
			if i > 0 {
				fmt.Fprint(w, ",")
			}
		}
		fmt.Fprint(w, `]}`)
	default:
		var sent struct{ Body json.RawMessage }
		if json.Unmarshal(body, &sent) == nil {
			j.comments = append(j.comments, sent.Body)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id":"1"}`)
	}
}

func TestJira(t *testing.T) {
	receivertest.Run(t, receivertest.Case{
		Open:    func(t *testing.T, address string) receivertest.Receiver { return open(t, "jira", address) },
		Secrets: []string{receivertest.Secret},
		Far:     (&jira{}).ServeHTTP,
		Check:   check,
		Most:    256 << 10,
	})
}

func TestGeneric(t *testing.T) {
	id := func(_ *http.Request, body []byte) string {
		var sent struct{ ID, Title, Text, Severity string }
		if json.Unmarshal(body, &sent) != nil || sent.Text == "" {
			return ""
		}
		return sent.ID
	}
	receivertest.Run(t, receivertest.Case{
		Open:    func(t *testing.T, address string) receivertest.Receiver { return open(t, "generic", address) },
		Secrets: []string{receivertest.Secret},
		Far:     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"number":42}`) },
		Check: func(r *http.Request, body []byte) error {
			if id(r, body) == "" || r.Header.Get("Authorization") != "Bearer "+receivertest.Secret {
				return fmt.Errorf("got %.200s", body)
			}
			return nil
		},
		Key:  id,
		Most: 256 << 10,
	})
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"number":42}`) }))
	defer far.Close()
	if ref, err := open(t, "generic", far.URL).Post(t.Context(), receivertest.Post(receivertest.Alert())); err != nil || ref != "42" {
		t.Errorf("got ref %q, %v, want 42", ref, err)
	}
}

// TestFind holds that a ticket and a comment are found again, and that what Jira's search may not show yet is not known.
func TestFind(t *testing.T) {
	far := &jira{labels: map[string]string{}}
	server := httptest.NewServer(far)
	defer server.Close()
	j := open(t, "jira", server.URL).(*ticket.Jira)
	since := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	j.Now = func() time.Time { return since.Add(time.Minute) }
	if _, _, err := j.Find(t.Context(), "", "post-1", since); err == nil {
		t.Error("a minute later: got nil, want that it is not known")
	}
	j.Now = func() time.Time { return since.Add(10 * time.Minute) }
	if _, found, err := j.Find(t.Context(), "", "post-1", since); err != nil || found {
		t.Errorf("before: got %v, %v", found, err)
	}
	ref, err := j.Post(t.Context(), receivertest.Post(receivertest.Alert()))
	if err != nil || ref != "SEC-7" {
		t.Fatalf("got %q, %v", ref, err)
	}
	if got, found, err := j.Find(t.Context(), "", "post-1", since); err != nil || !found || got != ref {
		t.Errorf("got %q, %v, %v, want %s", got, found, err, ref)
	}
	if _, found, err := j.Find(t.Context(), ref, "reply-1", since); err != nil || found {
		t.Errorf("reply before: got %v, %v", found, err)
	}
	if err := j.Reply(t.Context(), &curfewv1.Reply{Id: "reply-1", Ref: ref, Lines: []string{"done"}}); err != nil {
		t.Fatal(err)
	}
	if _, found, err := j.Find(t.Context(), ref, "reply-1", since); err != nil || !found {
		t.Errorf("reply: got %v, %v", found, err)
	}
	if _, found, err := j.Find(t.Context(), ref, "reply-11", since); err != nil || found {
		t.Errorf("another reply: got %v, %v", found, err)
	}
}

// TestEdit holds that each state is said once, also where it comes back.
func TestEdit(t *testing.T) {
	far := &jira{}
	server := httptest.NewServer(far)
	defer server.Close()
	j := open(t, "jira", server.URL)
	post := receivertest.Post(receivertest.Alert())
	for i, c := range []struct {
		state curfewv1.AlertState
		want  int
	}{
		{curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED, 1},
		{curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED, 1},
		{curfewv1.AlertState_ALERT_STATE_OPEN, 2},
		{curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED, 3},
	} {
		post.Alerts[0].State = c.state
		post.Alerts[0].Version++
		if err := j.Edit(t.Context(), "SEC-7", post); err != nil || len(far.comments) != c.want {
			t.Errorf("%d: got %d comments, %v, want %d", i, len(far.comments), err, c.want)
		}
	}
	for _, ref := range []string{"", "../x", "SEC-7/comment?x=", "SEC-7\n"} {
		if err := j.Edit(t.Context(), ref, post); receivertest.Meaning(err) != "refused for good" {
			t.Errorf("ref %q: got %v", ref, err)
		}
	}
}

func TestConfig(t *testing.T) {
	ok := ticket.Config{Kind: "jira", URL: "https://shop.example.com", Email: "bot@example.com", Token: config.SecretValue("x"), Project: "SEC"}
	for want, change := range map[string]func(*ticket.Config){
		"kind:":                    func(c *ticket.Config) { c.Kind = "" },
		"url: missing":             func(c *ticket.Config) { c.URL = "" },
		"https alone":              func(c *ticket.Config) { c.URL = "http://shop.example.com" },
		"more than the host":       func(c *ticket.Config) { c.URL = "https://shop.example.com/browse" },
		"email:":                   func(c *ticket.Config) { c.Email = "" },
		"token: none is named":     func(c *ticket.Config) { c.Token = config.Secret{} },
		"project: \"sec\" is not":  func(c *ticket.Config) { c.Project = "sec" },
		"project: \"A\\\" OR\" is": func(c *ticket.Config) { c.Project = `A" OR` },
	} {
		c := ok
		change(&c)
		if _, err := ticket.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
