// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func newListener(t *testing.T, secret string) *Source {
	t.Helper()
	c := Config{Org: "example", Token: config.SecretValue("invented")}
	if secret != "" {
		c.WebhookSecret = config.SecretValue(secret)
	}
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func delivery(secret string, at time.Time, n int, payload []byte) vendorhttp.Delivery {
	hook := fake.GitHubWebhook{Delivery: fmt.Sprintf("5f1c7e2a-0000-11f1-9000-%012d", n), Event: "member", Payload: payload}
	return vendorhttp.Delivery{Method: http.MethodPost, Header: hook.Header(secret), Body: payload, Received: at}
}

func TestWebhooks(t *testing.T) {
	var payloads [][]byte
	for _, login := range []string{"lee", "kim", "nia"} {
		payloads = append(payloads, fake.GitHubPayload("example", "anna-berg", map[string]any{
			"action": "added", "member": map[string]any{"login": login, "id": fake.GitHubID(login)}, "repository": map[string]any{"full_name": "example/shop"},
		}))
	}
	sourcetest.Webhooks(t, sourcetest.WebhookCase{
		New: func(t *testing.T, secret string) sourcetest.Listener { return newListener(t, secret) },
		Deliver: func(_ *testing.T, secret string, at time.Time, n int, records ...[]byte) vendorhttp.Delivery {
			return delivery(secret, at, n, records[0])
		},
		Resign: func(d *vendorhttp.Delivery, secret string) {
			d.Header.Set(signatureHeader, fake.GitHubWebhook{Payload: d.Body}.Header(secret).Get(signatureHeader))
		},
		Records: payloads,
		Decode:  Decode,
		Proof:   signatureHeader,
		Seals:   true,
	})
}

func TestReceive(t *testing.T) {
	source := newListener(t, "invented-secret")
	accepted, err := source.Receive(delivery("invented-secret", time.Now(), 7, []byte(`{"action":"added","member":{"login":"lee"},"repository":{"full_name":"example/shop"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	e := decode(t, string(accepted.Records[0]))
	if e.GetId() != "github:5f1c7e2a-0000-11f1-9000-000000000007" || e.GetAction() != "member.added" || accepted.Feed != "audit_log" {
		t.Errorf("got %v in %s, want the delivery's id and the header's type in the audit log's lane", e, accepted.Feed)
	}
	// A webhook as a form is one too; its signature is that of the form.
	body := []byte("payload=" + url.QueryEscape(`{"action":"added"}`))
	d := delivery("invented-secret", time.Now(), 8, body)
	d.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if accepted, err = source.Receive(d); err != nil || !strings.Contains(string(accepted.Records[0]), `"payload":{"action":"added"}}`) {
		t.Errorf("a form: got %s, %v, want its payload", accepted.Records, err)
	}
	// Without an id the signature names the delivery.
	d = delivery("invented-secret", time.Now(), 9, []byte(`{}`))
	d.Header.Del("X-GitHub-Delivery")
	if accepted, err = source.Receive(d); err != nil || accepted.Key == "" || accepted.Key != accepted.Seal {
		t.Errorf("without an id: got %+v, %v, want the signature for its key", accepted, err)
	}
	no := false
	source.config.AuditLog = &no
	if got := source.Webhooks(); !slices.Equal(got, []string{"webhook"}) {
		t.Errorf("without an audit log: got webhooks for %v, want a feed of their own", got)
	}
}
