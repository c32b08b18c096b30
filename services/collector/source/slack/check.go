// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// checkTime bounds one request of a check.
const checkTime = 10 * time.Second

// right is what a thing takes: scopes of a user token, each with its alternatives after a "|", and the plan.
type right struct {
	scopes []string
	plan   string
}

func (r right) String() string {
	return "user token with " + strings.ReplaceAll(strings.Join(r.scopes, ", "), "|", " or ") + "; " + r.plan
}

// The plans, for people.
const (
	anyPlan  = "any plan"
	paidPlan = "any paid plan"
	gridPlan = "an Enterprise plan"
)

// rights is what each thing takes on a plan; an ability that the plan does not have is not there.
func rights(plan string) map[string]right {
	all := map[string]right{
		"poll " + integrationLogs: {[]string{"admin"}, anyPlan}, "poll " + accessLogs: {[]string{"admin"}, paidPlan},
		"inventory people":           {[]string{"users:read", "users:read.email"}, anyPlan},
		"inventory groups":           {[]string{"usergroups:read", "channels:read|groups:read"}, paidPlan},
		"inventory memberships":      {[]string{"usergroups:read", "channels:read|groups:read"}, paidPlan},
		"inventory roles":            {[]string{"users:read"}, anyPlan},
		"inventory apps":             {[]string{"admin"}, anyPlan},
		"provision " + userGroupKind: {[]string{"usergroups:read", "usergroups:write", "users:read"}, paidPlan},
		"provision " + channelKind:   {[]string{"channels:read|groups:read", "channels:write|groups:write", "users:read"}, anyPlan},
	}
	if plan != enterprise {
		return all
	}
	all["poll "+audit] = right{[]string{"auditlogs:read"}, gridPlan + ", the app installed on the organisation by its owner"}
	all["inventory people"] = right{[]string{"admin.users:read"}, gridPlan}
	all["inventory roles"] = right{[]string{"admin.users:read", "admin.teams:read", "admin.roles:read"}, gridPlan}
	all["inventory groups"] = right{[]string{"admin.teams:read", "usergroups:read", "channels:read|groups:read"}, gridPlan}
	all["inventory memberships"] = all["inventory groups"]
	all["inventory apps"] = right{[]string{"admin.teams:read", "admin"}, gridPlan + ", the token's owner in each workspace"}
	all["provision "+channelKind] = right{[]string{"channels:read|groups:read", "channels:write|groups:write", "admin.conversations:write", "users:read"}, gridPlan}
	all["provision "+workspaceRoleKind] = right{[]string{"admin.teams:read", "admin.users:write", "users:read"}, gridPlan}
	all["provision "+appKind] = right{[]string{"admin", "admin.apps:write"}, gridPlan}
	all["provision end_sessions"] = right{[]string{"admin.users:write"}, gridPlan}
	return all
}

// Check asks Slack whose token it is and for one record of each log. What the token may do beyond that Slack says in the
// header X-OAuth-Scopes of each answer; whether its owner may is not learnt without doing it.
func (s *Source) Check(ctx context.Context) []*curfewv1.Check {
	c := &checking{source: s, rights: rights(s.config.Plan)}
	c.signIn(ctx)
	var checks []*curfewv1.Check
	for _, feed := range s.config.Feeds {
		checks = append(checks, c.poll(ctx, feed))
	}
	feeds := []string{events}
	if s.config.SigningSecret.IsSet() {
		feeds = s.Webhooks()
	}
	for _, feed := range feeds {
		checks = append(checks, s.checkReceive(feed))
	}
	for _, kind := range kinds {
		checks = append(checks, c.scoped("inventory "+kind, curfewv1.CheckVerdict_CHECK_VERDICT_YES))
	}
	for _, kind := range append(s.Privileges(), "end_sessions") {
		checks = append(checks, c.scoped("provision "+kind, curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED))
	}
	return checks
}

// checking is one Check on its way.
type checking struct {
	source *Source
	rights map[string]right
	// owner is whose token it is, scopes what it may do; told is whether Slack said so.
	owner  string
	scopes []string
	told   bool
	// err is why the token is no good, or nobody answers.
	err error
}

// signIn asks whose token it is.
func (c *checking) signIn(ctx context.Context) {
	s := c.source
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	answer, err := s.page(ctx, s.base, "api/auth.test", nil)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("slack did not answer within %v", checkTime)
	}
	if err != nil {
		c.err = err
		return
	}
	var who struct {
		User string `json:"user_id"`
	}
	if c.err = readAnswer(answer.Body, &who); c.err != nil {
		return
	}
	c.owner = event.Clean(who.User)
	if header := answer.Header.Get("X-OAuth-Scopes"); header != "" {
		c.told = true
		for scope := range strings.FieldsFuncSeq(header, func(r rune) bool { return r == ',' || r == ' ' }) {
			c.scopes = append(c.scopes, scope)
		}
	}
}

