// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package ticket makes a ticket of each alert: in Jira Cloud, or in any system that takes JSON.
package ticket

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxTitle is Jira's most of a summary in characters, maxText below its most of a description, 32,767:
	// https://support.atlassian.com/jira/kb/the-character-limit-in-jira-cloud-text-fields/.
	maxTitle, maxText = 255, 30_000
	// maxLine bounds a line in runes.
	maxLine = 2000
)

// Config is the system and the right to it.
type Config struct {
	// Kind is "jira", for Jira Cloud, or "generic".
	Kind string `yaml:"kind"`
	// URL is Jira's site, such as "https://shop.atlassian.net"; of a generic system the whole address.
	URL string `yaml:"url"`
	// Email is the account that makes tickets in Jira.
	Email string `yaml:"email"`
	// Token is that account's API token; of a generic system it is sent as a Bearer token, or none where it is not set.
	Token config.Secret `yaml:"token"`
	// Project is the key of Jira's project, such as "SEC".
	Project string `yaml:"project"`
	// IssueType is the name of Jira's issue type; "Task" if empty.
	IssueType string `yaml:"issue_type"`
}

// Receiver is what every kind can. It is safe for concurrent use.
type Receiver interface {
	// Post makes one ticket; ref is its key.
	Post(ctx context.Context, post *curfewv1.Post) (ref string, err error)
	// Edit says at the ticket where its alerts stand now.
	Edit(ctx context.Context, ref string, post *curfewv1.Post) error
	// Reply says something at the ticket.
	Reply(ctx context.Context, reply *curfewv1.Reply) error
	// Single says that a post is one alert: a ticket each. One of several makes one ticket of them all.
	Single()
	// Pace is how fast tickets are made.
	Pace() (posts, edits delivery.Pace)
}

// New returns a receiver of the kind that c names. It reads no secret yet; an error is a mistake in c and says which. One of
// kind jira can also be asked whether a ticket arrived.
func New(c Config) (Receiver, error) {
	switch {
	case c.Kind != "jira" && c.Kind != "generic":
		return nil, fmt.Errorf("configure ticket: kind: %q is neither %q nor %q", c.Kind, "jira", "generic")
	case c.URL == "":
		return nil, errors.New("configure ticket: url: missing; give the address of the ticket system")
	case c.Kind == "generic":
		return newGeneric(c)
	}
	host, err := vendorhttp.Host(c.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("configure ticket: url: %w", err)
	case c.Email == "" || strings.ContainsAny(c.Email, ": \t\r\n"):
		return nil, errors.New("configure ticket: email: give the e-mail address of the account that makes tickets")
	case !c.Token.IsSet():
		return nil, errors.New("configure ticket: token: none is named; name the account's API token with {file: PATH} or {env: NAME}")
	case !regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`).MatchString(c.Project):
		return nil, fmt.Errorf("configure ticket: project: %q is not the key of a project, such as SEC", c.Project)
	}
	if c.IssueType == "" {
		c.IssueType = "Task"
	}
	return &Jira{Now: time.Now, config: c, base: host, client: delivery.Client()}, nil
}

// text is the lines of a post, bounded.
func text(post *curfewv1.Post) []string { return bounded(card.Text(post, time.UTC)) }

// bounded is lines that have room in a ticket; the last says how many have not.
func bounded(all []string) []string {
	var list []string
	room := maxText
	for i, line := range all {
		line = card.Cut(line, maxLine)
		if room -= len([]rune(line)) + 1; room < 0 {
			return append(list, fmt.Sprintf("and %d more lines: ask Curfew for them", len(all)-i))
		}
		list = append(list, line)
	}
	return list
}

// said is what a reply says, harmless.
func said(reply *curfewv1.Reply) []string {
	lines := make([]string, 0, len(reply.GetLines()))
	for _, line := range reply.GetLines() {
		lines = append(lines, card.Plain(line, maxLine))
	}
	return bounded(lines)
}

// standing is where the alerts of a post stand now, a line each.
func standing(post *curfewv1.Post) []string {
	lines := make([]string, 0, len(post.GetAlerts()))
	for _, a := range post.GetAlerts() {
		c := card.Of(a)
		lines = append(lines, fmt.Sprintf("%s is now %s.", c.Footer, c.Status))
	}
	return bounded(lines)
}
