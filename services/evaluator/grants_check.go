// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const (
	// longestGrant is how far ahead a grant may end: what is to last for more than a year is no exception any more, and
	// belongs in the policy, where it is reviewed.
	longestGrant = 365 * 24 * time.Hour
	// maxGrantText bounds each text of a grant, in bytes, so that a step of its life always fits the bus.
	maxGrantText = 512
	// manyRoles is how many roles an error can name without being hard to read.
	manyRoles = 12
)

// checkGrantForm refuses what can be no grant whatever the policy and the clock say.
func checkGrantForm(q asking, emergency bool) error {
	if err := checkSubject(q.GetSubject()); err != nil {
		return err
	}
	if !strings.HasPrefix(q.GetRole(), "role:") {
		return invalid("%q is no role; write role:<name>", q.GetRole())
	}
	for _, text := range []string{q.GetSubject(), q.GetRole(), q.GetTicket(), q.GetIdempotencyKey()} {
		if len(text) > maxGrantText {
			return invalid("%.20q... has %d bytes; no text of a grant may have more than %d", text, len(text), maxGrantText)
		}
	}
	switch {
	case q.GetExpiresAt() != nil && q.GetDuration() != nil:
		return invalid("both expires_at and duration are given; an end is one or the other")
	case q.GetExpiresAt() != nil, q.GetDuration() == nil && emergency:
	case q.GetDuration() == nil:
		return invalid("expires_at is missing, and duration too: a grant without an end does not exist")
	case q.GetDuration().CheckValid() != nil || q.GetDuration().AsDuration() <= 0:
		return invalid("the grant would last %s; it must last longer than nothing", grant.SayLength(q.GetDuration().AsDuration()))
	}
	return checkText(q.GetReason())
}

// checkSubject refuses who can hold no grant.
func checkSubject(subject string) error {
	kind, id, _ := strings.Cut(subject, ":")
	system, local, inSystem := strings.Cut(id, "/")
	switch {
	case id == "" || kind != "person" && kind != "app" && kind != "service":
		return invalid("subject %q is nobody who can hold a grant; write person:<id>, app:<source>/<id> or service:<id>", subject)
	case kind == "app" && (!inSystem || system == "" || local == ""):
		return invalid("subject %q says no source; an app is app:<source>/<id>, such as app:okta/0oa1", subject)
	case kind == "person" && strings.ContainsAny(id, "@/"):
		return invalid("subject %q is no person: a person is named by a short id, as in identities.yaml, and not by an e-mail", subject)
	case strings.ContainsAny(id, ",*?\"'` {}\\") || event.Clean(id) != id:
		return invalid("subject %q holds a character that no subject has; decisions show it as %%XX", subject)
	}
	return nil
}

// checkReason refuses a step without its why.
func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return invalid("the reason is missing; whoever reads the log later will want it")
	}
	return checkText(reason)
}

func checkText(reason string) error {
	if len(reason) > maxGrantText {
		return invalid("the reason has %d bytes; no text of a grant may have more than %d", len(reason), maxGrantText)
	}
	return nil
}

// checkTerms refuses what the policy wants said and was not.
func checkTerms(terms judge.Terms, g *curfewv1.Grant) error {
	if terms.Why {
		if err := checkReason(g.GetReason()); err != nil {
			return err
		}
	}
	if terms.Ticket && strings.TrimSpace(g.GetTicket()) == "" {
		return invalid("the ticket is missing; the policy wants one for %s", g.GetRole())
	}
	return nil
}

// checkGrantTimes refuses a grant that would change what has been, never end, or last longer than the policy lets it.
func checkGrantTimes(g *curfewv1.Grant, terms judge.Terms, now time.Time) error {
	from := now.Truncate(time.Second)
	if g.GetFrom() != nil {
		from = g.GetFrom().AsTime()
	}
	until, length := g.GetExpiresAt().AsTime(), length(g, now)
	if g.GetDuration() != nil {
		until = from.Add(length)
	}
	switch {
	case from.Before(now.Truncate(time.Second)):
		return invalid("the grant would begin at %s, which has passed, and what has been judged stays; leave out when it begins to let it begin now", from.Format(time.RFC3339))
	case !until.After(now) && g.GetDuration() == nil:
		return invalid("the grant would end at %s, which has passed", until.Format(time.RFC3339))
	case !until.After(from):
		return invalid("the grant would end at %s, and not after it begins, at %s", until.Format(time.RFC3339), from.Format(time.RFC3339))
	case until.Sub(now) > longestGrant:
		return invalid("the grant would end at %s, more than 365 days from now; what lasts longer belongs in the policy", until.Format(time.RFC3339))
	case length > terms.Max:
		return invalid("the grant would last %s; by %s it may last %s at most", grant.SayLength(length), terms.MaxBy, grant.SayLength(terms.Max))
	}
	return nil
}

// length is how long a grant that is asked for now would last.
func length(g *curfewv1.Grant, now time.Time) time.Duration {
	switch {
	case g.GetDuration() != nil:
		return g.GetDuration().AsDuration()
	case g.GetFrom() != nil:
		now = later(g.GetFrom().AsTime(), now)
	}
	return g.GetExpiresAt().AsTime().Sub(now)
}

// checkHolder refuses a grant that would never count, for want of such a person or of such a role in the policy.
func checkHolder(policy *judge.Policy, subject, role string) error {
	if id, person := strings.CutPrefix(subject, "person:"); person && !policy.KnowsPerson(id) {
		return invalid("nobody in identities.yaml has the id %q", id)
	}
	roles := policy.Roles()
	if slices.Contains(roles, role) {
		return nil
	}
	near := slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return distance(r, role) > 2 })
	switch {
	case len(near) > 0:
		return invalid("the policy has no row for %s that could be given; did you mean %s?", role, strings.Join(near, " or "))
	case len(roles) == 0:
		return invalid("the policy in force names no role that could be given, so there is none to grant")
	case len(roles) <= manyRoles:
		return invalid("the policy has no row for %s that could be given; there are %s", role, strings.Join(roles, ", "))
	default:
		return invalid("the policy has no row for %s that could be given, nor for a name like it", role)
	}
}

// distance is how many letters must be put in, taken out or changed to make one name of another (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func invalid(format string, arguments ...any) error {
	return status.Error(codes.InvalidArgument, fmt.Sprintf(format, arguments...))
}
