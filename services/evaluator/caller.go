// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"crypto/subtle"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// caller is who makes a call, as what the call shows proves.
type caller struct {
	subject string    // Casbin's sub: "person:<id>" or "service:<name>"
	person  string    // the id; "" for a service
	until   time.Time // when the proof ends; zero = it does not by itself
	proof   string    // which it is, for whoever has to find out later whose hands it was in; it holds no secret
	clicked time.Time // when they asked for it where alerts are shown; zero = they call
	command string    // the id of what they asked for there; "" = they call
}

// asCaller is the caller that a subject names.
func asCaller(subject string) caller {
	person, is := strings.CutPrefix(subject, "person:")
	if !is {
		person = ""
	}
	return caller{subject: subject, person: person}
}

// actor is the caller as an event names them.
func (c caller) actor() *curfewv1.Actor {
	if c.person != "" {
		return &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: c.person, Name: c.person}
	}
	name := strings.TrimPrefix(c.subject, "service:")
	return &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_SERVICE, Id: name, Name: name}
}

// callContext is where a call came from and what proved it, as an event says that.
func callContext(ctx context.Context) *curfewv1.Context {
	c := &curfewv1.Context{Session: callerOf(ctx).proof}
	if remote, known := peer.FromContext(ctx); known {
		if host, _, err := net.SplitHostPort(remote.Addr.String()); err == nil {
			c.Ip = event.IP(host)
		}
	}
	return c
}

type callerKey struct{}

// callerOf is who makes the call that ctx is of. Outside a call it is nobody, whom no policy lets do anything.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// authenticate returns ctx with the caller in it.
func (a *api) authenticate(ctx context.Context) (context.Context, error) {
	c, err := a.prove(ctx)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// prove is the caller of whom everything that the call shows is proof. Something that proves nothing is refused even
// beside a proof: what is shown and not looked at would be a guess.
func (a *api) prove(ctx context.Context) (caller, error) {
	var proven []caller
	incoming, _ := metadata.FromIncomingContext(ctx)
	for _, header := range incoming.Get("authorization") {
		c, err := a.byBearer(ctx, header)
		if err != nil {
			return caller{}, err
		}
		proven = append(proven, c)
	}
	c, shown, err := a.byCertificate(ctx)
	if err != nil {
		return caller{}, err
	}
	if shown {
		proven = append(proven, c)
	}
	if len(proven) == 0 {
		return caller{}, unproven()
	}
	first := proven[0]
	for _, other := range proven[1:] {
		if other.subject != first.subject {
			return caller{}, status.Errorf(codes.Unauthenticated, "the call shows proof of two callers, %s and %s; show one", first.subject, other.subject)
		}
		if first.until.IsZero() || !other.until.IsZero() && other.until.Before(first.until) {
			first.until = other.until
		}
		first.proof += ", " + other.proof
	}
	if first.person != "" {
		if err := a.checkPerson(ctx, first.person); err != nil {
			return caller{}, err
		}
	}
	return first, nil
}

// byBearer is the caller whom an authorization header proves.
func (a *api) byBearer(ctx context.Context, header string) (caller, error) {
	shown, bearer := strings.CutPrefix(header, "Bearer ")
	switch {
	case !bearer:
	case subtle.ConstantTimeCompare([]byte(shown), []byte(a.API.Token)) == 1:
		c := asCaller(admin)
		c.proof = "admin token"
		return c, nil
	case strings.HasPrefix(shown, tokenMark):
		return a.byToken(ctx, shown)
	case a.issuer != nil && strings.Count(shown, ".") == 2:
		return a.byOIDC(ctx, shown)
	}
	return caller{}, unproven()
}

// unproven is the answer to whoever shows no proof that is known: the same whatever is wrong with it, so that nobody
// learns which tokens there are.
func unproven() error {
	return status.Error(codes.Unauthenticated, "the call shows no valid token; the admin token stands in admin.token in the data directory")
}

// named is the caller whom a proof names: a service where the configuration says so of its name, else the person whose
// its addresses are. What is how the proof calls itself, and kind how it calls the name.
func (a *api) named(ctx context.Context, what, kind, name string, emails []string) (caller, error) {
	if service := a.API.Services[name]; service != "" && name != "" {
		return asCaller("service:" + service), nil
	}
	person, why, err := a.place(ctx, emails)
	if err != nil {
		return caller{}, err
	}
	if person == "" {
		if why == "" {
			why = "it holds no verified e-mail"
		}
		return caller{}, status.Errorf(codes.PermissionDenied, "%s names nobody known: its %s %q does not stand under api.services, and %s", what, kind, name, why)
	}
	return asCaller("person:" + person), nil
}
