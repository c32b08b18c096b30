// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package m365 reads a Microsoft 365 tenant: the content blobs of the Management Activity API, Entra ID's audit and sign-in
// logs in Microsoft Graph, and who is there and holds what. It gives and takes places in groups, directory roles and apps'
// permissions.
package m365

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/time/rate"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// The hosts of the worldwide cloud; the national clouds have others:
	// https://learn.microsoft.com/graph/deployments and
	// https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference.
	defaultLoginURL    = "https://login.microsoftonline.com"
	defaultActivityURL = "https://manage.office.com"
	defaultGraphURL    = "https://graph.microsoft.com"
	// defaultSince is how far back the very first read goes.
	defaultSince = 24 * time.Hour
	// retention is how far back both APIs can be asked: blobs are listed for 7 days, and a tenant without Entra ID P1 keeps
	// its logs as long. Less an hour, so that no clock makes a request fail.
	retention = 7*24*time.Hour - time.Hour
	// maxPage is the most entries a page of Graph's logs may have; that 999 holds for both of them is not confirmed.
	maxPage = 999
)

// contentTypes are the feeds of the Management Activity API.
var contentTypes = map[string]string{
	feedEntra: "Audit.AzureActiveDirectory", feedExchange: "Audit.Exchange", feedSharePoint: "Audit.SharePoint",
	feedGeneral: "Audit.General", feedDLP: "DLP.All",
}

// graphLogs are the feeds of Graph.
var graphLogs = map[string]graphLog{
	feedDirectory: {"/v1.0/auditLogs/directoryAudits", "activityDateTime"},
	feedSignIns:   {"/v1.0/auditLogs/signIns", "createdDateTime"},
}

// defaultFeeds are read where the configuration names none: all that need neither another permission nor another plan.
var defaultFeeds = []string{feedEntra, feedExchange, feedSharePoint, feedGeneral, feedDirectory}

// Config is the tenant to read and the right to.
type Config struct {
	// TenantID is the tenant's id, a GUID: Entra ID calls it directory id.
	TenantID string `yaml:"tenant_id"`
	// ClientID is the client id of an app registration in that tenant.
	ClientID string `yaml:"client_id"`
	// ClientSecret is a client secret of it. It is read anew whenever a token is fetched.
	ClientSecret config.Secret `yaml:"client_secret"`
	// PublisherID is the tenant id of whoever runs Curfew for others, by which Microsoft shares out its quota; TenantID if
	// empty.
	PublisherID string `yaml:"publisher_id"`
	// Feeds are the logs to read: audit_azure_active_directory, audit_exchange, audit_sharepoint, audit_general, dlp_all,
	// directory_audits and sign_ins. All but dlp_all and sign_ins if empty.
	Feeds []string `yaml:"feeds"`
	// LoginURL, ActivityURL and GraphURL are the hosts; those of the worldwide cloud if empty.
	LoginURL string `yaml:"login_url"`
	// ActivityURL is the host of the Management Activity API.
	ActivityURL string `yaml:"activity_url"`
	// GraphURL is the host of Microsoft Graph.
	GraphURL string `yaml:"graph_url"`
	// Since is how far back the very first read goes, such as 48h; 24 hours if zero, at most 167h.
	Since time.Duration `yaml:"since"`
	// PageSize is how many records are enough for one read, from 1 to 999; 999 if zero.
	PageSize int `yaml:"page_size"`
}

// Source reads one tenant. It is safe for concurrent use.
type Source struct {
	config          Config
	login           *url.URL
	activity, graph endpoint
	client          *vendorhttp.Client
	// reports keeps to 5 requests in 10 seconds of an app in a tenant to Graph's logs:
	// https://learn.microsoft.com/graph/throttling-limits#identity-and-access-reports-service-limits.
	reports *rate.Limiter
	// started is when a subscription was asked for, content type by content type.
	started *starts
	// changing makes changes of the same thing wait for each other.
	changing *locks
}

