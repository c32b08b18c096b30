// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// checkTime bounds one request of a check.
const checkTime = 10 * time.Second

// Check asks Okta for the least of each thing, and of what it may change asks nothing but its own roles.
func (s *Source) Check(ctx context.Context) []*curfewv1.Check {
	c := &checking{source: s.hurried(), told: map[string]told{}}
	checks := []*curfewv1.Check{c.part(ctx, "poll "+feed, probe{readsLog, logPath + "?limit=1&sortOrder=ASCENDING&since=" + s.client.Time().UTC().Format("2006-01-02T15:04:05.000Z")}), c.receive(ctx)}
	for _, kind := range s.Kinds() {
		probes := map[string][]probe{
			"people":      {{readsUsers, "/api/v1/users?limit=1"}, {readsApps, "/api/v1/apps?limit=1"}},
			"groups":      {{readsGroups, "/api/v1/groups?limit=1"}, {readsGroups, "/api/v1/groups/rules?limit=1"}, {readsApps, "/api/v1/apps?limit=1"}},
			"memberships": {{readsGroups, "/api/v1/groups?limit=1"}, {readsApps, "/api/v1/apps?limit=1"}},
			"roles":       {{readsRoles, "/api/v1/iam/assignees/users?limit=1"}, {readsGroups, "/api/v1/groups?limit=1"}, {readsApps, "/api/v1/apps?limit=1"}},
			"apps":        {{readsApps, "/api/v1/apps?limit=1"}, {readsGrants, c.someGrants(ctx)}, {readsUsers, "/api/v1/users?limit=1"}},
			"tokens":      {{readsTokens, "/api/v1/api-tokens"}},
		}[kind]
		checks = append(checks, c.part(ctx, "inventory "+kind, probes...))
	}
	for _, privilege := range []struct {
		kind    string
		right   right
		enough  []string // roles that are enough
		unclear []string // roles of which it is not confirmed
	}{
		{"admin_role", setsRoles, nil, nil},
		{"app", setsApps, []string{"APP_ADMIN"}, []string{"ORG_ADMIN"}},
		{"group", setsGroups, []string{"ORG_ADMIN", "USER_ADMIN", "GROUP_MEMBERSHIP_ADMIN"}, nil},
		{"oauth_grant", setsGrants, nil, nil},
		{"end_sessions", endsSessions, []string{"ORG_ADMIN", "USER_ADMIN"}, []string{"HELP_DESK_ADMIN"}},
	} {
		checks = append(checks, c.provision(ctx, "provision "+privilege.kind, privilege.right, append(privilege.enough, "SUPER_ADMIN"), privilege.unclear))
	}
	return checks
}

// probe is one small read and the right that it takes; with no path, none.
type probe struct {
	right right
	path  string
}

// told is what came of a probe.
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

// rateLimited is the error where Okta's rate limit lasts longer than a check waits.
type rateLimited struct{ wait time.Duration }

// Error is how long it lasts.
func (r *rateLimited) Error() string {
	return fmt.Sprintf("okta's rate limit is used up, for %v more", r.wait.Round(time.Second))
}

// hurried is the source with a client that does not wait for a rate limit beyond its context's deadline.
func (s *Source) hurried() *Source {
	client := vendorhttp.New("okta", judge)
	client.HTTP, client.MaxBody, client.Now = s.client.HTTP, s.client.MaxBody, s.client.Now
	client.Pause = func(ctx context.Context, wait time.Duration) error {
		if until, bounded := ctx.Deadline(); bounded && time.Until(until) < wait {
			return &rateLimited{wait}
		}
		return s.client.Pause(ctx, wait)
	}
	return &Source{config: s.config, base: s.base, client: client, tokens: map[string]*vendorhttp.Tokens{}}
}

func (c *checking) ask(ctx context.Context, p probe) told {
	if known, asked := c.told[p.path]; asked {
		return known
	}
	if c.dead != nil {
		return told{err: c.dead}
	}
	bounded, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	answer, err := c.source.get(bounded, p.right, p.path)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("okta did not answer within %v", checkTime)
	}
	if err != nil && !isRefusal(err) {
		c.dead = err
	}
	c.told[p.path] = told{answer, err}
	return c.told[p.path]
}

// part is whether the first probe is answered; what others lack is said.
func (c *checking) part(ctx context.Context, subject string, probes ...probe) *curfewv1.Check {
	check := &curfewv1.Check{Subject: subject, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_YES, Why: "okta answers"}
	var scopes []string
	role := ""
	for i, p := range probes {
		scopes = append(scopes, p.right.scope)
		if role != readsRoles.role {
			role = p.right.role
		}
		if p.path == "" {
			continue
		}
		err := c.ask(ctx, p).err
		if err == nil {
			continue
		}
		why, how := c.explain(err, p.right)
		if i == 0 {
			check.Verdict, check.Why, check.How = curfewv1.CheckVerdict_CHECK_VERDICT_NO, why, how
			break
		}
		check.Why += fmt.Sprintf("; without %s: %s", p.right.scope, why)
		check.How = how
	}
	check.Needs = needs(slices.Compact(scopes), role)
	return check
}

const busyAdvice = "check again in a minute; what uses the limit up is shown under Reports, Rate Limits"

