// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package pagerduty opens, acknowledges and resolves PagerDuty alerts by its Events API v2.
package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// defaultURL is where events are taken; for the EU it is https://events.eu.pagerduty.com:
	// https://developer.pagerduty.com/docs/send-alert-event.
	defaultURL = "https://events.pagerduty.com"
	// path is of version 2.
	path = "/v2/enqueue"
	// maxSummary and maxKey bound a summary and a key in characters, on the same page.
	maxSummary, maxKey = 1024, 255
	// maxValue bounds a detail in runes, so that an event stays far below the 512 KB that are taken, on the same page.
	maxValue = 1000
)

// Config is the service that is paged.
type Config struct {
	// RoutingKey is the integration key of an Events API v2 integration.
	RoutingKey config.Secret `yaml:"routing_key"`
	// URL is the host; https://events.pagerduty.com if empty.
	URL string `yaml:"url"`
}

// Receiver pages. It is safe for concurrent use. The same event twice does no harm: PagerDuty knows it by its dedup_key.
type Receiver struct {
	config  Config
	address string
	client  *http.Client
}

// New returns a receiver for the service that c names. It reads no secret yet; an error is a mistake in c and says which.
func New(c Config) (*Receiver, error) {
	if c.URL == "" {
		c.URL = defaultURL
	}
	u, err := vendorhttp.Host(c.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("configure pagerduty: url: %w", err)
	case !c.RoutingKey.IsSet():
		return nil, errors.New("configure pagerduty: routing_key: none is named; name the integration key with {file: PATH} or {env: NAME}")
	}
	return &Receiver{config: c, address: u.String() + path, client: delivery.Client()}, nil
}

// Single says that a post is one alert, so that each is acknowledged and resolved for itself.
func (r *Receiver) Single() {}

// Pace is what PagerDuty takes of one integration, 120 events a minute, as its support says; its documents say no number:
// https://community.pagerduty.com/forum/t/monitoring-api-rate-limiting/3318.
func (r *Receiver) Pace() (posts, edits delivery.Pace) {
	pace := delivery.Pace{Burst: 20, Every: time.Second}
	return pace, pace
}

// Post triggers, or where all is resolved already, resolves: a repeat must not wake anybody again. The ref is the dedup_key:
// the alert's id and episode; of several alerts and of a summary, which make one event, the post's id.
func (r *Receiver) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	key, action := keyOf(post), action(post)
	if action == "acknowledge" {
		action = "trigger" // what was never triggered cannot be acknowledged
	}
	if err := r.send(ctx, key, action, post); err != nil {
		return "", fmt.Errorf("page by pagerduty: %w", err)
	}
	return key, nil
}

// Edit acknowledges or resolves what stands at ref once all of its alerts are, and triggers it again as long as one is
// open, which updates it.
func (r *Receiver) Edit(ctx context.Context, ref string, post *curfewv1.Post) error {
	if err := r.send(ctx, ref, action(post), post); err != nil {
		return fmt.Errorf("page by pagerduty: %w", err)
	}
	return nil
}

// keyOf is the dedup_key.
func keyOf(post *curfewv1.Post) string {
	if alerts := post.GetAlerts(); len(alerts) == 1 && !post.GetSummary() {
		return card.Plain(fmt.Sprintf("curfew-%s-%d", alerts[0].GetId(), alerts[0].GetEpisode()), maxKey)
	}
	return card.Plain("curfew-"+post.GetId(), maxKey)
}

// action is what the alerts ask for together.
func action(post *curfewv1.Post) string {
	action := "resolve"
	if len(post.GetAlerts()) == 0 {
		return "trigger"
	}
	for _, a := range post.GetAlerts() {
		switch a.GetState() {
		case curfewv1.AlertState_ALERT_STATE_RESOLVED:
		case curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED:
			action = "acknowledge"
		default:
			return "trigger"
		}
	}
	return action
}

