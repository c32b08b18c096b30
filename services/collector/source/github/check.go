// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// checkTimeout bounds one request of a check.
const checkTimeout = 10 * time.Second

const (
	yes = curfewv1.CheckVerdict_CHECK_VERDICT_YES
	no  = curfewv1.CheckVerdict_CHECK_VERDICT_NO
	off = curfewv1.CheckVerdict_CHECK_VERDICT_OFF
)

// needs is the least right that each ability takes, as the scope of a classic token and the permission of an app or
// fine-grained token, and the plan:
// https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps. That an owner's read:org is enough
// for what GraphQL tells of members is not confirmed; admin:org is.
var needs = map[string]string{
	"poll":                          "read:audit_log, or Administration of the organisation: read; GitHub Enterprise Cloud",
	"receive":                       "an owner makes the webhook; any plan",
	"inventory people":              "admin:org, or Members and Administration of the organisation: read; any plan",
	"inventory groups":              "read:org, or Members: read; any plan",
	"inventory memberships":         "admin:org, or Members: read; any plan",
	"inventory roles":               "admin:org and repo, or Members, Custom organization roles and repositories' Administration: read; any plan",
	"inventory apps":                "admin:org, or Administration of the organisation: read; any plan",
	"inventory tokens":              "a GitHub App with Personal access tokens, Administration and repositories' Administration: read; any plan",
	"provision " + kindTeam:         "admin:org, or Members: write; any plan",
	"provision " + kindOrgRole:      "admin:org, or Members and Custom organization roles: write; any plan",
	"provision collaborator":        "admin:org and repo, or repositories' Administration: write and Members: read; any plan",
	"provision " + kindInstallation: "admin:org, or Administration of the organisation: read; an owner installs and uninstalls",
}

// rights are the scopes, one of each list, and the permissions that provisioning takes.
var rights = map[string]struct {
	scopes      [][]string
	permissions []string
}{
	kindTeam:         {[][]string{{"admin:org", "write:org"}}, []string{"members"}},
	kindOrgRole:      {[][]string{{"admin:org"}}, []string{"members", "organization_custom_org_roles"}},
	kindCollaborator: {[][]string{{"admin:org"}, {"repo"}}, []string{"administration"}},
}

// checking is a check on its way.
type checking struct {
	*Source
	list []*curfewv1.Check
	// dead is why nothing can be asked; scopes are those of a classic token, and permissions those of an app.
	dead        error
	scopes      []string
	permissions map[string]string
	classic     bool
	owner       bool
}

// Check asks GitHub what the configuration lets this source do, and changes nothing. There is an answer for each ability;
// none holds a secret.
func (s *Source) Check(ctx context.Context) []*curfewv1.Check {
	c := &checking{Source: s}
	c.meet(ctx)
	c.poll(ctx)
	c.receive(ctx)
	for _, kind := range s.Kinds() {
		c.inventory(ctx, kind)
	}
	for _, kind := range s.Privileges() {
		c.provision(ctx, kind)
	}
	return c.list
}

func (c *checking) say(subject string, verdict curfewv1.CheckVerdict, why, how string) {
	least, known := needs[subject]
	if !known {
		ability, _, _ := strings.Cut(subject, " ")
		least = needs[ability]
	}
	c.list = append(c.list, &curfewv1.Check{Subject: subject, Verdict: verdict, Why: event.Clean(why), How: how, Needs: least})
}

// answer says yes, or no with what GitHub said.
func (c *checking) answer(subject string, err error, how string) {
	if err == nil {
		c.say(subject, yes, "", "")
		return
	}
	c.say(subject, no, err.Error(), how)
}

// meet asks once whether there is anybody to ask, and what the token may do.
func (c *checking) meet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if c.tokens != nil {
		token, err := c.askToken(ctx)
		if err != nil {
			c.dead = err
			return
		}
		c.permissions = token.Permissions
	}
	if c.config.Org == "" {
		return
	}
	answer, err := c.get(ctx, c.orgPath().String())
	if err != nil {
		c.dead = err
		return
	}
	_, c.classic = answer.Header["X-Oauth-Scopes"]
	c.scopes = scopesOf(answer.Header)
	if c.tokens != nil {
		return
	}
	// Without an answer that can be read the owner is none.
	c.owner, _ = c.owns(ctx)
}

