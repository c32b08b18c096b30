// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package github is all there is about GitHub: an organisation's or enterprise's audit log and webhooks as events, who and
// what has access, and access given and taken.
package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// defaultURL is GitHub's own API: https://docs.github.com/en/rest.
	defaultURL = "https://api.github.com"
	// apiVersion is the version of the API that is spoken: https://docs.github.com/en/rest/about-the-rest-api/api-versions.
	apiVersion = "2022-11-28"
	// maxPage is the most records a page may have; GitHub gives as many where more are asked for.
	maxPage = 100
	// defaultSince is how far back the very first read goes: as far as both kinds of events are kept.
	defaultSince = 7 * 24 * time.Hour
	// queriesPerHour is how many queries of the audit log GitHub allows, of which so many may come at once:
	// https://github.blog/changelog/2023-08-01-new-rate-limit-for-the-audit-log-api-endpoints-is-active.
	queriesPerHour = 1750
	queriesAtOnce  = 500
)

// Config is the organisation to read and the right to.
type Config struct {
	// URL is the address of the API; GitHub's own if empty. With data residency it is "https://api.NAME.ghe.com", on a
	// server of one's own "https://HOST/api/v3".
	URL string `yaml:"url"`
	// Org is the organisation's name. It is needed for everything but the audit log of an enterprise.
	Org string `yaml:"org"`
	// Enterprise is the enterprise's short name, whose audit log is then read instead of the organisation's.
	Enterprise string `yaml:"enterprise"`
	// Token is a personal access token of an owner: a classic one with the scopes read:audit_log and, for inventory and
	// provisioning, admin:org and repo; or a fine-grained one of the organisation. A GitHub App needs none.
	Token config.Secret `yaml:"token"`
	// AppID is the id or client id of a GitHub App that is installed on the organisation.
	AppID string `yaml:"app_id"`
	// InstallationID is the id of that installation: the number at the end of its settings' address.
	InstallationID string `yaml:"installation_id"`
	// PrivateKey is a private key of the app, as GitHub hands it out (PEM).
	PrivateKey config.Secret `yaml:"private_key"`
	// WebhookSecret is the secret of the organisation's webhook. Without it webhooks are not taken.
	WebhookSecret config.Secret `yaml:"webhook_secret"`
	// AuditLog is whether the audit log is read; it is unless this is false. It needs GitHub Enterprise Cloud: of other
	// organisations webhooks alone tell.
	AuditLog *bool `yaml:"audit_log"`
	// Since is how far back the very first read goes, such as 720h; 7 days if zero. GitHub keeps 180 days, and of Git
	// itself 7.
	Since time.Duration `yaml:"since"`
	// PageSize is the most records of one read, from 1 to 100; 100 if zero.
	PageSize int `yaml:"page_size"`
}

// Source reads and changes one organisation. It is safe for concurrent use.
type Source struct {
	config Config
	base   *url.URL
	client *vendorhttp.Client
	// tokens are those of the installation; nil where a personal token is used.
	tokens *vendorhttp.Tokens
	// pace is that of queries of the audit log.
	pace *rate.Limiter
}

