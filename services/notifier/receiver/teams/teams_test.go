// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package teams_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/services/notifier/receiver/teams"
	"github.com/curfewhq/curfew/services/notifier/receivertest"
)

const path = "/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers&sig=" + receivertest.Secret

func open(t *testing.T, address string) *teams.Receiver {
	t.Helper()
	r, err := teams.New(teams.Config{URL: config.SecretValue(address + path)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read is the text of a message as a workflow takes it: what stands in a TextRun, then what in a TextBlock.
func read(body []byte) (runs, blocks string, err error) {
	var m struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type, Version string
				Body          []struct {
					Type, Text string
					Inlines    []struct{ Type, Text string }
				}
			}
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return "", "", err
	}
	if m.Type != "message" || len(m.Attachments) != 1 || m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
		return "", "", fmt.Errorf("got %.200s, which is no message", body)
	}
	c := m.Attachments[0].Content
	if c.Type != "AdaptiveCard" || c.Version != "1.5" || len(c.Body) == 0 {
		return "", "", fmt.Errorf("got %.200s, which is no card", body)
	}
	for _, e := range c.Body {
		if e.Type != "RichTextBlock" && e.Type != "TextBlock" {
			return "", "", errors.New("got an element " + e.Type)
		}
		blocks += e.Text + "\n"
		for _, run := range e.Inlines {
			if run.Type != "TextRun" || run.Text == "" {
				return "", "", fmt.Errorf("got an inline %+v", run)
			}
			runs += run.Text
		}
		runs += "\n"
	}
	return runs, blocks, nil
}

func TestReceiver(t *testing.T) {
	receivertest.Run(t, receivertest.Case{
		Open:    func(t *testing.T, address string) receivertest.Receiver { return open(t, address) },
		Secrets: []string{receivertest.Secret, "0123456789abcdef"},
		Far:     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
		Check: func(r *http.Request, body []byte) error {
			_, blocks, err := read(body)
			if err == nil && (r.URL.Query().Get("sig") != receivertest.Secret || strings.Contains(blocks, "at>all")) {
				return fmt.Errorf("got %s, %q", r.URL, blocks)
			}
			return err
		},
		Most: 28_000,
	})
}

// TestShown holds that one alert is shown whole, in the reader's zone, and that Markdown of others is none.
func TestShown(t *testing.T) {
	var runs, blocks string
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			runs, blocks, err = read(body)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer far.Close()
	a := receivertest.Alert()
	a.Finding.Reason = "**bold** [link](https://example.com) {{DATE(x)}}"
	if _, err := open(t, far.URL).Post(t.Context(), receivertest.Post(a)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"CRITICAL  ida@example.com shared file", "Who  Ida ida@example.com (person:ida)", "visibility: private → people_with_link",
		"policy.csv:23  p, role:anyone", "alert f00dfeedf00d", "**bold** [link]",
	} {
		if !strings.Contains(runs, want) {
			t.Errorf("%q is not in %q", want, runs)
		}
	}
	if !strings.Contains(blocks, "{{DATE(2026-11-02T09:14:03Z, SHORT)}} {{TIME(2026-11-02T09:14:03Z)}}") || strings.Contains(blocks, "bold") {
		t.Errorf("got blocks %q", blocks)
	}
	many := receivertest.Post()
	for range 45 {
		many.Alerts = append(many.Alerts, receivertest.Hostile(strings.Repeat("漢", 500)))
	}
	if _, err := open(t, far.URL).Post(t.Context(), many); err != nil || strings.Count(runs, "CRITICAL") != 46 {
		t.Errorf("got %d lines, %v, want 45 and the heading", strings.Count(runs, "CRITICAL"), err)
	}
}

func TestConfig(t *testing.T) {
	if _, err := teams.New(teams.Config{}); err == nil || !strings.Contains(err.Error(), "url: none is named") {
		t.Errorf("got %v", err)
	}
	r, err := teams.New(teams.Config{URL: config.SecretValue("http://example.com" + path)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Post(t.Context(), receivertest.Post(receivertest.Alert()))
	if receivertest.Meaning(err) != "refused for good" || strings.Contains(err.Error(), receivertest.Secret) {
		t.Errorf("got %v", err)
	}
}
