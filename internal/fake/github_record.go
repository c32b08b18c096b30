// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"
)

// GitHubEvent builds an entry of the audit log. What is not set gets a value that a quiet organisation would show, so
// that the zero value is a sound record: a clone.
type GitHubEvent struct {
	// Seed and Number make the _document_id, and so the record's identity.
	Seed, Number uint64
	// NoDocumentID leaves the _document_id out, as GitHub does of some events: the content is the identity then.
	NoDocumentID bool
	// Action is the action; "git.clone" if empty.
	Action string
	// Time is when it happened; 2026-03-02T08:00:00Z if zero.
	Time time.Time
	// Actor is who acted; "anna-berg" if empty, nobody if "-".
	Actor string
	// Org and Repo are where; "example" and "shop" if empty, no repository if Repo is "-".
	Org, Repo string
	// Email is what the identity provider calls the actor; none if empty.
	Email string
	// Country is where the actor is said to be; "DE" if empty.
	Country string
	// More is added to the record, or stands instead of what it has.
	More map[string]any
}

// GitHubID is an id in GitHub's form for something with a name: the same name has the same id.
func GitHubID(name string) int64 {
	sum := sha256.Sum256([]byte("github " + name))
	return 1_000_000 + int64(sum[0])<<16 + int64(sum[1])<<8 + int64(sum[2])
}

// ID is the record's _document_id.
func (e GitHubEvent) ID() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "github %d %d", e.Seed, e.Number))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// JSON is the record. It is the same for the same e.
func (e GitHubEvent) JSON() json.RawMessage {
	at := e.Time
	if at.IsZero() {
		at = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)
	}
	org := cmp.Or(e.Org, "example")
	record := map[string]any{
		"@timestamp": at.UnixMilli(), "action": cmp.Or(e.Action, "git.clone"), "org": org, "org_id": GitHubID(org),
		"actor_is_bot": false, "operation_type": "access", "user_agent": "git/2.47.0 (Invented)",
		"actor_location": map[string]any{"country_code": cmp.Or(e.Country, "DE")},
	}
	if !e.NoDocumentID {
		record["_document_id"] = e.ID()
	} else {
		record["request_id"] = e.ID()
	}
	if actor := cmp.Or(e.Actor, "anna-berg"); actor != "-" {
		record["actor"], record["actor_id"] = actor, GitHubID(actor)
	}
	if repo := cmp.Or(e.Repo, "shop"); repo != "-" {
		record["repo"], record["repo_id"] = org+"/"+repo, GitHubID(org+"/"+repo)
	}
	if e.Email != "" {
		record["external_identity_nameid"] = e.Email
	}
	maps.Copy(record, e.More)
	body, err := json.Marshal(record)
	if err != nil {
		panic(err) // More alone could do it, and only a programmer sets it.
	}
	return body
}

// GitHubWebhook builds a delivery of an organisation's webhook.
type GitHubWebhook struct {
	// Delivery is X-GitHub-Delivery, Event is X-GitHub-Event: https://docs.github.com/en/webhooks/webhook-events-and-payloads.
	Delivery, Event string
	// Payload is the body, byte for byte.
	Payload []byte
}

// Header is the request's header, proven by secret:
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.
func (w GitHubWebhook) Header(secret string) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(w.Payload)
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "GitHub-Hookshot/invented")
	header.Set("X-GitHub-Delivery", w.Delivery)
	header.Set("X-GitHub-Event", w.Event)
	header.Set("X-GitHub-Hook-Id", "9002")
	header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return header
}

// GitHubPayload is the body of a webhook about an organisation's act by a person: what it holds besides is more's.
func GitHubPayload(org, sender string, more map[string]any) []byte {
	payload := map[string]any{
		"organization": map[string]any{"login": org, "id": GitHubID(org)},
		"sender":       map[string]any{"login": sender, "id": GitHubID(sender), "type": "User", "site_admin": false},
	}
	maps.Copy(payload, more)
	body, err := json.Marshal(payload)
	if err != nil {
		panic(err) // more alone could do it, and only a programmer sets it.
	}
	return body
}
