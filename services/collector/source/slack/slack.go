// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package slack is all there is about Slack: the audit log of an Enterprise organisation, the app and access logs of a
// workspace on another plan, and the Events API of both.
package slack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// auditURL is the Audit Logs API's, webURL the Web API's: https://docs.slack.dev/reference/audit-logs-api/ and
	// https://docs.slack.dev/apis/web-api/.
	auditURL = "https://api.slack.com"
	webURL   = "https://slack.com"
	// enterprise and other are the plans.
	enterprise = "enterprise"
	other      = "other"
	// defaultSince is how far back the very first read goes.
	defaultSince = 7 * 24 * time.Hour
	// maxPage is the most records of a page of the audit log, "optimistically":
	// https://docs.slack.dev/reference/audit-logs-api/methods-actions-reference.
	maxPage = 9999
	// maxLogPage is the most records of a page of team.accessLogs (over_pagination_limit); that it is that of
	// team.integrationLogs too is not confirmed.
	maxLogPage = 1000
)

// Config is the organisation or workspace to read and the right to.
type Config struct {
	// URL is the address of Slack's APIs; Slack's own if empty.
	URL string `yaml:"url"`
	// Plan is "enterprise" for an organisation on an Enterprise plan, whose audit log is read, and "other" for a workspace
	// on any other, where team.integrationLogs and, on paid plans, team.accessLogs are.
	Plan string `yaml:"plan"`
	// Token is a user token (xoxp-). On an Enterprise plan of the organisation's owner, the app installed on the
	// organisation, with the scope auditlogs:read; on others of an administrator, with the scope admin.
	Token config.Secret `yaml:"token"`
	// Feeds are the logs to read: those of the plan if empty. A free workspace has integration_logs alone.
	Feeds []string `yaml:"feeds"`
	// Since is how far back the very first read goes, such as 720h; 7 days if zero. Slack keeps its audit log since March
	// 2018.
	Since time.Duration `yaml:"since"`
	// SigningSecret is the app's signing secret, by which the deliveries of the Events API are believed; none are taken
	// where it is not named.
	SigningSecret config.Secret `yaml:"signing_secret"`
	// Channels are the channels whose members are listed: "private" if empty, for those private ones that the token's owner
	// is in, "all" for the public ones too, or "none".
	Channels string `yaml:"channels"`
	// PageSize is the most records of one read: from 1 to 9999 on an Enterprise plan and to 1000 on others, which is what
	// it is if zero.
	PageSize int `yaml:"page_size"`
}

// Source reads one organisation or workspace. It is safe for concurrent use.
type Source struct {
	config Config
	// auditLog is the address of the Audit Logs API, base that of the Web API.
	auditLog, base *url.URL
	client         *vendorhttp.Client
	// pace waits until a method of an inventory may be asked.
	pace func(ctx context.Context, method string) error
	// writing is held for a user group while its whole list is written.
	writing keyed
	// owner is whose token it is.
	owner ownership
}

// New returns a source for what c names. It talks to nobody yet and reads no secret; an error is a mistake in c and says
// which.
func New(c Config) (*Source, error) {
	feeds, most := []string{integrationLogs, accessLogs}, maxLogPage
	if c.Plan == enterprise {
		feeds, most = []string{audit}, maxPage
	}
	if c.Since == 0 {
		c.Since = defaultSince
	}
	if c.PageSize == 0 {
		c.PageSize = most
	}
	if c.Channels == "" {
		c.Channels = "private"
	}
	addresses := [2]*url.URL{}
	for i, own := range []string{auditURL, webURL} {
		if c.URL != "" {
			own = c.URL
		}
		var err error
		if addresses[i], err = vendorhttp.Host(own); err != nil {
			return nil, fmt.Errorf("configure slack: url: %w", err)
		}
	}
	switch {
	case c.Plan != enterprise && c.Plan != other:
		return nil, fmt.Errorf("configure slack: plan: %q is none; it is enterprise where the organisation is on an Enterprise plan, else other", c.Plan)
	case !c.Token.IsSet():
		return nil, errors.New("configure slack: token: none is named; name one with {file: PATH} or {env: NAME}")
	case c.PageSize < 0 || c.PageSize > most:
		return nil, fmt.Errorf("configure slack: page_size: %d is not from 1 to %d", c.PageSize, most)
	case !slices.Contains([]string{"private", "all", "none"}, c.Channels):
		return nil, fmt.Errorf("configure slack: channels: %q is none of private, all and none", c.Channels)
	case c.Since < 0:
		return nil, fmt.Errorf("configure slack: since: %v is less than nothing", c.Since)
	}
	for i, feed := range c.Feeds {
		if !slices.Contains(feeds, feed) {
			return nil, fmt.Errorf("configure slack: feeds: on plan %s there is no %q; there are %s", c.Plan, event.Clean(feed), strings.Join(feeds, ", "))
		}
		if slices.Contains(c.Feeds[:i], feed) {
			return nil, fmt.Errorf("configure slack: feeds: %s is there twice", feed)
		}
	}
	c.Feeds = slices.Clone(c.Feeds)
	if len(c.Feeds) == 0 {
		c.Feeds = feeds
	}
	client := vendorhttp.New("slack", judge)
	client.Failed = failed
	return &Source{config: c, auditLog: addresses[0], base: addresses[1], client: client, pace: pacer()}, nil
}

// Feeds returns the logs that are read: "audit", or "integration_logs" and "access_logs".
func (s *Source) Feeds() []string { return slices.Clone(s.config.Feeds) }

// Horizon is how far behind the newest event of the lane a repeat can lie.
func (s *Source) Horizon(feed string) time.Duration {
	if feed == audit {
		// A query is at most that long, and is read from its beginning again where Slack refuses its cursor; and a sweep
		// begins no further before what was read last, since that is no more than sweepEvery behind the sweep before it.
		return maxWindow + time.Minute
	}
	return logs[feed].overlap + time.Hour
}

// Poll reads the next page of a log behind cursor, "" being the start, and returns it as a batch: events and dead letters
// in Slack's order, newest first, the cursor to go on from, whether there was more at once, and, once there was not, the
// time covered, which ends ten minutes before now, since later records may still reach the log. An empty page is a batch
// like any other. Every read begins before the last one's end, so repeats are ordinary; they, the tenant, the format and
// the acts are the caller's. The cursor of an earlier batch may be given again. An error means that nothing was read, and
// holds no secret: the caller tries again later with the same cursor. Where Slack asks to wait, Poll waits, some minutes
// at most; access_logs it begins to read every five minutes, and waits for that too.
func (s *Source) Poll(ctx context.Context, feed, cursor string) (*curfewv1.EventBatch, error) {
	if !slices.Contains(s.config.Feeds, feed) {
		return nil, fmt.Errorf("poll slack: there is no feed %q; there are %s", event.Clean(feed), strings.Join(s.config.Feeds, ", "))
	}
	poll := s.pollAudit
	if feed != audit {
		poll = s.pollLog
	}
	batch, err := poll(ctx, feed, cursor)
	if err != nil {
		return nil, fmt.Errorf("poll slack %s: %w", feed, err)
	}
	return batch, nil
}
