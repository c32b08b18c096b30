// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package googleworkspace reads a Google Workspace's audit activities and takes them as they are pushed, shows its
// people, groups, roles and the apps they let in, and gives and takes groups, admin roles and apps' access.
package googleworkspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// defaultURL is the Admin SDK's: https://developers.google.com/workspace/admin/reports/reference/rest.
	defaultURL = "https://admin.googleapis.com"
	// defaultIdentityURL is Cloud Identity's: https://cloud.google.com/identity/docs/reference/rest.
	defaultIdentityURL = "https://cloudidentity.googleapis.com"
	// defaultSince is how far back the very first read goes.
	defaultSince = 24 * time.Hour
	// retention is how far back a query may go, 180 days, less a day so that no clock makes a query fail:
	// https://developers.google.com/workspace/admin/reports/v1/reference/activities.
	retention = 179 * 24 * time.Hour
	// maxPage is the most records a page may have:
	// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list.
	maxPage = 1000
	// quota is how many requests a second an inventory makes at most: half of the 2,400 a minute that Google grants a
	// user of a project, so that polling and provisioning have the other half:
	// https://developers.google.com/workspace/admin/directory/v1/limits.
	quota = 20
)

// defaultApplications are read where the configuration names none.
var defaultApplications = []string{"token", "login", "drive", "admin", "groups"}

// Config is the Workspace to read and the right to.
type Config struct {
	// URL is the address of the Admin SDK; Google's own if empty.
	URL string `yaml:"url"`
	// IdentityURL is the address of the Cloud Identity API; URL if empty and URL is not, else Google's own.
	IdentityURL string `yaml:"identity_url"`
	// Credentials is the JSON key of a service account that has domain-wide delegation for the scope
	// https://www.googleapis.com/auth/admin.reports.audit.readonly, and for further ones for what else is wanted of it:
	// each ability asks for its own, and one that is not delegated breaks that ability alone.
	Credentials config.Secret `yaml:"credentials"`
	// Subject is the e-mail of the administrator that the service account acts as; to read logs, one who may see reports is
	// enough.
	Subject string `yaml:"subject"`
	// Applications are the logs to read, each a feed: token, login, drive, admin and groups if empty.
	Applications []string `yaml:"applications"`
	// Since is how far back the very first read goes, such as 168h; 24 hours if zero. Google keeps 180 days.
	Since time.Duration `yaml:"since"`
	// PageSize is the most records of one read, from 1 to 1000; 1000 if zero. Lists whose pages are smaller at Google have
	// Google's.
	PageSize int `yaml:"page_size"`
	// ChannelSecret is the secret from which the tokens of push channels are made; without it nothing is pushed.
	ChannelSecret config.Secret `yaml:"channel_secret"`
	// NativeExpiry makes Google itself end a group membership too that was given for a time. It needs an edition that has
	// membership expiry, and Google tells every owner of the group by e-mail.
	NativeExpiry bool `yaml:"native_expiry"`
}

// Source reads one Workspace. It is safe for concurrent use.
type Source struct {
	config   Config
	base     *url.URL
	identity *url.URL
	client   *vendorhttp.Client
	tokens   map[string]*vendorhttp.Tokens // by scope
	pace     *rate.Limiter                 // of inventories
	// begun has the memberships, as group/holder, that were asked for and of which it is open whether they, or their end,
	// came about. It is lost with the process: an end is the second belt alone.
	begun sync.Map
}