// New returns a source for what c names. It talks to nobody yet and reads no secret; an error is a mistake in c and says
// which.
func New(c Config) (*Source, error) {
	c.URL = strings.TrimSuffix(cmp.Or(c.URL, defaultURL), "/")
	c.PageSize = cmp.Or(c.PageSize, maxPage)
	c.Since = cmp.Or(c.Since, defaultSince)
	base, err := vendorhttp.Address(c.URL)
	isApp := c.AppID != "" || c.InstallationID != "" || c.PrivateKey.IsSet()
	switch {
	case err != nil:
		return nil, fmt.Errorf("configure github: url: %w", err)
	case base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("configure github: url: holds more than the API's address; leave out what follows it")
	case c.Org == "" && c.Enterprise == "":
		return nil, errors.New("configure github: org: missing; give the organisation's name, or an enterprise's")
	case !isName(c.Org) || !isName(c.Enterprise):
		return nil, errors.New("configure github: org and enterprise are names as in https://github.com/NAME: letters, digits and hyphens")
	case c.Token.IsSet() && isApp:
		return nil, errors.New("configure github: token: there is a GitHub App as well; name one of the two")
	case isApp && (c.AppID == "" || c.InstallationID == "" || !c.PrivateKey.IsSet()):
		return nil, errors.New("configure github: a GitHub App needs all of app_id, installation_id and private_key")
	case !isApp && !c.Token.IsSet():
		return nil, errors.New("configure github: token: none is named; name one with {file: PATH} or {env: NAME}, or a GitHub App with app_id, installation_id and private_key")
	case strings.Trim(c.InstallationID, "0123456789") != "":
		return nil, errors.New("configure github: installation_id: not a number")
	case c.PageSize < 1 || c.PageSize > maxPage:
		return nil, fmt.Errorf("configure github: page_size: %d is not from 1 to %d", c.PageSize, maxPage)
	case c.Since < 0 || c.Since > retention:
		return nil, fmt.Errorf("configure github: since: %v is not between 0 and the 179 days (4296h) that GitHub can be asked for", c.Since)
	}
	s := &Source{
		config: c, base: base, client: vendorhttp.New("github", judge),
		pace: rate.NewLimiter(rate.Every(time.Hour/(queriesPerHour-queriesAtOnce)), queriesAtOnce),
	}
	s.client.Failed = isGraphLimited
	s.client.Header = http.Header{"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {apiVersion}}
	if isApp {
		s.tokens = vendorhttp.NewTokens(s.fetchToken)
	}
	return s, nil
}

// isName is whether name can stand in a path; "" can too.
func isName(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

func (s *Source) readsAuditLog() bool { return s.config.AuditLog == nil || *s.config.AuditLog }

// Feeds returns the one log that there is to poll, "audit_log", or none where the configuration says so.
func (s *Source) Feeds() []string {
	if !s.readsAuditLog() {
		return nil
	}
	return []string{feed}
}

// Horizon is how far behind the newest event of the lane a repeat can lie. The query that looks for what was late begins
// an overlap before the last such query, and no query between them reads beyond its own beginning.
func (s *Source) Horizon(string) time.Duration { return overlap + sweepEvery + margin + time.Minute }

// Poll reads the next page of the audit log behind cursor, "" being the start, and returns it as a batch: events and dead
// letters, oldest first, the cursor to go on from, whether there was more at once, and, once there was not, the time
// covered, which ends some hours before now, since later events may still reach the log. An empty page is a batch like
// any other. Queries overlap, so repeats are ordinary; they, the tenant, the format and the acts are the caller's. The
// cursor of an earlier batch may be given again. An error means that nothing was read, and holds no secret: the caller
// tries again later with the same cursor. Where GitHub asks to wait, Poll waits, some minutes at most.
func (s *Source) Poll(ctx context.Context, feedName, cursor string) (*curfewv1.EventBatch, error) {
	if !slices.Contains(s.Feeds(), feedName) {
		return nil, fmt.Errorf("poll github: there is no feed %q; there are %q", event.Clean(feedName), s.Feeds())
	}
	batch, err := s.poll(ctx, cursor)
	if err != nil {
		return nil, fmt.Errorf("poll github %s: %w", feed, err)
	}
	return batch, nil
}

func (s *Source) poll(ctx context.Context, text string) (*curfewv1.EventBatch, error) {
	at, err := s.parseCursor(text)
	if err != nil {
		return nil, err
	}
	begun := !at.inProgress()
	if begun {
		at.begin(s.client.Time())
	}
	answer, err := s.getPage(ctx, at)
	var refused *vendorhttp.Refused
	if errors.As(err, &refused) && at.Next != "" && slices.Contains(refusesCursor, refused.Status) {
		at.restart()
		answer, err = s.getPage(ctx, at)
	}
	if err == nil && begun && answer.Asked.Before(at.Asked.Add(-slack)) {
		// Our clock is ahead, which shows with the first answer alone: where the query begins was wrong as well.
		if at, err = s.parseCursor(text); err != nil {
			return nil, err
		}
		at.begin(s.client.Time())
		answer, err = s.getPage(ctx, at)
	}
	if err != nil {
		return nil, s.adviseLog(err)
	}
	at.limit(answer.Asked)
	at.forget(answer.Asked)
	return s.take(at, answer)
}

// take makes a batch of a page.
func (s *Source) take(at cursor, answer *vendorhttp.Answer) (*curfewv1.EventBatch, error) {
	records, err := split(answer.Body)
	if err != nil {
		return nil, err
	}
	next, err := s.nextPage(answer.Header)
	switch {
	case err != nil:
		return nil, err
	case next != "" && next == at.Next:
		return nil, errors.New("read page: the next page is the same one")
	}
	if at.Blank++; len(records) > 0 {
		at.Blank = 0
	}
	if at.Blank > maxBlank {
		return nil, fmt.Errorf("read page: %d in a row hold nothing and lead on", maxBlank)
	}
	batch := &curfewv1.EventBatch{Source: source, Feed: feed, Received: timestamppb.New(s.client.Now())}
	beyond := false
	for _, record := range records {
		event.Append(batch, record, 0, Decode)
		if beyond = at.isBeyond(batch); beyond {
			// It and what is behind it belong to the next query: this one is about the time before it was begun.
			batch.Events, batch.Records = batch.Events[:len(batch.Events)-1], batch.Records-1
			break
		}
	}
	at.see(batch)
	switch {
	case next != "" && !beyond:
		at.Next, batch.More = next, true
	case !beyond && len(records) >= s.config.PageSize && answer.Header.Get("Link") == "":
		if err := at.goOn(); err != nil {
			return nil, err
		}
		batch.More = true
	default:
		batch.Coverage, batch.More = at.end(s.client.Time(), beyond)
	}
	batch.Cursor = at.String()
	return batch, nil
}

// split takes a page apart. What is not a list is an error: the page will be asked for again.
func split(body []byte) ([]json.RawMessage, error) {
	var records []json.RawMessage
	if err := json.Unmarshal(body, &records); err != nil {
		// The parser's own words may hold a byte of the page, and never more.
		return nil, fmt.Errorf("read page: not a JSON list of records: %w", err)
	}
	if records == nil {
		return nil, errors.New("read page: not a JSON list of records: null")
	}
	return records, nil
}
