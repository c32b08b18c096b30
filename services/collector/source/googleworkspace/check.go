// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// checkTime bounds one question of a check.
	checkTime = 10 * time.Second
	// delegatePage is where a service account is given scopes:
	// https://developers.google.com/identity/protocols/oauth2/service-account#delegatingauthority.
	delegatePage = "in the Admin console, Security > API controls > Domain-wide delegation, give the service account's client id the scope "
)

// checking is one Check.
type checking struct {
	*Source
	// patience bounds one question.
	patience time.Duration
	// answers are what has been asked already, by scope and address: several abilities rest on the same.
	answers map[string]error
	// dead is why Google could not be asked at all. Nothing more is asked then.
	dead  error
	found []*curfewv1.Check
}

// Check asks for a token for each scope by itself, and with it for one entry of what it opens. It changes nothing, so
// what may be written it learns from the scope and from whether the subject is a super administrator, who may do all;
// of another one it does not learn it.
func (s *Source) Check(ctx context.Context) []*curfewv1.Check { return s.check(ctx, checkTime) }

func (s *Source) check(ctx context.Context, patience time.Duration) []*curfewv1.Check {
	c := &checking{Source: s, patience: patience, answers: map[string]error{}}
	for _, application := range s.config.Applications {
		err := c.log(ctx, application)
		c.add("poll "+application, err, "any plan"+plans[application], scopeAudit)
		c.receive(application, err)
	}
	users := c.page(ctx, scopeUsers, s.at("users")+"?"+url.Values{"customer": {"my_customer"}, "maxResults": {"1"}, "fields": {"kind,users(id)"}}.Encode())
	groups := c.page(ctx, scopeGroups, s.at("groups")+"?"+url.Values{"customer": {"my_customer"}, "maxResults": {"1"}}.Encode())
	roles := c.page(ctx, scopeRoles, s.at("customer", "my_customer", "roleassignments")+"?maxResults=1")
	subject := s.at("users", s.config.Subject)
	tokens := c.page(ctx, scopeSecurity, subject+"/tokens")
	passwords := c.page(ctx, scopeSecurity, subject+"/asps")
	c.add("inventory people", users, "any plan", scopeUsers)
	c.add("inventory groups", groups, "any plan", scopeGroups)
	c.add("inventory memberships", groups, "any plan", scopeGroups)
	c.add("inventory roles", roles, "any plan", scopeRoles)
	c.add("inventory apps", cmp.Or(users, tokens), "any plan", scopeUsers, scopeSecurity)
	c.add("inventory tokens", cmp.Or(users, passwords), "any plan", scopeUsers, scopeSecurity)

	super := users == nil && c.isSuper(ctx, subject)
	members, plan, scopes := c.token(ctx, scopeMembers), "any plan", []string{scopeUsers, scopeGroups, scopeMembers}
	if s.config.NativeExpiry {
		members, plan = cmp.Or(members, c.token(ctx, scopeIdentity)), "Enterprise Standard or Plus, Education or Cloud Identity Premium, for native_expiry"
		scopes = append(scopes, scopeIdentity)
	}
	c.provision("provision group", cmp.Or(users, groups, members), super, plan, scopes...)
	c.provision("provision admin_role", cmp.Or(users, c.token(ctx, scopeAssign)), super, "any plan", scopeUsers, scopeAssign)
	c.provision("provision oauth_token", cmp.Or(users, tokens), super, "any plan", scopeUsers, scopeSecurity)
	return c.found
}

// plans are the applications whose logs not every plan has:
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list#applicationname. Of others it is
// not confirmed that every plan has them.
var plans = map[string]string{
	"drive": " but the smallest: Business Standard and up, Enterprise", "keep": " but the smallest: Business and Enterprise",
}

// denied is why Google could not be asked something, or said no.
type denied struct {
	scope string
	err   error
}

// Error is one line without the secret.
func (d *denied) Error() string { return d.err.Error() }

// Unwrap is the error itself.
func (d *denied) Unwrap() error { return d.err }

