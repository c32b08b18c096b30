// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// checkTime bounds one request of a check.
const checkTime = 10 * time.Second

// Check asks Microsoft for the least of each thing. What the app may change it reads from the permissions that its access
// token names, and changes nothing.
func (s *Source) Check(ctx context.Context) []*curfewv1.Check {
	c := &checking{source: s, told: map[string]told{}}
	var checks []*curfewv1.Check
	for _, feed := range allFeeds() {
		checks = append(checks, c.poll(ctx, feed))
	}
	for _, kind := range s.Kinds() {
		checks = append(checks, c.inventory(ctx, kind))
	}
	for _, change := range []struct {
		kind   string
		rights []right
		plan   string
	}{
		{"app_role", []right{setsAppRoles, readsApps, readsUsers}, "any plan"},
		{"delegated_grant", []right{setsGrants, readsApps, readsGrants}, "any plan"},
		{"directory_role", []right{setsRoles, readsUsers, readsApps}, "any plan; Entra ID P2 for roles that end by themselves"},
		{"group", []right{setsMembers, readsUsers, readsApps}, "any plan; Group.ReadWrite.All for owners, RoleManagement.ReadWrite.Directory for groups that roles can be given to"},
		{"end_sessions", []right{endsSessions, readsUsers}, "any plan"},
	} {
		checks = append(checks, c.provision(ctx, change.kind, change.rights, change.plan))
	}
	return checks
}

// told is what came of a request.
type told struct {
	answer *vendorhttp.Answer
	err    error
}

// checking is one Check on its way: it asks nothing twice, and nothing more once nobody answers.
type checking struct {
	source *Source
	told   map[string]told
	dead   error
}

// once asks for something unless it was asked for before.
func (c *checking) once(ctx context.Context, what string, ask func(context.Context) (*vendorhttp.Answer, error)) told {
	if known, asked := c.told[what]; asked {
		return known
	}
	if c.dead != nil {
		return told{err: c.dead}
	}
	bounded, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	answer, err := ask(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("microsoft did not answer within %v", checkTime)
	}
	var untold *vendorhttp.TokenRefused
	if err != nil && (!isRefusal(err) || errors.As(err, &untold)) {
		// The same secret opens all of it.
		c.dead = err
	}
	c.told[what] = told{answer, err}
	return c.told[what]
}

// no is a check that failed. What to do stands in the error, behind what is wrong.
func no(check *curfewv1.Check, err error) *curfewv1.Check {
	check.Verdict = curfewv1.CheckVerdict_CHECK_VERDICT_NO
	check.Why, check.How = split(err)
	return check
}

func split(err error) (why, how string) {
	why, how, _ = strings.Cut(err.Error(), "; ")
	if how == "" {
		how = "check the hosts, the secret, and the way to microsoft"
	}
	return event.Clean(why), event.Clean(how)
}

func (c *checking) poll(ctx context.Context, feed string) *curfewv1.Check {
	check := &curfewv1.Check{Subject: "poll " + feed, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_YES, Why: "microsoft answers"}
	contentType := contentTypes[feed]
	permission, api := permissionFor(feed), "Office 365 Management APIs; any plan, with auditing turned on"
	switch {
	case feed == feedSignIns:
		permission, api = "AuditLog.Read.All", "Microsoft Graph; Entra ID P1"
	case contentType == "":
		permission, api = "AuditLog.Read.All", "Microsoft Graph; any plan"
	}
	check.Needs = "the application permission " + permission + " of " + api
	if !slices.Contains(c.source.config.Feeds, feed) {
		check.Verdict, check.Why, check.How = curfewv1.CheckVerdict_CHECK_VERDICT_OFF, "feeds does not name it", "name it in feeds"
		return check
	}
	if contentType == "" {
		if err := c.once(ctx, feed, func(ctx context.Context) (*vendorhttp.Answer, error) {
			if err := c.source.waitForReports(ctx); err != nil {
				return nil, err
			}
			log, now := graphLogs[feed], c.source.client.Time()
			return c.source.get(ctx, &c.source.graph, permission, log.path, log.between(now.Add(-time.Hour), now, 1))
		}).err; err != nil {
			return no(check, err)
		}
		return check
	}
	answer := c.once(ctx, "subscriptions", func(ctx context.Context) (*vendorhttp.Answer, error) {
		return c.source.get(ctx, &c.source.activity, permission, c.source.operationPath("subscriptions/list"), url.Values{"PublisherIdentifier": {c.source.config.PublisherID}})
	})
	if answer.err != nil {
		return no(check, answer.err)
	}
	return c.subscription(ctx, check, answer.answer, contentType, permission)
}