func (c *checking) poll(ctx context.Context) {
	subject := "poll " + feed
	switch {
	case !c.readsAuditLog():
		c.say(subject, off, "audit_log is false", "on GitHub Enterprise Cloud leave audit_log out, or set it to true")
		return
	case c.dead != nil:
		c.answer(subject, c.dead, "check url, org, and the token or the app")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	answer, err := c.get(ctx, c.logAddress(c.client.Now().Add(-time.Hour), 1))
	if err == nil {
		_, err = split(answer.Body)
	}
	c.answer(subject, c.adviseLog(err), "give the token the scope read:audit_log in Settings, Developer settings, Personal access tokens; its owner has to own the organisation or enterprise")
}

func (c *checking) receive(ctx context.Context) {
	subject, page := "receive "+feed, c.site().JoinPath("organizations", c.config.Org, "settings", "hooks").String()
	if !c.readsAuditLog() {
		subject = "receive " + webhookFeed
	}
	how := "make a webhook at " + page + " with content type application/json and a secret, and name the secret as webhook_secret"
	if len(c.Webhooks()) == 0 {
		c.say(subject, off, "no webhook_secret is configured", how)
		return
	}
	if _, err := c.config.WebhookSecret.Value(); err != nil {
		c.answer(subject, err, "write the webhook's secret where webhook_secret says")
		return
	}
	if c.dead != nil || c.config.Org == "" {
		c.say(subject, curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED, "whether GitHub sends shows with the first delivery", how)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	active := 0
	err := list(ctx, c.Source, "", c.orgPath("hooks"), func(hook struct {
		Active bool `json:"active"`
	}) {
		if hook.Active {
			active++
		}
	})
	switch {
	case err != nil:
		c.say(subject, curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED, "the organisation's webhooks cannot be listed: "+err.Error(), "look at "+page+" whether the last deliveries went well")
	case active == 0:
		c.say(subject, no, "the organisation has no active webhook", how)
	default:
		c.say(subject, yes, fmt.Sprintf("the organisation has %d active webhooks; whether one leads here shows with the first delivery", active), "")
	}
}

// inventory asks for one of each kind.
func (c *checking) inventory(ctx context.Context, kind string) {
	subject := "inventory " + kind
	if c.dead != nil {
		c.answer(subject, c.dead, "check url, org, and the token or the app")
		return
	}
	err := c.probe(ctx, kind)
	how := "give the token the scopes that are needed; its owner has to own the organisation"
	if kind == "tokens" {
		how = "make a GitHub App of the organisation, install it, and configure app_id, installation_id and private_key instead of token"
	} else if c.tokens != nil {
		how = "give the app the permissions that are needed in its settings, and accept them where it is installed"
	}
	c.answer(subject, err, how)
}

// provision looks at what GitHub says of the token's rights: trying would change something.
func (c *checking) provision(ctx context.Context, kind string) {
	subject, want := "provision "+kind, rights[kind]
	switch {
	case c.dead != nil:
		c.answer(subject, c.dead, "check url, org, and the token or the app")
	case kind == kindInstallation:
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		_, err := c.get(ctx, c.orgPath("installations").String()+"?per_page=1")
		if err == nil {
			c.say(subject, yes, "a person installs and uninstalls, and it is read back", "")
			return
		}
		c.answer(subject, err, "give the token what reading installations needs")
	case c.tokens != nil:
		for _, permission := range want.permissions {
			if c.permissions[permission] != "write" && c.permissions[permission] != "admin" {
				c.say(subject, no, "the app does not have the permission "+permission+": write", "give it in the app's settings, and accept it where the app is installed")
				return
			}
		}
		c.say(subject, yes, "", "")
	case !c.classic:
		c.say(subject, curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED, "GitHub does not tell what a fine-grained token may do", "compare its permissions with what is needed")
	case !c.owner:
		c.say(subject, no, "the token's owner does not own the organisation", "make the token with an account that owns the organisation "+c.config.Org)
	default:
		if lacks := lacking(c.scopes, want.scopes); lacks != "" {
			c.say(subject, no, "the token does not have the scope "+lacks, "add it in Settings, Developer settings, Personal access tokens")
			return
		}
		c.say(subject, yes, "", "")
	}
}
