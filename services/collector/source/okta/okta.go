// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package okta is one Okta org: it reads the System Log and takes event hooks, shows who holds what, and gives and takes
// group memberships, apps, administrator roles and the scopes of apps.
package okta

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxPage is the most records a page may have: https://developer.okta.com/docs/reference/system-log-query/.
	maxPage = 1000
	// defaultSince is how far back Okta itself begins where a request does not say.
	defaultSince = 7 * 24 * time.Hour
	// retention is how long Okta keeps its log; it answers a request for older with what is left, so that what is older
	// was not covered: https://developer.okta.com/docs/reference/system-log-query/#data-retention.
	retention = 90 * 24 * time.Hour
	// overlap is how much is read again where a cursor is refused. That Okta's cursors end at all is not confirmed.
	overlap = time.Hour
)

// Config is the org to read and the right to.
type Config struct {
	// URL is the org's address, such as "https://shop.okta.com".
	URL string `yaml:"url"`
	// Token is an API token; what it can is what its owner can. The Read-only administrator is enough for the log.
	Token config.Secret `yaml:"token"`
	// ClientID is the id of a service app that is used in place of a token, as Okta recommends.
	ClientID string `yaml:"client_id"`
	// PrivateKey is the service app's private RSA key, as PEM or as JWK.
	PrivateKey config.Secret `yaml:"private_key"`
	// KeyID is the key's id at Okta, where PrivateKey is PEM, which cannot say it itself.
	KeyID string `yaml:"key_id"`
	// HookSecret is what Okta's event hooks send as Authorization; none are taken without it.
	HookSecret config.Secret `yaml:"hook_secret"`
	// Since is how far back the very first read goes, such as 168h; 7 days if zero. Okta keeps 90 days.
	Since time.Duration `yaml:"since"`
	// PageSize is the most records of one read, from 1 to 1000; 1000 if zero. Lists of other things have pages of at most
	// 200.
	PageSize int `yaml:"page_size"`
}

// Source reads one org. It is safe for concurrent use.
type Source struct {
	config Config
	base   *url.URL
	client *vendorhttp.Client

	mu     sync.Mutex
	tokens map[string]*vendorhttp.Tokens // by scope
}

// New returns a source for the org that c names. It talks to nobody yet and reads no secret; an error is a mistake in c
// and says which.
func New(c Config) (*Source, error) {
	if c.URL == "" {
		return nil, errors.New("configure okta: url: missing; give the org's address, such as https://shop.okta.com")
	}
	base, err := vendorhttp.Host(c.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("configure okta: url: %w", err)
	case c.Token.IsSet() && c.ClientID != "":
		return nil, errors.New("configure okta: token: there is a client_id as well; name one of them")
	case c.ClientID != "" && !c.PrivateKey.IsSet():
		return nil, errors.New("configure okta: private_key: none is named; name the service app's with {file: PATH} or {env: NAME}")
	case c.ClientID == "" && c.PrivateKey.IsSet():
		return nil, errors.New("configure okta: client_id: missing; give the id of the service app whose private_key it is")
	case strings.ContainsAny(c.ClientID+c.KeyID, " \t\r\n"):
		return nil, errors.New("configure okta: client_id, key_id: there is white space in it")
	case !c.Token.IsSet() && c.ClientID == "":
		return nil, errors.New("configure okta: token: none is named; name one with {file: PATH} or {env: NAME}, or a service app by client_id and private_key")
	case c.PageSize < 0 || c.PageSize > maxPage:
		return nil, fmt.Errorf("configure okta: page_size: %d is not from 1 to %d", c.PageSize, maxPage)
	case c.Since < 0 || c.Since > retention:
		return nil, fmt.Errorf("configure okta: since: %v is not between 0 and the 90 days (2160h) that Okta keeps", c.Since)
	}
	if c.PageSize == 0 {
		c.PageSize = maxPage
	}
	if c.Since == 0 {
		c.Since = defaultSince
	}
	return &Source{config: c, base: base, client: vendorhttp.New("okta", judge), tokens: map[string]*vendorhttp.Tokens{}}, nil
}

// Feeds returns the one feed there is, "system_log".
func (s *Source) Feeds() []string { return []string{feed} }

// Horizon is how far behind the newest event of the lane a repeat can lie, so how far back its ids have to be
// remembered. Repeats come where Okta refuses a cursor: reading then goes on one hour before the newest event. The rest
// of the day is room for records that reached the log late, and so lie further back by their own time, and for event
// hooks: Okta promises no bound for them, takes more than an hour for a case for its support, and tries again once:
// https://developer.okta.com/docs/concepts/event-hooks/#ongoing-event-delivery.
func (s *Source) Horizon(string) time.Duration { return 24 * time.Hour }

// Poll reads the next page of the log behind cursor, "" being the start, and returns it as a batch: events and dead
// letters in Okta's order, the cursor to go on from, whether there was more at once, and, once there was not, the time
// covered. An empty page is a batch like any other. Tenant, format, acts and repeats are the caller's. The cursor of an
// earlier batch may be given again and gives the same events again. An error means that nothing was read, and holds no
// secret: the caller tries again later with the same cursor. Where Okta asks to wait, Poll waits, at most five minutes.
func (s *Source) Poll(ctx context.Context, feedName, cursor string) (*curfewv1.EventBatch, error) {
	batch, err := s.poll(ctx, feedName, cursor)
	if err != nil {
		return nil, fmt.Errorf("poll okta %s: %w", feed, err)
	}
	return batch, nil
}

func (s *Source) poll(ctx context.Context, feedName, text string) (*curfewv1.EventBatch, error) {
	if feedName != feed {
		return nil, fmt.Errorf("there is no feed %q; there is %q", feedName, feed)
	}
	at, err := s.parseCursor(text)
	if err != nil {
		return nil, err
	}
	answer, err := s.get(ctx, readsLog, at.Next)
	var refused *vendorhttp.Refused
	if errors.As(err, &refused) && at.mayRestart(refused.Status) {
		at = s.restart(at)
		answer, err = s.get(ctx, readsLog, at.Next)
	}
	if err == nil && text == "" && s.begin(answer.Asked).Covered.Before(at.Covered) {
		// Our clock is ahead, which the answer was the first to tell: what lies between would be left out.
		at = s.begin(answer.Asked)
		answer, err = s.get(ctx, readsLog, at.Next)
	}
	if err != nil {
		return nil, err
	}
	records, err := event.Split(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	next, err := s.nextLink(answer.Header)
	if err != nil {
		return nil, err
	}

	batch := &curfewv1.EventBatch{
		Source:   source,
		Feed:     feed,
		Received: timestamppb.New(s.client.Now()),
		More:     len(records) >= at.limit(),
	}
	if batch.More && at.isSame(next) {
		return nil, errSamePage
	}
	event.AppendAll(batch, records, Decode)
	at.Next = next
	at.bound(answer.Asked)
	at.see(batch, answer.Asked)
	if !batch.More {
		batch.Coverage = at.cover(answer.Asked)
	}
	batch.Cursor = at.String()
	return batch, nil
}