// New returns a source for the Workspace that c names. It talks to nobody yet and reads no secret; an error is a mistake
// in c and says which.
func New(c Config) (*Source, error) {
	c.IdentityURL = cmp.Or(c.IdentityURL, c.URL, defaultIdentityURL)
	c.URL = cmp.Or(c.URL, defaultURL)
	if len(c.Applications) == 0 {
		c.Applications = defaultApplications
	}
	if c.PageSize == 0 {
		c.PageSize = maxPage
	}
	if c.Since == 0 {
		c.Since = defaultSince
	}
	base, err := vendorhttp.Host(c.URL)
	identity, identityErr := vendorhttp.Host(c.IdentityURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("configure google_workspace: url: %w", err)
	case identityErr != nil:
		return nil, fmt.Errorf("configure google_workspace: identity_url: %w", identityErr)
	case !c.Credentials.IsSet():
		return nil, errors.New("configure google_workspace: credentials: none are named; name the service account's key with {file: PATH} or {env: NAME}")
	case !strings.Contains(c.Subject, "@"):
		return nil, errors.New("configure google_workspace: subject: no e-mail; name the administrator that the service account acts as")
	case c.PageSize < 0 || c.PageSize > maxPage:
		return nil, fmt.Errorf("configure google_workspace: page_size: %d is not from 1 to %d", c.PageSize, maxPage)
	case c.Since < 0 || c.Since > retention:
		return nil, fmt.Errorf("configure google_workspace: since: %v is not between 0 and the 179 days (4296h) that Google can be asked for", c.Since)
	}
	for i, application := range c.Applications {
		if strings.Trim(application, "abcdefghijklmnopqrstuvwxyz_") != "" || application == "" {
			return nil, fmt.Errorf("configure google_workspace: applications: %q is no application; they are named such as token or user_accounts", application)
		}
		if slices.Contains(c.Applications[:i], application) {
			return nil, fmt.Errorf("configure google_workspace: applications: %s is there twice", application)
		}
	}
	c.Applications = slices.Clone(c.Applications)
	s := &Source{
		config:   c,
		base:     base,
		identity: identity,
		client:   vendorhttp.New("google", judge),
		tokens:   map[string]*vendorhttp.Tokens{},
		pace:     rate.NewLimiter(quota, quota),
	}
	for scope := range rights {
		s.tokens[scope] = vendorhttp.NewTokens(func(ctx context.Context) (*oauth2.Token, error) { return s.fetchToken(ctx, scope) })
	}
	return s, nil
}

// Feeds returns the applications that are read.
func (s *Source) Feeds() []string { return slices.Clone(s.config.Applications) }

// Poll reads the next page of an application's log behind cursor, "" being the start, and returns it as a batch: events
// and dead letters in Google's order, newest first, the cursor to go on from, whether there was more at once, and, once
// there was not, the time covered, which ends an overlap before now, since later activities may still reach the log. An
// empty page is a batch like any other. Every query begins an overlap before the last one's end, and once a day a sweep
// reads three days again, so repeats are ordinary; they, the tenant, the format and the acts are the caller's. The cursor
// of an earlier batch may be given again. An error means that nothing was read, and holds no secret: the caller tries
// again later with the same cursor. Where Google asks to wait, Poll waits, some minutes at most.
func (s *Source) Poll(ctx context.Context, feed, cursor string) (*curfewv1.EventBatch, error) {
	if !slices.Contains(s.config.Applications, feed) {
		return nil, fmt.Errorf("poll google_workspace: there is no feed %q; there are %s", event.Clean(feed), strings.Join(s.config.Applications, ", "))
	}
	batch, err := s.poll(ctx, feed, cursor)
	if err != nil {
		return nil, fmt.Errorf("poll google_workspace %s: %w", feed, err)
	}
	return batch, nil
}

func (s *Source) poll(ctx context.Context, feed, text string) (*curfewv1.EventBatch, error) {
	ahead := s.ahead()
	at, page, err := s.page(ctx, feed, text)
	if moved := s.ahead() - ahead; moved.Abs() > jitter {
		// Our clock is not what it was taken for, as the answer shows: what was asked by it is thrown away.
		at, page, err = s.page(ctx, feed, text)
	}
	if err != nil {
		return nil, err
	}
	if page.NextPageToken != "" && page.NextPageToken == at.PageToken {
		return nil, errors.New("read page: the next page is the same one")
	}
	batch := &curfewv1.EventBatch{Source: source, Feed: feed, Received: timestamppb.New(s.client.Now())}
	for _, record := range page.Items {
		event.Append(batch, record, 0, Decode)
	}
	if page.NextPageToken != "" {
		at.PageToken, batch.More = page.NextPageToken, true
	} else {
		batch.Coverage, batch.More = at.end(overlap(feed))
	}
	batch.Cursor = at.String()
	return batch, nil
}

// ahead is how far our clock was ahead of Google's at its last answer.
func (s *Source) ahead() time.Duration { return s.client.Now().Sub(s.client.Time()) }

// page reads the page that is next behind a cursor: of its query, or the first of a new one.
func (s *Source) page(ctx context.Context, feed, text string) (cursor, *activities, error) {
	at, err := s.parseCursor(text)
	if err != nil {
		return cursor{}, nil, err
	}
	if at.PageToken == "" {
		at.begin(s.client.Time(), overlap(feed))
	}
	page, asked, err := s.list(ctx, feed, at)
	var refused *vendorhttp.Refused
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && at.PageToken != "" {
		// A page token is good for its query alone, and for how long Google does not say: the query is made again.
		at.PageToken, at.Asked = "", s.client.Time().UTC().Truncate(time.Millisecond)
		page, asked, err = s.list(ctx, feed, at)
	}
	if err != nil {
		return cursor{}, nil, err
	}
	at.asked(asked)
	return at, page, nil
}
