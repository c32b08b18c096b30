// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package splunk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier/receiver/splunk"
	"github.com/curfewhq/curfew/services/notifier/receivertest"
)

func open(t *testing.T, address, format string) *splunk.Receiver {
	t.Helper()
	r, err := splunk.New(splunk.Config{URL: address, Token: config.SecretValue(receivertest.Secret), Format: format, Index: "security"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type finding struct {
	ClassUID   int   `json:"class_uid"`
	ActivityID int   `json:"activity_id"`
	Time       int64 `json:"time"`
	Message    string
	Metadata   struct {
		UID            string `json:"uid"`
		CorrelationUID string `json:"correlation_uid"`
	}
}

// read is the findings of a body, as the two formats have them.
func read(format, path, authorization string, body []byte) ([]finding, error) {
	var list []finding
	if format == "ocsf" {
		if path != "/ingest" || authorization != "Bearer "+receivertest.Secret {
			return nil, fmt.Errorf("got %s by %q", path, authorization)
		}
		return list, json.Unmarshal(body, &list)
	}
	if path != "/services/collector/event" || authorization != "Splunk "+receivertest.Secret {
		return nil, fmt.Errorf("got %s by %q", path, authorization)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	for {
		var event struct {
			Time              float64
			Index, Sourcetype string
			Event             finding
		}
		err := decoder.Decode(&event)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		if event.Index != "security" || event.Sourcetype != "ocsf:detection_finding" || event.Time != float64(event.Event.Time)/1000 {
			return nil, fmt.Errorf("got envelope %+v", event)
		}
		list = append(list, event.Event)
	}
}

func TestReceiver(t *testing.T) {
	for format, path := range map[string]string{"hec": "", "ocsf": "/ingest"} {
		t.Run(format, func(t *testing.T) {
			receivertest.Run(t, receivertest.Case{
				Open:    func(t *testing.T, address string) receivertest.Receiver { return open(t, address+path, format) },
				Secrets: []string{receivertest.Secret},
				Far:     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"text":"Success","code":0}`) },
				Check: func(r *http.Request, body []byte) error {
					_, err := read(format, r.URL.Path, r.Header.Get("Authorization"), body)
					return err
				},
				Key: func(r *http.Request, body []byte) string {
					list, err := read(format, r.URL.Path, r.Header.Get("Authorization"), body)
					if err != nil || len(list) != 1 {
						return ""
					}
					return list[0].Metadata.UID
				},
				Most: 1 << 20, Clear: true,
			})
		})
	}
}

// TestFindings holds that every alert arrives in bodies that Splunk takes, and what changes and replies say.
func TestFindings(t *testing.T) {
	var got []finding
	bodies, refuse := 0, 0
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if bodies++; bodies == refuse {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		list, err := read("hec", r.URL.Path, r.Header.Get("Authorization"), body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, list...)
	}))
	defer far.Close()
	r := open(t, far.URL, "hec")
	post := receivertest.Post()
	for i := range 2000 {
		a := receivertest.Alert()
		a.Id = fmt.Sprint(i)
		post.Alerts = append(post.Alerts, a)
	}
	post.Summary = true
	if ref, err := r.Post(t.Context(), post); err != nil || ref != "post-1" || len(got) != 2000 || bodies < 2 {
		t.Errorf("got %d findings in %d bodies, ref %q, %v, want all 2000", len(got), bodies, ref, err)
	}
	refuse = bodies + 2
	if _, err := r.Post(t.Context(), post); receivertest.Meaning(err) != "unclear" {
		t.Errorf("the first part arrived: got %s (%v), want unclear", receivertest.Meaning(err), err)
	}
	got = nil
	one := receivertest.Post(receivertest.Alert())
	one.Alerts[0].State = curfewv1.AlertState_ALERT_STATE_RESOLVED
	if err := r.Edit(t.Context(), "post-1", one); err != nil || got[0].ActivityID != 3 {
		t.Errorf("edit: got %+v, %v, want a finding that is closed", got, err)
	}
	if err := r.Reply(t.Context(), &curfewv1.Reply{Id: "r1", Ref: "post-1", Lines: []string{"done"}}); err != nil || got[1].Metadata.CorrelationUID != "post-1" || got[1].Message != "done" {
		t.Errorf("reply: got %+v, %v", got, err)
	}
}

func TestConfig(t *testing.T) {
	token := config.SecretValue(receivertest.Secret)
	for _, c := range []struct {
		name string
		in   splunk.Config
		want string
	}{
		{"no url", splunk.Config{Token: token}, "url: missing"},
		{"in the clear", splunk.Config{URL: "http://splunk.example.com:8088", Token: token}, "https alone"},
		{"no token", splunk.Config{URL: "https://splunk.example.com:8088"}, "token: none is named"},
		{"no format", splunk.Config{URL: "https://splunk.example.com:8088", Token: token, Format: "cef"}, `format: "cef" is neither`},
		{"more than the host", splunk.Config{URL: "https://splunk.example.com:8088/x", Token: token}, "more than the host"},
	} {
		if _, err := splunk.New(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := splunk.New(splunk.Config{URL: "https://splunk.example.com:8088/services/collector/event", Token: token}); err != nil {
		t.Errorf("the whole address: got %v", err)
	}
}