// poll is whether one record of a log can be read.
func (c *checking) poll(ctx context.Context, feed string) *curfewv1.Check {
	check := c.check("poll " + feed)
	if c.err != nil {
		return check
	}
	s := c.source
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var err error
	if feed == audit {
		now := strconv.FormatInt(s.now().Unix(), 10)
		_, err = s.page(ctx, s.auditLog, "audit/v1/logs", url.Values{"limit": {"1"}, "oldest": {now}, "latest": {now}})
	} else {
		_, err = s.get(ctx, logs[feed].method, url.Values{"count": {"1"}, "page": {"1"}}, nil)
	}
	check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_YES, "slack answers"
	if err != nil {
		check.Verdict, check.Why, check.How = curfewv1.CheckVerdict_CHECK_VERDICT_NO, event.Clean(err.Error()), c.how(err, check.GetSubject())
	}
	return check
}

// check is an answer that is NO where the token is no good, or nobody answers.
func (c *checking) check(subject string) *curfewv1.Check {
	check := &curfewv1.Check{Subject: subject, Needs: c.rights[subject].String()}
	if c.err != nil {
		check.Verdict, check.Why, check.How = curfewv1.CheckVerdict_CHECK_VERDICT_NO, event.Clean(c.err.Error()), c.how(c.err, subject)
	}
	return check
}

// how is what to do about an error.
func (c *checking) how(err error, subject string) string {
	if reason := reasonOf(err); reason != "" && reason != "missing_scope" {
		if text := advice(http.StatusOK, reason); text != "" {
			return text
		}
	}
	if _, err := c.source.config.Token.Value(); err != nil {
		return "name the user token with token: {file: PATH} or {env: NAME}"
	}
	if reasonOf(err) == "" {
		return "check that slack.com and api.slack.com can be reached from here, by the proxy if there is one"
	}
	return grantScopes(c.rights[subject].scopes)
}

func grantScopes(scopes []string) string {
	return "add " + strings.ReplaceAll(strings.Join(scopes, ", "), "|", " or ") + " at https://api.slack.com/apps under OAuth & Permissions, User Token Scopes, and install the app again"
}

// scoped is an answer told by the token's scopes: enough where they all are there, NO where one is missing.
func (c *checking) scoped(subject string, enough curfewv1.CheckVerdict) *curfewv1.Check {
	needed, there := c.rights[subject]
	if !there {
		return &curfewv1.Check{
			Subject: subject, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_NO, Why: "Slack has no API for it on this plan; it becomes a task for a person",
			How: "nothing but an Enterprise plan changes that", Needs: gridPlan,
		}
	}
	check := c.check(subject)
	if c.err != nil {
		return check
	}
	if !c.told {
		check.Why = "Slack did not say what the token may do"
		return check
	}
	missing := slices.DeleteFunc(slices.Clone(needed.scopes), func(scope string) bool {
		return slices.ContainsFunc(strings.Split(scope, "|"), func(one string) bool { return slices.Contains(c.scopes, one) })
	})
	if len(missing) > 0 {
		check.Verdict, check.Why, check.How = curfewv1.CheckVerdict_CHECK_VERDICT_NO, "the token lacks "+strings.ReplaceAll(strings.Join(missing, ", "), "|", " or "), grantScopes(missing)
		return check
	}
	check.Verdict, check.Why = enough, "the token of "+c.owner+" has the scopes"
	if enough == curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED {
		check.Why += "; whether its owner may is not learnt without doing it"
	}
	return check
}

// checkReceive is whether webhooks are believed. That Slack sends them is not learnt by asking.
func (s *Source) checkReceive(feed string) *curfewv1.Check {
	check := &curfewv1.Check{
		Subject: "receive " + feed, Needs: "the app's signing secret; the scope of each event that is subscribed to; any plan",
		How: "at https://api.slack.com/apps under Event Subscriptions give the address of Curfew's webhooks and subscribe to events such as member_joined_channel, file_public and app_installed",
	}
	switch {
	case !s.config.SigningSecret.IsSet():
		check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_OFF, "signing_secret is not configured"
	default:
		check.Why = "deliveries signed by the secret are believed; whether Slack sends any is not learnt by asking"
		if _, err := s.config.SigningSecret.Value(); err != nil {
			check.Verdict, check.Why, check.How = curfewv1.CheckVerdict_CHECK_VERDICT_NO, event.Clean(err.Error()), "name the app's signing secret, at https://api.slack.com/apps under Basic Information, with signing_secret: {file: PATH} or {env: NAME}"
		}
	}
	return check
}
