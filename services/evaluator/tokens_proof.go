// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// tokenMark begins what a caller shows: "curfew_<id>_<secret>", by which scanners for secrets find one that leaked.
	tokenMark = "curfew_"
	// secretBytes is how many random bytes a secret has.
	secretBytes = 32
	// tokenIDLength is how many characters of base32 an id has: 60 bits.
	tokenIDLength = 12
)

// newToken is a token's id, what its caller shows, and the digest to store of that.
func newToken() (id, shown string, digest []byte) {
	random := make([]byte, secretBytes+tokenIDLength)
	_, _ = rand.Read(random) // never fails: https://pkg.go.dev/crypto/rand#Read
	secret := random[:secretBytes]
	id = strings.ToLower(base32.StdEncoding.EncodeToString(random[secretBytes:])[:tokenIDLength])
	sum := sha256.Sum256(secret)
	return id, tokenMark + id + "_" + hex.EncodeToString(secret), sum[:]
}

// isTokenID is whether a text can be a token's id. What cannot is not repeated anywhere: it may be a whole token.
func isTokenID(id string) bool {
	return len(id) == tokenIDLength && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// byToken is the caller whose token that is. It is read from the bus at each call, so that one that was ended elsewhere
// ends here at once, and where the bus is out of reach nothing is believed.
func (a *api) byToken(ctx context.Context, shown string) (caller, error) {
	id, text, _ := strings.Cut(strings.TrimPrefix(shown, tokenMark), "_")
	secret, err := hex.DecodeString(text)
	if err != nil || len(secret) != secretBytes || !isTokenID(id) {
		return caller{}, unproven()
	}
	token, _, err := a.token(ctx, id)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return caller{}, status.Errorf(codes.Unavailable, "the token cannot be looked at: %v", err)
	}
	sum := sha256.Sum256(secret)
	if subtle.ConstantTimeCompare(sum[:], token.GetSecretDigest()) != 1 {
		return caller{}, unproven()
	}
	until := token.GetExpiresAt().AsTime()
	switch {
	case token.GetEndedAt() != nil:
		return caller{}, status.Errorf(codes.Unauthenticated, "the token %s was ended at %s", id, token.GetEndedAt().AsTime().Format(time.RFC3339))
	case !time.Now().Before(until):
		return caller{}, status.Errorf(codes.Unauthenticated, "the token %s expired at %s", id, until.Format(time.RFC3339))
	}
	c := asCaller(token.GetSubject())
	c.until, c.proof = until, "token "+id
	return c, nil
}

// token reads a token, and its revision in the bucket. Without one the error is bus.ErrNotFound.
func (a *api) token(ctx context.Context, id string) (*curfewv1.Token, uint64, error) {
	entry, err := a.Bus.Get(ctx, bus.Tokens, a.Tenant, id)
	if err != nil {
		return nil, 0, err
	}
	token, err := readStoredToken(entry)
	return token, entry.Revision, err
}

func readStoredToken(entry bus.Entry) (*curfewv1.Token, error) {
	token := new(curfewv1.Token)
	if err := proto.Unmarshal(entry.Value, token); err != nil {
		return nil, fmt.Errorf("decode token %v: %w", entry.Key, err)
	}
	if token.GetFormat() != bus.Format {
		return nil, fmt.Errorf("decode token %v: its format is %d and this version knows %d; run a newer one", entry.Key, token.GetFormat(), bus.Format)
	}
	return token, nil
}
