// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier/receiver/webhook"
	"github.com/curfewhq/curfew/services/notifier/receivertest"
)

const (
	key    = "an-invented-key-of-32-bytes-0123"
	bearer = "Bearer " + receivertest.Secret
)

func secret() string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(key)) }

func open(t *testing.T, address string) *webhook.Receiver {
	t.Helper()
	r, err := webhook.New(webhook.Config{
		URL: address, Secret: config.SecretValue(secret()), Authorization: config.SecretValue(bearer),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type event struct {
	SpecVersion, ID, Source, Type, Time, DataContentType string
	Data                                                 map[string]any
}

// check is what a receiver by the two specifications would refuse.
func check(r *http.Request, body []byte) error {
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
		return fmt.Errorf("signature: got %q, want %q", r.Header.Get("webhook-signature"), want)
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	if e.SpecVersion != "1.0" || e.ID == "" || e.Source == "" || e.Type == "" || e.ID != r.Header.Get("webhook-id") || len(e.Data) == 0 {
		return fmt.Errorf("got %+v of %q, which is no CloudEvent", e, r.Header.Get("webhook-id"))
	}
	if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
		return err
	}
	if got := r.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/cloudevents+json") {
		return fmt.Errorf("got content type %q", got)
	}
	return nil
}

func TestReceiver(t *testing.T) {
	receivertest.Run(t, receivertest.Case{
		Open:    func(t *testing.T, address string) receivertest.Receiver { return open(t, address) },
		Secrets: []string{secret(), key, receivertest.Secret},
		Far:     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		Check:   check,
		Key:     func(r *http.Request, _ []byte) string { return r.Header.Get("webhook-id") },
		Most:    4 << 20,
	})
}

// TestEvents holds what each event says.
func TestEvents(t *testing.T) {
	var got event
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = check(r, body)
		}
		if err != nil {
			t.Error(err)
		}
		got = event{}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
	}))
	defer far.Close()
	r := open(t, far.URL)
	post := receivertest.Post(receivertest.Alert())
	ref, err := r.Post(t.Context(), post)
	if err != nil || ref != "post-1" {
		t.Fatalf("got %q, %v", ref, err)
	}
	finding := got.Data["alerts"].([]any)[0].(map[string]any)["finding"].(map[string]any)
	if got.ID != "post-1" || got.Type != "dev.curfew.alert.v1" || finding["detection"] != "unauthorized_access" || got.Data["cut"] != nil {
		t.Errorf("post: got %+v", got)
	}
	if raw := finding["event"].(map[string]any)["raw"]; raw != nil {
		t.Errorf("the vendor's record is sent: %v", raw)
	}
	if err := r.Edit(t.Context(), ref, post); err != nil {
		t.Fatal(err)
	}
	first := got.ID
	post.Alerts[0].Version++
	if err := r.Edit(t.Context(), ref, post); err != nil {
		t.Fatal(err)
	}
	if got.Data["ref"] != ref || !strings.HasPrefix(got.ID, "post-1/") || got.ID == first {
		t.Errorf("edit: got %+v, before %q", got, first)
	}
	if err := r.Reply(t.Context(), &curfewv1.Reply{Id: "reply-1", Ref: ref, Lines: []string{"person:bob took it on"}}); err != nil {
		t.Fatal(err)
	}
	if got.Type != "dev.curfew.reply.v1" || got.Data["ref"] != ref || got.ID != "reply-1" {
		t.Errorf("reply: got %+v", got)
	}
	if err := r.Notice(t.Context(), &curfewv1.Notice{Id: "n", Text: "it ended", Grant: &curfewv1.Grant{Id: "g1"}}); err != nil {
		t.Fatal(err)
	}
	if got.Type != "dev.curfew.notice.v1" || got.Data["grant_id"] != "g1" {
		t.Errorf("notice: got %+v", got)
	}
	if _, err := r.Post(t.Context(), receivertest.Post(receivertest.Hostile(strings.Repeat("x", 5000)))); err != nil || got.Data["cut"] == nil {
		t.Errorf("what was cut is not counted: %v, %v", err, got.Data["cut"])
	}
}

func TestConfig(t *testing.T) {
	ok := func(change func(*webhook.Config)) webhook.Config {
		c := webhook.Config{URL: "https://example.com/hook", Secret: config.SecretValue(secret())}
		change(&c)
		return c
	}
	for _, c := range []struct {
		name string
		in   webhook.Config
		want string
	}{
		{"no url", ok(func(c *webhook.Config) { c.URL = "" }), "url: missing"},
		{"in the clear", ok(func(c *webhook.Config) { c.URL = "http://example.com" }), "url: a secret may travel by https alone"},
		{"no secret", ok(func(c *webhook.Config) { c.Secret = config.Secret{} }), "secret: none is named"},
	} {
		if _, err := webhook.New(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	for _, bad := range []string{key, "whsec_short", "whsec_" + base64.StdEncoding.EncodeToString([]byte("short")), "whsec_!!"} {
		r, err := webhook.New(ok(func(c *webhook.Config) { c.Secret = config.SecretValue(bad) }))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Post(t.Context(), receivertest.Post(receivertest.Alert()))
		if receivertest.Meaning(err) != "refused for good" || strings.Contains(err.Error(), bad) {
			t.Errorf("secret %q: got %v", bad, err)
		}
	}
}