// explain is why something was refused, and what to do.
func (c *checking) explain(err error, right right) (why, how string) {
	var untold *noToken
	var refused *vendorhttp.Refused
	var busy *rateLimited
	switch {
	case errors.As(err, &busy):
		return busy.Error(), busyAdvice
	case errors.As(err, &untold) && untold.refused.Status == http.StatusTooManyRequests:
		return "okta's rate limit for access tokens is used up: " + untold.refused.Error(), busyAdvice
	case errors.As(err, &refused) && refused.Status == http.StatusTooManyRequests:
		return refused.Error(), busyAdvice
	case errors.As(err, &untold) && untold.code != "":
		return untold.reason(), untold.advice
	case errors.As(err, &refused):
		return refused.Error(), c.source.advice(err, right)
	}
	return err.Error(), "check url, the secret, and the way to okta"
}

func needs(scopes []string, role string) string {
	return strings.Join(scopes, ", ") + " for a service app, the role " + role + " for it or for the token's owner; any plan"
}

// receive is whether there is a hook that sends. Which address it sends to is not for us to know.
func (c *checking) receive(ctx context.Context) *curfewv1.Check {
	check := &curfewv1.Check{
		Subject: "receive " + feed, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_OFF, Why: "no hook_secret is configured",
		How:   "name a hook_secret and add an event hook with it under Workflow, Event Hooks, with Authorization as its authentication field",
		Needs: "an event hook, of which an org has 25 at most; any plan",
	}
	if !c.source.config.HookSecret.IsSet() {
		return check
	}
	if _, err := c.source.config.HookSecret.Value(); err != nil {
		check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_NO, err.Error()
		return check
	}
	answer, err := c.ask(ctx, probe{readsHooks, "/api/v1/eventHooks"}).both()
	var hooks []struct {
		Name     string `json:"name"`
		Status   string `json:"status"`
		Verified string `json:"verificationStatus"`
		Events   struct {
			Items []string `json:"items"`
		} `json:"events"`
	}
	if err == nil && json.Unmarshal(answer.Body, &hooks) != nil {
		err = errors.New("the answer is not as it is documented")
	}
	if err != nil {
		why, _ := c.explain(err, readsHooks)
		check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED, "which event hooks there are could not be read: "+why
		return check
	}
	check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_NO, "there is no event hook that is active and verified"
	for _, hook := range hooks {
		if hook.Status == "ACTIVE" && hook.Verified == "VERIFIED" {
			check.Verdict, check.How = curfewv1.CheckVerdict_CHECK_VERDICT_YES, ""
			check.Why = fmt.Sprintf("the event hook %q sends %d event types; where to, its page in the console says", event.Clean(hook.Name), len(hook.Events.Items))
		}
	}
	return check
}

func (t told) both() (*vendorhttp.Answer, error) { return t.answer, t.err }

// someGrants is the list of the scopes of some app; "" where there is none to ask about.
func (c *checking) someGrants(ctx context.Context) string {
	answer, err := c.ask(ctx, probe{readsApps, "/api/v1/apps?limit=1"}).both()
	var apps []app
	if err != nil || json.Unmarshal(answer.Body, &apps) != nil || len(apps) == 0 || !isID(apps[0].ID) {
		return ""
	}
	return at("/api/v1/apps/", apps[0].ID, "/grants")
}

// provision is whether our own roles, and for a service app its scopes too, let something be changed. Nothing is.
func (c *checking) provision(ctx context.Context, subject string, right right, enough, unclear []string) *curfewv1.Check {
	check := &curfewv1.Check{Subject: subject, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_NO, Needs: needs([]string{right.scope}, right.role)}
	if c.dead != nil {
		check.Why, check.How = c.explain(c.dead, right)
		return check
	}
	if c.source.config.ClientID != "" {
		bounded, cancel := context.WithTimeout(ctx, checkTime)
		defer cancel()
		if _, err := c.source.keeper(right.scope).Token(bounded); err != nil {
			check.Why, check.How = c.explain(err, right)
			return check
		}
	}
	roles, err := c.ownRoles(ctx)
	has := "none"
	if len(roles) > 0 {
		has = strings.Join(roles, ", ")
	}
	in := func(list []string) bool {
		return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(list, role) })
	}
	switch {
	case err != nil:
		why, _ := c.explain(err, readsRoles)
		check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED, "our own administrator roles could not be read: "+why
	case in(enough):
		check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_YES, "our own roles are "+has+"; a role that is limited reaches what it is limited to"
	case in(append(unclear, customRole)):
		check.Verdict, check.Why = curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED, "our own roles are "+has+"; whether they let it is seen when it is done"
	default:
		check.Why, check.How = "our own roles are "+has, "give the role "+right.role
	}
	return check
}

// ownRoles are the types of the roles of the service app, or of the token's owner. That users/me is the owner of an API
// token is how Okta's clients use it, and not in the reference.
func (c *checking) ownRoles(ctx context.Context) ([]string, error) {
	path := at("/oauth2/v1/clients/", c.source.config.ClientID, "/roles")
	if c.source.config.ClientID == "" {
		answer, err := c.ask(ctx, probe{readsUsers, "/api/v1/users/me"}).both()
		if err != nil {
			return nil, err
		}
		var owner user
		if json.Unmarshal(answer.Body, &owner) != nil || !isID(owner.ID) {
			return nil, errors.New("the answer is not as it is documented")
		}
		path = at("/api/v1/users/", owner.ID, "/roles")
	}
	answer, err := c.ask(ctx, probe{readsRoles, path}).both()
	if err != nil {
		return nil, err
	}
	var roles []role
	if json.Unmarshal(answer.Body, &roles) != nil || roles == nil {
		return nil, errors.New("the answer is not as it is documented")
	}
	var types []string
	for _, r := range roles {
		if isActive(r.Status) {
			types = append(types, event.Clean(r.Type))
		}
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}