// once asks, at most patience long, unless it was asked before or Google is not there.
func (c *checking) once(ctx context.Context, scope, what string, ask func(context.Context) error) error {
	if c.dead != nil {
		return c.dead
	}
	key := scope + " " + what
	if err, asked := c.answers[key]; asked {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	err := ask(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("google did not answer within %v", c.patience)
	}
	if err != nil {
		err = &denied{scope, err}
	}
	c.answers[key] = err
	var refused *vendorhttp.Refused
	var noToken *tokenRefused
	if err != nil && !errors.As(err, &refused) && !errors.As(err, &noToken) {
		c.dead = err
	}
	return err
}

// token asks for a token for exactly that scope.
func (c *checking) token(ctx context.Context, scope string) error {
	return c.once(ctx, scope, "", func(ctx context.Context) error {
		_, err := c.tokens[scope].Token(ctx)
		return err
	})
}

// page asks for an address once there is the token for it.
func (c *checking) page(ctx context.Context, scope, address string) error {
	if err := c.token(ctx, scope); err != nil {
		return err
	}
	return c.once(ctx, scope, address, func(ctx context.Context) error {
		_, err := c.ask(ctx, scope, vendorhttp.Request{Method: http.MethodGet, Address: address})
		return err
	})
}

// log asks for one activity of the last hour.
func (c *checking) log(ctx context.Context, application string) error {
	query := url.Values{"maxResults": {"1"}, "startTime": {c.client.Time().Add(-time.Hour).UTC().Format(time.RFC3339)}}
	address := c.base.JoinPath(activityPath, application)
	address.RawQuery = query.Encode()
	return c.page(ctx, scopeAudit, address.String())
}

// isSuper is whether the subject is known to be a super administrator.
func (c *checking) isSuper(ctx context.Context, subject string) bool {
	var u user
	err := c.once(ctx, scopeUsers, subject, func(ctx context.Context) error { return c.read(ctx, scopeUsers, subject, &u) })
	return err == nil && u.IsAdmin
}

// add adds what is known of an ability: it can, or err is why not.
func (c *checking) add(subject string, err error, plan string, scopes ...string) *curfewv1.Check {
	check := &curfewv1.Check{
		Subject: subject, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_YES, Why: "Google answered", Needs: strings.Join(scopes, " ") + "; " + plan,
	}
	c.found = append(c.found, check)
	if err != nil {
		check.Verdict, check.Why, check.How = curfewv1.CheckVerdict_CHECK_VERDICT_NO, event.Clean(err.Error()), how(err)
	}
	return check
}

// how is what to do about an error.
func how(err error) string {
	var scope string
	var said *denied
	if errors.As(err, &said) {
		scope = said.scope
	}
	var refused *vendorhttp.Refused
	var noToken *tokenRefused
	switch {
	case errors.As(err, &noToken):
		return delegatePage + scope
	case !errors.As(err, &refused):
		return "make credentials a key that can be read, and let this machine reach Google"
	case refused.Reason == "accessNotConfigured":
		return "in the Google Cloud console, enable the API in the service account's project"
	case refused.Status == http.StatusForbidden:
		return "in the Admin console, give the subject an administrator role that may " + rights[scope]
	}
	return "ask again; if it stays so, check credentials and subject"
}

// receive says of pushed activities what can be known: whether Google takes the address it says when a channel is opened.
func (c *checking) receive(application string, polled error) {
	check := c.add("receive "+application, polled, "any plan; an https address that Google can reach", scopeAudit)
	if !c.config.ChannelSecret.IsSet() {
		check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_OFF, "channel_secret is not set"
		check.How = "set channel_secret to a long random text of your own"
		return
	}
	if _, err := c.config.ChannelSecret.Value(); err != nil {
		check.Verdict, check.Why, check.How = curfewv1.CheckVerdict_CHECK_VERDICT_NO, event.Clean(err.Error()), "make channel_secret one that can be read"
	}
	if check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_YES {
		check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED, "whether Google takes the address shows when a channel is opened"
	}
}

// provision says of a privilege whether it can be given and taken; the last of the scopes is what changes it.
func (c *checking) provision(subject string, err error, super bool, plan string, scopes ...string) {
	right := rights[scopes[len(scopes)-1]]
	check := c.add(subject, err, plan+"; a subject who may "+right, scopes...)
	switch {
	case err != nil:
	case super:
		check.Why = "the scopes are delegated, and the subject is a super administrator"
	default:
		check.Verdict = curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED
		check.Why = "the scopes are delegated; whether the subject's role allows it shows when it is done"
		check.How = "to be sure, in the Admin console, give the subject an administrator role that may " + right
	}
}
