// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package splunk hands alerts to Splunk's HTTP Event Collector, or to any SIEM that takes JSON, as OCSF Detection Findings.
package splunk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/ocsf"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// collector is where events are taken:
	// https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector.
	collector = "/services/collector/event"
	// formatHEC and formatOCSF are the values of Config.Format.
	formatHEC, formatOCSF = "hec", "ocsf"
	// maxFindings bounds the findings of one body: the collector takes 1 MB by Splunk's default, and one is 20 KB at the
	// most: https://docs.splunk.com/Documentation/Splunk/latest/Admin/Limitsconf, max_content_length.
	maxBody = 900 << 10
)

// Config is where to and by which right.
type Config struct {
	// URL is the collector's host, such as "https://splunk.example.com:8088"; with format ocsf the whole address.
	URL string `yaml:"url"`
	// Token is the collector's token; with format ocsf it is sent as a Bearer token.
	Token config.Secret `yaml:"token"`
	// Format is "hec", the default, or "ocsf": a JSON array of findings, for a SIEM that is not Splunk.
	Format string `yaml:"format"`
	// Index is where Splunk puts them; "" = where the token says.
	Index string `yaml:"index"`
	// Sourcetype is what Splunk reads them by; "ocsf:detection_finding" if empty.
	Sourcetype string `yaml:"sourcetype"`
}

// Receiver hands findings over. It is safe for concurrent use. Splunk knows no repeats: each finding's metadata.uid tells
// them.
type Receiver struct {
	// Now is the time.
	Now func() time.Time

	config  Config
	address string
	client  *http.Client
}

// New returns a receiver for c.URL. It reads no secret yet; an error is a mistake in c and says which.
func New(c Config) (*Receiver, error) {
	if c.Format == "" {
		c.Format = formatHEC
	}
	if c.Sourcetype == "" {
		c.Sourcetype = "ocsf:detection_finding"
	}
	read := vendorhttp.Host
	if c.Format == formatOCSF {
		read = vendorhttp.Address
	}
	switch {
	case c.URL == "":
		return nil, errors.New("configure splunk: url: missing; give the collector's address, such as https://splunk.example.com:8088")
	case c.Format != formatHEC && c.Format != formatOCSF:
		return nil, fmt.Errorf("configure splunk: format: %q is neither %q nor %q", c.Format, formatHEC, formatOCSF)
	case !c.Token.IsSet():
		return nil, errors.New("configure splunk: token: none is named; name one with {file: PATH} or {env: NAME}")
	}
	u, err := read(strings.TrimSuffix(c.URL, collector))
	if err != nil {
		return nil, fmt.Errorf("configure splunk: url: %w", err)
	}
	return &Receiver{Now: time.Now, config: c, address: address(u, c.Format), client: delivery.Client()}, nil
}

func address(u *url.URL, format string) string {
	if format == formatOCSF {
		return u.String()
	}
	return u.JoinPath(collector).String()
}

// Post hands over a finding for each alert, also of a summary. The ref is the post's id.
func (r *Receiver) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	if err := r.findings(ctx, post, post.GetRepeated()); err != nil {
		return "", fmt.Errorf("post to splunk: %w", err)
	}
	return post.GetId(), nil
}

// Edit hands over the alerts as they stand now: findings that are updated or closed.
func (r *Receiver) Edit(ctx context.Context, _ string, post *curfewv1.Post) error {
	if err := r.findings(ctx, post, true); err != nil {
		return fmt.Errorf("post change to splunk: %w", err)
	}
	return nil
}

// Reply hands over what is said as an event that names ref and the reply's id.
func (r *Receiver) Reply(ctx context.Context, reply *curfewv1.Reply) error {
	now := r.Now()
	if err := r.send(ctx, []ocsf.Object{ocsf.Note(reply.GetId(), reply.GetRef(), reply.GetLines(), now)}); err != nil {
		return fmt.Errorf("post reply to splunk: %w", err)
	}
	return nil
}

func (r *Receiver) findings(ctx context.Context, post *curfewv1.Post, before bool) error {
	list := make([]ocsf.Object, 0, len(post.GetAlerts()))
	for _, alert := range post.GetAlerts() {
		list = append(list, ocsf.Finding(alert, before))
	}
	return r.send(ctx, list)
}

// send hands events over in as many bodies as they need. Once one of them arrived, the rest is no longer surely not there.
func (r *Receiver) send(ctx context.Context, list []ocsf.Object) error {
	token, err := r.config.Token.Value()
	if err != nil {
		return delivery.Unsent(err)
	}
	bodies, err := r.bodies(list)
	if err != nil {
		return delivery.Unsent(err)
	}
	scheme := "Splunk "
	if r.config.Format == formatOCSF {
		scheme = "Bearer "
	}
	for i, body := range bodies {
		_, err := delivery.Post(ctx, r.client, delivery.Request{
			URL: r.address, Header: http.Header{"Authorization": {scheme + token}}, Body: body, Secrets: []string{token}, Refuses: refuses,
			Missets: []string{"Incorrect index", "Data channel", "Invalid data channel", "ACK is disabled"},
		})
		switch {
		case err != nil && i > 0:
			// Not wrapped: it may be a Refused, and a part arrived.
			return fmt.Errorf("%d of %d parts arrived, then: %s", i, len(bodies), err.Error())
		case err != nil:
			return err
		}
	}
	return nil
}

// bodies is the events as the other side wants them, parted where one body would be too large.
func (r *Receiver) bodies(list []ocsf.Object) ([][]byte, error) {
	var bodies [][]byte
	var parts [][]byte
	size := 0
	flush := func() {
		if len(parts) == 0 {
			return
		}
		body := bytes.Join(parts, []byte("\n"))
		if r.config.Format == formatOCSF {
			body = append(append([]byte("["), bytes.Join(parts, []byte(","))...), ']')
		}
		bodies, parts, size = append(bodies, body), nil, 0
	}
	for _, o := range list {
		part, err := json.Marshal(r.wrap(o))
		if err != nil {
			return nil, fmt.Errorf("encode finding: %w", err)
		}
		if size+len(part) > maxBody {
			flush()
		}
		parts, size = append(parts, part), size+len(part)+1
	}
	flush()
	return bodies, nil
}

// wrap is an event in the collector's envelope.
func (r *Receiver) wrap(o ocsf.Object) any {
	if r.config.Format == formatOCSF {
		return o
	}
	event := map[string]any{"source": "curfew", "sourcetype": r.config.Sourcetype, "event": o}
	if millis, ok := o["time"].(int64); ok {
		event["time"] = float64(millis) / 1000
	}
	if r.config.Index != "" {
		event["index"] = r.config.Index
	}
	return event
}

// refuses is whether Splunk says that it took nothing: it is busy, or its queue is full:
// https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector.
func refuses(status int, answer []byte) bool {
	var said struct {
		Code int `json:"code"`
	}
	return status == http.StatusServiceUnavailable && json.Unmarshal(answer, &said) == nil && said.Code == 9
}
