// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package webhook hands alerts to any address as signed CloudEvents.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The types of events.
const (
	typeAlert  = "dev.curfew.alert.v1"
	typeReply  = "dev.curfew.reply.v1"
	typeNotice = "dev.curfew.notice.v1"
)

// Config is where to and by what it is known to come from here.
type Config struct {
	// URL is where to: https, or on this machine http.
	URL string `yaml:"url"`
	// Secret signs each event, as Standard Webhooks says: "whsec_" and 24 to 64 bytes in base64.
	Secret config.Secret `yaml:"secret"`
	// Authorization is sent as it is as the header of that name, where a gateway wants one; none is sent if it is not set.
	Authorization config.Secret `yaml:"authorization"`
}

// Receiver posts events. It is safe for concurrent use.
type Receiver struct {
	// Now is the time.
	Now func() time.Time

	config Config
	client *http.Client
}

// New returns a receiver that posts to c.URL. It reads no secret yet; an error is a mistake in c and says which.
func New(c Config) (*Receiver, error) {
	_, err := vendorhttp.Address(c.URL)
	switch {
	case c.URL == "":
		return nil, errors.New("configure webhook: url: missing; give the address that takes the events")
	case err != nil:
		return nil, fmt.Errorf("configure webhook: url: %w", err)
	case !c.Secret.IsSet():
		return nil, errors.New("configure webhook: secret: none is named; name one with {file: PATH} or {env: NAME}, so that others can tell its events from forged ones")
	}
	return &Receiver{Now: time.Now, config: c, client: delivery.Client()}, nil
}

// Post posts one event of type dev.curfew.alert.v1 whose id and webhook-id are the post's, so that a repeat can be told.
// The post's id is the ref too.
func (r *Receiver) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	if err := r.send(ctx, typeAlert, post.GetId(), show(post.GetId(), post)); err != nil {
		return "", fmt.Errorf("post to webhook: %w", err)
	}
	return post.GetId(), nil
}

// Edit posts the alerts as they stand now, with the ref of the post that showed them first. The event's id tells the
// versions of the alerts.
func (r *Receiver) Edit(ctx context.Context, ref string, post *curfewv1.Post) error {
	id := ref + "/" + versions(post)
	if err := r.send(ctx, typeAlert, id, show(ref, post)); err != nil {
		return fmt.Errorf("post change to webhook: %w", err)
	}
	return nil
}

// Reply posts one event of type dev.curfew.reply.v1 with the reply's id.
func (r *Receiver) Reply(ctx context.Context, reply *curfewv1.Reply) error {
	if err := r.send(ctx, typeReply, reply.GetId(), data{Ref: reply.GetRef(), Lines: lines(reply.GetLines()), Loud: reply.GetLoud()}); err != nil {
		return fmt.Errorf("post reply to webhook: %w", err)
	}
	return nil
}

// Notice posts one event of type dev.curfew.notice.v1 with the notice's id.
func (r *Receiver) Notice(ctx context.Context, notice *curfewv1.Notice) error {
	if err := r.send(ctx, typeNotice, notice.GetId(), tell(notice)); err != nil {
		return fmt.Errorf("post notice to webhook: %w", err)
	}
	return nil
}

// envelope is a CloudEvent in the structured mode of HTTP:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#32-structured-content-mode.
type envelope struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Time        string `json:"time"`
	ContentType string `json:"datacontenttype"`
	Data        data   `json:"data"`
}

// send posts one event, signed:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
func (r *Receiver) send(ctx context.Context, kind, id string, d data) error {
	// The signature parts id and time by a full stop.
	id = strings.ReplaceAll(id, ".", "-")
	now := r.Now().UTC()
	body, err := json.Marshal(envelope{
		SpecVersion: "1.0", ID: id, Source: "/curfew", Type: kind, Time: now.Format(time.RFC3339), ContentType: "application/json", Data: d,
	})
	if err != nil {
		return delivery.Unsent(fmt.Errorf("encode event: %w", err))
	}
	secret, err := r.config.Secret.Value()
	if err != nil {
		return delivery.Unsent(err)
	}
	signature, err := sign(secret, id, now, body)
	if err != nil {
		return delivery.Unsent(err)
	}
	header := http.Header{
		"Content-Type": {"application/cloudevents+json; charset=utf-8"},
		"Webhook-Id":   {id}, "Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)}, "Webhook-Signature": {signature},
	}
	secrets := []string{secret, signature}
	if r.config.Authorization.IsSet() {
		value, err := r.config.Authorization.Value()
		if err != nil {
			return delivery.Unsent(err)
		}
		header.Set("Authorization", value)
		secrets = append(secrets, value)
	}
	_, err = delivery.Post(ctx, r.client, delivery.Request{URL: r.config.URL, Header: header, Body: body, Secrets: secrets})
	return err
}

// sign is a signature of version 1.
func sign(secret, id string, now time.Time, body []byte) (string, error) {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return "", errors.New("sign event: the secret is not whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, now.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}