// event is one of the Events API v2: https://developer.pagerduty.com/docs/send-alert-event.
type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	Key        string   `json:"dedup_key"`
	Client     string   `json:"client,omitempty"`
	Payload    *payload `json:"payload,omitempty"`
}

type payload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp string            `json:"timestamp,omitempty"`
	Component string            `json:"component,omitempty"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details,omitempty"`
}

func (r *Receiver) send(ctx context.Context, key, action string, post *curfewv1.Post) error {
	routing, err := r.config.RoutingKey.Value()
	if err != nil {
		return delivery.Unsent(err)
	}
	e := event{RoutingKey: routing, Action: action, Key: key}
	if action == "trigger" {
		e.Client, e.Payload = "Curfew", describe(post)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return delivery.Unsent(fmt.Errorf("encode event: %w", err))
	}
	_, err = delivery.Post(ctx, r.client, delivery.Request{URL: r.address, Body: body, Secrets: []string{routing}, Missets: []string{"routing_key"}})
	return err
}

// describe is what a person who is woken reads.
func describe(post *curfewv1.Post) *payload {
	if alerts := post.GetAlerts(); len(alerts) == 1 && !post.GetSummary() {
		return one(alerts[0])
	}
	p := &payload{Source: "curfew", Details: map[string]string{}}
	groups := card.Summary(post.GetAlerts())
	for i, g := range groups[:min(len(groups), 20)] {
		p.Details[fmt.Sprintf("%02d", i+1)] = card.Cut(g.String(), maxValue)
	}
	p.Severity = severity(curfewv1.Severity_SEVERITY_UNSPECIFIED)
	p.Summary = fmt.Sprintf("%d alerts", len(post.GetAlerts()))
	if len(groups) > 0 {
		p.Severity = severity(groups[0].Severity)
		p.Summary = card.Cut(p.Summary+", the most severe: "+groups[0].String(), maxSummary)
	}
	return p
}

func one(alert *curfewv1.Alert) *payload {
	c := card.Of(alert)
	source := card.Plain(alert.GetFinding().GetEvent().GetSource(), maxValue)
	if source == "" {
		source = "curfew"
	}
	p := &payload{
		Summary: card.Cut(c.Headline, maxSummary), Source: source, Severity: severity(c.Severity), Timestamp: stamp(alert.GetFinding().GetTime()),
		Component: card.Plain(alert.GetEntity(), maxValue), Class: card.Plain(alert.GetFinding().GetDetection(), maxValue), Details: map[string]string{},
	}
	for _, f := range c.Fields {
		p.Details[f.Name] = card.Cut(f.In(time.UTC), maxValue)
	}
	for i, change := range c.Changes {
		p.Details[fmt.Sprintf("Change %d", i+1)] = card.Cut(change.String(), maxValue)
	}
	for name, lines := range map[string][]string{"Why": c.Why, "Next": c.Steps, "History": c.History, "Reach": c.Reach} {
		if text := card.Cut(strings.Join(lines, "; "), 4*maxValue); text != "" {
			p.Details[name] = text
		}
	}
	p.Details["Status"], p.Details["Alert"] = c.Status, c.ID
	return p
}

func stamp(t *timestamppb.Timestamp) string {
	if !t.IsValid() {
		return ""
	}
	return t.AsTime().Format(time.RFC3339)
}

// severity is the word PagerDuty has for it.
func severity(s curfewv1.Severity) string {
	switch s {
	case curfewv1.Severity_SEVERITY_CRITICAL:
		return "critical"
	case curfewv1.Severity_SEVERITY_HIGH:
		return "error"
	case curfewv1.Severity_SEVERITY_MEDIUM:
		return "warning"
	case curfewv1.Severity_SEVERITY_LOW, curfewv1.Severity_SEVERITY_INFORMATIONAL:
		return "info"
	default:
		return "error" // not known is no comfort
	}
}