// subscription is what the list of subscriptions says of a content type.
func (c *checking) subscription(ctx context.Context, check *curfewv1.Check, answer *vendorhttp.Answer, contentType, permission string) *curfewv1.Check {
	var list []struct {
		Type   string `json:"contentType"`
		Status string `json:"status"`
	}
	if json.Unmarshal(answer.Body, &list) != nil {
		return no(check, errors.New("the list of subscriptions is not as it is documented"))
	}
	status := ""
	for _, subscription := range list {
		if subscription.Type == contentType {
			status = subscription.Status
		}
	}
	switch status {
	case "enabled":
		check.Why = "it is subscribed to"
	case "disabled":
		check.Verdict = curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED
		check.Why = "its subscription is off; reading turns it on again, unless an administrator turned it off"
	default:
		check.Why = "nobody has subscribed to it yet; reading does, and up to 12 hours pass before there is something"
	}
	// The list is shown to whoever may read any of it.
	permissions, err := c.permissions(ctx, &c.source.activity)
	if err == nil && !slices.Contains(permissions, permission) {
		return no(check, errors.New(lacks(permission, c.source.activity.name)))
	}
	return check
}

func lacks(permission, api string) string {
	return "the access token does not name " + permission + "; give the app registration the application permission " + permission + " of " + api + ", and let an administrator consent"
}

// inventory is whether the main list of a kind is shown; what others lack is said.
func (c *checking) inventory(ctx context.Context, kind string) *curfewv1.Check {
	type probe struct {
		right right
		path  string
	}
	probes := map[string][]probe{
		"people":      {{readsUsers, "/v1.0/users?$select=id&$top=1"}},
		"groups":      {{readsGroups, "/v1.0/groups?$select=id&$top=1"}},
		"memberships": {{readsGroups, "/v1.0/groups?$select=id&$top=1"}, {readsApps, "/v1.0/servicePrincipals?$select=id&$top=1"}},
		"roles":       {{readsRoles, assignmentsPath}, {readsSchedule, eligiblePath}},
		"apps":        {{readsApps, "/v1.0/servicePrincipals?$select=id&$top=1"}, {readsGrants, "/v1.0/oauth2PermissionGrants?$top=1"}},
		"tokens":      {{readsApps, "/v1.0/applications?$select=id&$top=1"}},
	}[kind]
	check := &curfewv1.Check{Subject: "inventory " + kind, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_YES, Why: "microsoft answers"}
	plan := "any plan"
	if kind == "roles" {
		plan += "; Entra ID P2 for ends and for roles to be activated"
	}
	check.Needs = needs(plan, probes[0].right, probes[len(probes)-1].right)
	for i, p := range probes {
		err := c.once(ctx, p.path, func(ctx context.Context) (*vendorhttp.Answer, error) {
			return c.source.call(ctx, p.right, http.MethodGet, p.path, nil)
		}).err
		switch {
		case err == nil:
		case i == 0:
			return no(check, err)
		case code(err) == codeNoPIM:
			check.Why += "; the tenant has no Entra ID P2, so no role has an end or is to be activated"
		default:
			why, how := split(err)
			check.Why, check.How = check.Why+"; without "+p.right[0]+": "+why, how
		}
	}
	return check
}

// needs is the least permission of each right.
func needs(plan string, rights ...right) string {
	var least []string
	for _, r := range rights {
		if !slices.Contains(least, r[0]) {
			least = append(least, r[0])
		}
	}
	return strings.Join(least, ", ") + " as application permissions of Microsoft Graph; " + plan
}

// provision is whether the app has a permission for each of some rights.
func (c *checking) provision(ctx context.Context, kind string, rights []right, plan string) *curfewv1.Check {
	check := &curfewv1.Check{Subject: "provision " + kind, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_YES, Needs: needs(plan, rights...)}
	if c.dead != nil {
		return no(check, c.dead)
	}
	permissions, err := c.permissions(ctx, &c.source.graph)
	switch {
	case c.dead != nil:
		return no(check, c.dead)
	case err != nil:
		check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED, err.Error()
		return check
	}
	var has []string
	for _, r := range rights {
		at := slices.IndexFunc(r, func(permission string) bool { return slices.Contains(permissions, permission) })
		if at < 0 {
			return no(check, errors.New(lacks(r[0], c.source.graph.name)))
		}
		has = append(has, r[at])
	}
	check.Why = "the access token names " + strings.Join(slices.Compact(has), ", ")
	return check
}

// permissions are those that the app was given, as its access token for an API names them. Microsoft says that clients are
// not to read access tokens, whose form is the API's own to choose; what is wrong here misleads nobody but a check.
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
func (c *checking) permissions(ctx context.Context, api *endpoint) ([]string, error) {
	bounded, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	token, err := api.tokens.Token(bounded)
	if err != nil {
		c.dead = err
		return nil, err
	}
	unreadable := errors.New("the access token does not say what the app may do")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, unreadable
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Roles []string `json:"roles"`
	}
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return nil, unreadable
	}
	for i, role := range claims.Roles {
		claims.Roles[i] = event.Clean(role)
	}
	return claims.Roles, nil
}
