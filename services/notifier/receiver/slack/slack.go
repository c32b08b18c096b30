// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package slack shows alerts in a channel of a Slack workspace, keeps them up to date there, tells people what concerns
// them, and hands on what they click.
package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// system is what accounts of Slack are known by.
	system = "slack"
	// callFor bounds one call of the Web API, whatever the caller has left.
	callFor = 30 * time.Second
)

// Config is the channel to post in, and the right to. How to make the app: deploy/slack/manifest.yaml.
type Config struct {
	// Channel is the id of the channel where alerts go, such as C0123456789.
	Channel string `yaml:"channel"`
	// BotToken (xoxb-) is the app's in the workspace.
	BotToken config.Secret `yaml:"bot_token"`
	// AppToken (xapp-, scope connections:write) opens Socket Mode, by which clicks come in without an open port.
	AppToken config.Secret `yaml:"app_token"`
	// SigningSecret proves clicks that come in by HTTP, at Listen: instead of AppToken.
	SigningSecret config.Secret `yaml:"signing_secret"`
	// Listen is where clicks come in by HTTP, such as 127.0.0.1:8090, behind what speaks TLS. Slack is told the paths
	// /slack/interactions and /slack/commands there.
	Listen string `yaml:"listen"`
	// Team is the id of the workspace, whose clicks alone count; that of BotToken if empty.
	Team string `yaml:"team"`
	// APIURL is the address of Slack's Web API; Slack's own if empty.
	APIURL string `yaml:"api_url"`
	// Link is where people read what a message has no room for, such as a page about alerts; none if empty.
	Link string `yaml:"link"`
}

// Receiver is one channel. It is safe for concurrent use.
type Receiver struct {
	config Config
	api    string
	client *http.Client
	// now is what time it is, and after wakes later.
	now   func() time.Time
	after func(time.Duration) <-chan time.Time
	// lookup and report are those of LookUp and Report.
	lookup func(context.Context, string) (*curfewv1.Alert, error)
	report func(error)

	mu     sync.Mutex
	self   *identity
	people map[string]judged
	told   memory // what a person was told of a notice
	seen   memory // clicks that were answered without a command
	asked  asked  // what was clicked on, until it counts
}

// New returns a receiver for what c names. It talks to nobody yet and reads no secret; an error is a mistake in c and says
// which.
func New(c Config) (*Receiver, error) {
	if c.APIURL == "" {
		c.APIURL = slack.APIURL
	}
	address, err := vendorhttp.Address(c.APIURL)
	if err != nil {
		return nil, fmt.Errorf("configure slack: api_url: %w", err)
	}
	const name = "name one with {file: PATH} or {env: NAME}"
	switch {
	case c.Channel == "" || strings.ContainsAny(c.Channel, "#/ "):
		return nil, errors.New("configure slack: channel: it is not the id of a channel; copy it from the channel's details in Slack, where it begins with C or G")
	case !c.BotToken.IsSet():
		return nil, errors.New("configure slack: bot_token: none is named; " + name)
	case c.AppToken.IsSet() && (c.SigningSecret.IsSet() || c.Listen != ""):
		return nil, errors.New("configure slack: app_token is for Socket Mode, signing_secret and listen are for HTTP; name the one or the other")
	case !c.AppToken.IsSet() && !c.SigningSecret.IsSet():
		return nil, errors.New("configure slack: app_token: none is named, so that no click would come in; " + name)
	case c.SigningSecret.IsSet() && c.Listen == "":
		return nil, errors.New("configure slack: listen: none is named; with signing_secret clicks come in by HTTP, at an address such as 127.0.0.1:8090")
	}
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			return nil, errors.New("configure slack: listen: it is not HOST:PORT")
		}
	}
	if c.Link != "" {
		if _, err := vendorhttp.Address(c.Link); err != nil {
			return nil, fmt.Errorf("configure slack: link: %w", err)
		}
	}
	return &Receiver{
		config: c, api: strings.TrimSuffix(address.String(), "/") + "/", now: time.Now, after: time.After, people: map[string]judged{},
		// A redirect would carry the token along.
		client: &http.Client{Timeout: callFor, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// LookUp sets where the receiver finds an alert whose details a person asks for; without it they are told the command
// that shows it. It must be called before Listen, with a function that is safe for concurrent use.
func (r *Receiver) LookUp(alert func(ctx context.Context, id string) (*curfewv1.Alert, error)) {
	r.lookup = alert
}

// Report sets who is told what keeps clicks from coming in, as long as it does; the errors hold no secret. It must be
// called before Listen, with a function that is safe for concurrent use.
func (r *Receiver) Report(trouble func(error)) { r.report = trouble }

// Pace is Slack's: a message a second in a channel, of which it takes a few at once, and 50 edits a minute in all.
func (r *Receiver) Pace() (posts, edits delivery.Pace) {
	return delivery.Pace{Burst: 5, Every: time.Second}, delivery.Pace{Burst: 10, Every: 1200 * time.Millisecond}
}

// web is the Web API with the tokens as they are now.
func (r *Receiver) web() (*slack.Client, error) {
	token, err := r.config.BotToken.Value()
	if err != nil {
		return nil, &delivery.Refused{Reason: fmt.Sprintf("slack: bot_token: %v", err), Final: true}
	}
	options := []slack.Option{
		slack.OptionAPIURL(r.api), slack.OptionHTTPClient(polite{r.client}), slack.OptionLog(log.New(io.Discard, "", 0)),
	}
	if r.config.AppToken.IsSet() {
		app, err := r.config.AppToken.Value()
		if err != nil {
			return nil, &delivery.Refused{Reason: fmt.Sprintf("slack: app_token: %v", err), Final: true}
		}
		options = append(options, slack.OptionAppLevelToken(app))
	}
	return slack.New(token, options...), nil
}

// identity is who the app is in its workspace.
type identity struct{ team, user, bot string }

// who is the app's identity, which Slack is asked for once. It is an error if it is in another workspace than configured.
func (r *Receiver) who(ctx context.Context) (identity, error) {
	r.mu.Lock()
	known := r.self
	r.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	web, err := r.web()
	if err != nil {
		return identity{}, err
	}
	answer, err := web.AuthTestContext(ctx)
	if err != nil {
		return identity{}, r.failed("ask who the app is", err)
	}
	self := identity{team: answer.TeamID, user: answer.UserID, bot: answer.BotID}
	switch {
	case self.team == "" || self.user == "":
		return identity{}, errors.New("slack: ask who the app is: the answer names no workspace or no user")
	case r.config.Team != "" && r.config.Team != self.team:
		return identity{}, &delivery.Refused{
			Reason: "slack: bot_token is of another workspace than team names; install the app in that workspace, or correct team", Final: true,
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.self = &self
	return self, nil
}

// memory is a bounded set of what was done lately. Its user holds the lock.
type memory struct {
	known map[string]bool
	order []string
}

// add is whether it is new.
func (m *memory) add(id string) bool {
	const most = 4096
	if m.known[id] {
		return false
	}
	if m.known == nil {
		m.known = map[string]bool{}
	}
	m.known[id], m.order = true, append(m.order, id)
	if len(m.order) > most {
		delete(m.known, m.order[0])
		m.order = m.order[1:]
	}
	return true
}