// New returns a source for the tenant that c names. It talks to nobody yet and reads no secret; an error is a mistake in c
// and says which.
func New(c Config) (*Source, error) {
	c.LoginURL, c.ActivityURL = cmp.Or(c.LoginURL, defaultLoginURL), cmp.Or(c.ActivityURL, defaultActivityURL)
	c.GraphURL, c.PublisherID = cmp.Or(c.GraphURL, defaultGraphURL), cmp.Or(c.PublisherID, c.TenantID)
	c.Since, c.PageSize = cmp.Or(c.Since, defaultSince), cmp.Or(c.PageSize, maxPage)
	if len(c.Feeds) == 0 {
		c.Feeds = defaultFeeds
	}
	c.Feeds = slices.Clone(c.Feeds)
	s := &Source{config: c, client: vendorhttp.New("microsoft", judge), started: newStarts(), changing: newLocks()}
	s.reports = rate.NewLimiter(rate.Every(2*time.Second), 5)
	hosts := make([]*url.URL, 3)
	for i, host := range [...]struct{ key, address string }{{"login_url", c.LoginURL}, {"activity_url", c.ActivityURL}, {"graph_url", c.GraphURL}} {
		base, err := vendorhttp.Host(host.address)
		if err != nil {
			return nil, fmt.Errorf("configure m365: %s: %w", host.key, err)
		}
		hosts[i] = base
	}
	switch {
	case !isGUID(c.TenantID):
		return nil, errors.New("configure m365: tenant_id: not a GUID; it stands in the Entra admin center under Overview")
	case !isGUID(c.ClientID):
		return nil, errors.New("configure m365: client_id: not a GUID; it stands in the Entra admin center at the app registration")
	case !isGUID(c.PublisherID):
		return nil, errors.New("configure m365: publisher_id: not a GUID; give a tenant id, or leave it out")
	case !c.ClientSecret.IsSet():
		return nil, errors.New("configure m365: client_secret: none is named; name one with {file: PATH} or {env: NAME}")
	case c.PageSize < 0 || c.PageSize > maxPage:
		return nil, fmt.Errorf("configure m365: page_size: %d is not from 1 to %d", c.PageSize, maxPage)
	case c.Since < 0 || c.Since > retention:
		return nil, fmt.Errorf("configure m365: since: %v is not between 0 and the %v that Microsoft can be asked for", c.Since, retention)
	}
	for i, feed := range c.Feeds {
		if contentTypes[feed] == "" && graphLogs[feed].path == "" {
			return nil, fmt.Errorf("configure m365: feeds: there is no feed %q; there are %s", event.Clean(feed), strings.Join(allFeeds(), ", "))
		}
		if slices.Contains(c.Feeds[:i], feed) {
			return nil, fmt.Errorf("configure m365: feeds: %s is there twice", feed)
		}
	}
	s.login = hosts[0]
	s.activity = s.endpoint("Office 365 Management APIs", hosts[1])
	s.graph = s.endpoint("Microsoft Graph", hosts[2])
	return s, nil
}

func allFeeds() []string {
	return []string{feedEntra, feedExchange, feedSharePoint, feedGeneral, feedDLP, feedDirectory, feedSignIns}
}

func (s *Source) endpoint(name string, base *url.URL) endpoint {
	return endpoint{name: name, base: base, tokens: vendorhttp.NewTokens(func(ctx context.Context) (*oauth2.Token, error) {
		return s.fetchToken(ctx, base)
	})}
}

// Feeds returns the logs that are read.
func (s *Source) Feeds() []string { return slices.Clone(s.config.Feeds) }

// Horizon is how far behind the newest event of a lane a repeat can lie. A blob is read once, but Microsoft may put a
// record into two: how far apart is not documented, and a day is more than the lateness that it calls typical. Graph's logs
// are swept.
func (s *Source) Horizon(feed string) time.Duration {
	if contentTypes[feed] != "" {
		return 24 * time.Hour
	}
	return sweepEvery + lateness + 2*graphOverlap + time.Minute
}

// Poll reads on in a feed behind cursor, "" being the start, and returns it as a batch: events and dead letters, the
// cursor to go on from, whether there was more at once, and, once there was not, the time covered, which ends some hours
// before now, since later records may still come. Of the Management Activity API it reads blobs until there are as many
// records as page_size says; of Graph, a page. A feed that nobody has subscribed to is subscribed to. An empty read is a
// batch like any other. Repeats are ordinary; they, the tenant, the format and the acts are the caller's. The cursor of an
// earlier batch may be given again. An error means that nothing was read, and holds no secret: the caller tries again later
// with the same cursor. Where Microsoft asks to wait, Poll waits, some minutes at most.
func (s *Source) Poll(ctx context.Context, feed, cursor string) (*curfewv1.EventBatch, error) {
	if !slices.Contains(s.config.Feeds, feed) {
		return nil, fmt.Errorf("poll m365: there is no feed %q; there are %s", event.Clean(feed), strings.Join(s.config.Feeds, ", "))
	}
	poll := s.pollBlobs
	if contentTypes[feed] == "" {
		poll = s.pollGraph
	}
	batch, err := poll(ctx, feed, cursor)
	if err != nil {
		return nil, fmt.Errorf("poll m365 %s: %w", feed, err)
	}
	for _, e := range batch.GetEvents() {
		// The decoder tells by the record's type, which is right as a rule.
		e.Feed = feed
	}
	return batch, nil
}
