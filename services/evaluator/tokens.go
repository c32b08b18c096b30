// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// longestToken is how long a token may be worth something.
const longestToken = 366 * 24 * time.Hour

// CreateToken makes a token. Whoever may make them can act as anybody, so it always takes the right, one's own included.
// The secret is in the answer and nowhere else: an answer that is lost leaves a token that nobody can show.
func (a *api) CreateToken(ctx context.Context, request *curfewv1.CreateTokenRequest) (*curfewv1.CreateTokenResponse, error) {
	if err := checkNoSecret(request.GetSubject(), request.GetNote()); err != nil {
		return nil, err
	}
	if err := a.allow(ctx, "tokens.create", "tokens", request); err != nil {
		return nil, err
	}
	if err := a.checkToken(ctx, request); err != nil {
		return nil, err
	}
	for {
		id, shown, digest := newToken()
		now := time.Now()
		token := &curfewv1.Token{
			Format: bus.Format, Id: id, Subject: request.GetSubject(), SecretDigest: digest, Author: callerOf(ctx).subject, Note: request.GetNote(),
			Created: timestamppb.New(now), ExpiresAt: timestamppb.New(now.Add(request.GetDuration().AsDuration())),
		}
		content, err := proto.Marshal(token)
		if err != nil {
			return nil, fmt.Errorf("encode token: %w", err)
		}
		_, err = a.Bus.Create(ctx, bus.Tokens, content, a.Tenant, id)
		if errors.Is(err, bus.ErrConflict) {
			continue // the id is taken
		}
		if err != nil {
			return nil, asStatus(fmt.Errorf("make the token again: whether this one was stored is not known, and nobody has its secret: %w", err))
		}
		return &curfewv1.CreateTokenResponse{Token: shownToken(token), Secret: shown}, nil
	}
}

// checkToken refuses a token for nobody known, without an end, or that ends too late.
func (a *api) checkToken(ctx context.Context, request *curfewv1.CreateTokenRequest) error {
	kind, name, _ := strings.Cut(request.GetSubject(), ":")
	length := request.GetDuration()
	switch {
	case kind != "person" && kind != "service" || !judge.IsPersonID(name):
		return invalid("subject %q is nobody who can call; write person:<id> or service:<name>, a short name without spaces, \"/\" or \"@\"", request.GetSubject())
	case length == nil:
		return invalid("the token has no end; say how long it is to last, at most %d days", longestToken/(24*time.Hour))
	case length.CheckValid() != nil || length.AsDuration() <= 0 || length.AsDuration() > longestToken:
		return invalid("the token would last %s; it must be more than nothing and at most %d days", length.AsDuration(), longestToken/(24*time.Hour))
	case len(request.GetNote()) > maxGrantText:
		return invalid("the note has %d bytes; no text of a token may have more than %d", len(request.GetNote()), maxGrantText)
	case kind == "service":
		return nil
	}
	err := a.checkPerson(ctx, name)
	if status.Code(err) == codes.PermissionDenied {
		return invalid("%s", status.Convert(err).Message())
	}
	return err
}

// checkNoSecret refuses, before anything is recorded, texts that hold a whole token.
func checkNoSecret(texts ...string) error {
	for _, text := range texts {
		if _, rest, found := strings.Cut(text, tokenMark); found && len(rest) >= tokenIDLength+1+2*secretBytes {
			return invalid("the request holds a token itself, which nothing may record; if it is one, end it")
		}
	}
	return nil
}

// shownToken is a token as an answer holds it.
func shownToken(t *curfewv1.Token) *curfewv1.Token {
	t = proto.CloneOf(t)
	t.SecretDigest = nil
	return t
}

// ListTokens returns the tokens, the newest first: all to whom the policy lets, to others their own.
func (a *api) ListTokens(ctx context.Context, request *curfewv1.ListTokensRequest) (*curfewv1.ListTokensResponse, error) {
	own, err := a.lets(ctx, "tokens.list", "tokens")
	if err != nil {
		return nil, err
	}
	own = !own
	if err := a.allow(ctx, ownAction("tokens.list", own), ownResource(own), request); err != nil {
		return nil, err
	}
	var all []*curfewv1.Token
	done := errors.New("done")
	err = a.Bus.Watch(ctx, bus.Tokens, func(entry *bus.Entry) error {
		if entry == nil {
			return done
		}
		if len(entry.Key) != 2 || entry.Key[0] != a.Tenant {
			return nil
		}
		token, err := readStoredToken(*entry)
		if err != nil {
			return status.Error(codes.DataLoss, err.Error())
		}
		all = append(all, shownToken(token))
		return nil
	})
	if !errors.Is(err, done) {
		return nil, asStatus(err)
	}
	now := time.Now()
	all = slices.DeleteFunc(all, func(t *curfewv1.Token) bool {
		ended := t.GetEndedAt() != nil || !now.Before(t.GetExpiresAt().AsTime())
		return ended && !request.GetEnded() || own && t.GetSubject() != callerOf(ctx).subject
	})
	slices.SortFunc(all, func(a, b *curfewv1.Token) int {
		return cmp.Or(b.GetCreated().AsTime().Compare(a.GetCreated().AsTime()), strings.Compare(a.GetId(), b.GetId()))
	})
	return &curfewv1.ListTokensResponse{Tokens: all}, nil
}

// EndToken ends a token now. One that has ended is left as it is. Whose it is may end it; of others' it takes the right.
func (a *api) EndToken(ctx context.Context, request *curfewv1.EndTokenRequest) (*curfewv1.EndTokenResponse, error) {
	if !isTokenID(request.GetId()) {
		return nil, invalid("a token's id has %d characters; it is the part between the underscores, and the rest is not to be shown around", tokenIDLength)
	}
	token, revision, err := a.token(ctx, request.GetId())
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return nil, asStatus(err)
	}
	own := token.GetSubject() == callerOf(ctx).subject
	if err := a.allow(ctx, ownAction("tokens.end", own), ownResource(own), request); err != nil {
		return nil, err
	}
	for {
		if errors.Is(err, bus.ErrNotFound) {
			return nil, status.Errorf(codes.NotFound, "there is no token %s; the list of tokens, ended ones too, shows what there is", request.GetId())
		}
		if err != nil {
			return nil, asStatus(err)
		}
		now := time.Now()
		if token.GetEndedAt() != nil || !now.Before(token.GetExpiresAt().AsTime()) {
			return &curfewv1.EndTokenResponse{Token: shownToken(token)}, nil
		}
		token.EndedAt = timestamppb.New(now)
		content, failed := proto.Marshal(token)
		if failed != nil {
			return nil, fmt.Errorf("encode token: %w", failed)
		}
		_, err = a.Bus.Update(ctx, bus.Tokens, content, revision, a.Tenant, request.GetId())
		switch {
		case err == nil:
			return &curfewv1.EndTokenResponse{Token: shownToken(token)}, nil
		case !errors.Is(err, bus.ErrConflict):
			return nil, asStatus(fmt.Errorf("it is not known whether the token was ended; end it again: %w", err))
		}
		token, revision, err = a.token(ctx, request.GetId()) // somebody else was at it
	}
}

// ownAction is the action's name where the caller does it to what is their own.
func ownAction(action string, own bool) string {
	if own {
		return action + "_own"
	}
	return action
}

func ownResource(own bool) string {
	if own {
		return "own/tokens"
	}
	return "tokens"
}
