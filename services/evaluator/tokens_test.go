// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// callersPolicy lets the admin do everything, and ann read the log.
const callersPolicy = `p, role:anyone, *, *, level:low, *, allow
p, service:admin, *, curfew/api/*, audit, *, allow
p, service:admin, *, curfew/api/*, admin, *, allow
p, person:ann, *, curfew/api/decisions, audit, read, allow
`

const callersPeople = "people: [{id: ann, emails: [ann@example.com]}, {id: bob, emails: [bob@example.com, bob@corp.example.com]}]\n"

// callers is a policy folder with people.
func callers(t *testing.T, identities string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	writeFile(t, dir, "policy.csv", callersPolicy)
	writeFile(t, dir, "identities.yaml", identities)
	return dir
}

// showing is a context of a call that shows a token.
func showing(t *testing.T, token string) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
}

// whoCalls makes a call and returns whom its event names; code and text are the answer's.
func whoCalls(t *testing.T, b *bus.Bus, ctx context.Context, conn grpc.ClientConnInterface) (subject string, err error) {
	t.Helper()
	_, err = curfewv1.NewPolicyServiceClient(conn).ListPolicyRevisions(ctx, &curfewv1.ListPolicyRevisionsRequest{})
	if status.Code(err) == codes.Unauthenticated {
		return "", err
	}
	m, failed := b.Last(t.Context(), bus.EventSubject("main", judge.Self, "api"))
	if failed != nil {
		return "", err
	}
	batch := new(curfewv1.EventBatch)
	if err := m.Decode(batch); err != nil {
		t.Fatal(err)
	}
	actor := batch.GetEvents()[0].GetActor()
	return strings.ToLower(strings.TrimPrefix(actor.GetType().String(), "ACTOR_TYPE_")) + ":" + actor.GetId(), err
}

func makeToken(t *testing.T, ctx context.Context, conn grpc.ClientConnInterface, subject string) (token *curfewv1.Token, shown string) {
	t.Helper()
	answer, err := curfewv1.NewTokenServiceClient(conn).CreateToken(ctx, &curfewv1.CreateTokenRequest{Subject: subject, Duration: durationpb.New(time.Hour), Note: "laptop"})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetToken(), answer.GetSecret()
}

// said checks code and text of an answer.
func said(t *testing.T, what string, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) || strings.Contains(status.Convert(err).Message(), "\n") {
		t.Errorf("%s: got %v, want %s with %q in one line", what, err, code, text)
	}
}

func TestATokenIsWhoItWasMadeFor(t *testing.T) {
	b := bustest.New(t)
	dir := callers(t, callersPeople)
	conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	other, _ := dialAPI(t, b, func(o *Options) { o.PolicyDir, o.Holder = dir, "replica" })
	token, shown := makeToken(t, admin, conn, "person:ann")
	if token.GetSecretDigest() != nil || token.GetAuthor() != "service:admin" || !strings.HasPrefix(shown, "curfew_"+token.GetId()+"_") || len(shown) != len("curfew_")+12+1+64 {
		t.Errorf("got %v and a secret of %d characters", token, len(shown))
	}
	ann := showing(t, shown)
	if _, _, err := query(t, ann, other, &curfewv1.QueryDecisionsRequest{}); err != nil {
		t.Errorf("on another replica, what the policy lets ann: %v", err)
	}
	subject, err := whoCalls(t, b, ann, conn)
	if subject != "person:ann" {
		t.Errorf("got an event of %q, want of person:ann", subject)
	}
	said(t, "what it does not", err, codes.PermissionDenied, "the policy does not let person:ann do this: no row allows read of audit (sensitivity 3) to person:ann; a row that would: p, person:ann, *, curfew/api/policy, audit, read, allow")
	_, service := makeToken(t, admin, conn, "service:ci")
	if subject, _ := whoCalls(t, b, showing(t, service), conn); subject != "service:ci" {
		t.Errorf("got an event of %q, want of service:ci", subject)
	}

	tokens := curfewv1.NewTokenServiceClient(conn)
	_, err = tokens.CreateToken(ann, &curfewv1.CreateTokenRequest{Subject: "person:ann", Duration: durationpb.New(time.Hour)})
	said(t, "a token makes no token", err, codes.PermissionDenied, "p, person:ann, *, curfew/api/tokens, admin, create, allow")
	_, bobs := makeToken(t, admin, conn, "person:bob")
	_, err = tokens.EndToken(showing(t, bobs), &curfewv1.EndTokenRequest{Id: token.GetId()})
	said(t, "another's token", err, codes.PermissionDenied, "the policy does not let person:bob")
	if own, err := tokens.ListTokens(ann, &curfewv1.ListTokensRequest{}); err != nil || len(own.GetTokens()) != 1 || own.GetTokens()[0].GetId() != token.GetId() {
		t.Errorf("one's own: got %v, %v", own, err)
	}
	if all, err := tokens.ListTokens(admin, &curfewv1.ListTokensRequest{}); err != nil || len(all.GetTokens()) != 3 || all.GetTokens()[2].GetId() != token.GetId() || all.GetTokens()[2].GetSecretDigest() != nil {
		t.Errorf("all, the newest first: got %v, %v", all, err)
	}

	ended, err := tokens.EndToken(ann, &curfewv1.EndTokenRequest{Id: token.GetId()})
	if err != nil || ended.GetToken().GetEndedAt() == nil {
		t.Fatalf("one's own token: got %v, %v", ended, err)
	}
	for _, replica := range []*grpc.ClientConn{conn, other} {
		_, err = whoCalls(t, b, ann, replica)
		said(t, "an ended token", err, codes.Unauthenticated, "the token "+token.GetId()+" was ended at ")
	}
	again, err := tokens.EndToken(admin, &curfewv1.EndTokenRequest{Id: token.GetId()})
	if err != nil || !proto.Equal(again.GetToken(), ended.GetToken()) {
		t.Errorf("ended twice: got %v, %v", again, err)
	}
	if left, err := tokens.ListTokens(admin, &curfewv1.ListTokensRequest{}); err != nil || len(left.GetTokens()) != 2 {
		t.Errorf("ended ones are left out: got %v, %v", left, err)
	}
}

func TestTokensThatProveNothing(t *testing.T) {
	b := bustest.New(t)
	dir := callers(t, callersPeople)
	conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	token, shown := makeToken(t, admin, conn, "person:ann")
	store := func(id, subject string, expires time.Time, format uint32) string {
		secret := bytes.Repeat([]byte{7}, secretBytes)
		digest := sha256.Sum256(secret)
		content, err := proto.Marshal(&curfewv1.Token{Format: format, Id: id, Subject: subject, SecretDigest: digest[:], ExpiresAt: timestamppb.New(expires)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Create(t.Context(), bus.Tokens, content, "main", id); err != nil {
			t.Fatal(err)
		}
		return "curfew_" + id + "_" + hex.EncodeToString(secret)
	}
	const nothing = "the call shows no valid token; the admin token stands in admin.token in the data directory"
	later := time.Now().Add(time.Hour)
	for _, c := range []struct {
		name, shown string
		code        codes.Code
		want        string
	}{
		{"a wrong secret", "curfew_" + token.GetId() + "_" + strings.Repeat("0", 64), codes.Unauthenticated, nothing},
		{"an unknown id", "curfew_" + strings.Repeat("a", 12) + shown[len("curfew_")+12:], codes.Unauthenticated, nothing},
		{"an id of another form", "curfew_*_" + strings.Repeat("0", 64), codes.Unauthenticated, nothing},
		{"no secret", "curfew_" + token.GetId() + "_", codes.Unauthenticated, nothing},
		{"half a secret", shown[:len(shown)-2], codes.Unauthenticated, nothing},
		{"nothing", "", codes.Unauthenticated, nothing},
		{"a JWT without an issuer configured", "a.b.c", codes.Unauthenticated, nothing},
		{"expired", store("expiredaaaaa", "person:ann", time.Now().Add(-time.Second), 1), codes.Unauthenticated, "the token expiredaaaaa expired at "},
		{"of nobody any more", store("nobodyaaaaaa", "person:gone", later, 1), codes.PermissionDenied, "person:gone is nobody: the policy's identities.yaml has no such id"},
		{"of a later format", store("formataaaaaa", "person:ann", later, 9), codes.Unavailable, "its format is 9 and this version knows 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := whoCalls(t, b, showing(t, c.shown), conn)
			said(t, c.name, err, c.code, c.want)
			if len(c.shown) > 64 && strings.Contains(status.Convert(err).Message(), c.shown[len(c.shown)-64:]) {
				t.Error("the answer repeats the secret")
			}
		})
	}
	two := metadata.AppendToOutgoingContext(showing(t, shown), "authorization", "Bearer "+testToken)
	_, err := whoCalls(t, b, two, conn)
	said(t, "two callers in one call", err, codes.Unauthenticated, "the call shows proof of two callers, person:ann and service:admin; show one")
	odd := metadata.AppendToOutgoingContext(showing(t, shown), "authorization", "Basic eDp5")
	_, err = whoCalls(t, b, odd, conn)
	said(t, "a proof and something else", err, codes.Unauthenticated, nothing)
}

func TestTokensThatCannotBe(t *testing.T) {
	b := bustest.New(t)
	dir := callers(t, callersPeople)
	conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	hour := durationpb.New(time.Hour)
	for _, c := range []struct {
		name    string
		request *curfewv1.CreateTokenRequest
		want    string
	}{
		{"nobody", &curfewv1.CreateTokenRequest{Duration: hour}, `subject "" is nobody who can call`},
		{"a role", &curfewv1.CreateTokenRequest{Subject: "role:staff", Duration: hour}, `subject "role:staff" is nobody who can call`},
		{"an e-mail", &curfewv1.CreateTokenRequest{Subject: "person:ann@example.com", Duration: hour}, "is nobody who can call"},
		{"a vendor's service", &curfewv1.CreateTokenRequest{Subject: "service:okta/x", Duration: hour}, "is nobody who can call"},
		{"somebody unknown", &curfewv1.CreateTokenRequest{Subject: "person:eve", Duration: hour}, "person:eve is nobody"},
		{"no end", &curfewv1.CreateTokenRequest{Subject: "person:ann"}, "the token has no end"},
		{"no length", &curfewv1.CreateTokenRequest{Subject: "person:ann", Duration: durationpb.New(0)}, "the token would last 0s"},
		{"backwards", &curfewv1.CreateTokenRequest{Subject: "person:ann", Duration: durationpb.New(-time.Hour)}, "the token would last -1h0m0s"},
		{"too long", &curfewv1.CreateTokenRequest{Subject: "person:ann", Duration: durationpb.New(longestToken + 1)}, "at most 366 days"},
		{"a length that overflows", &curfewv1.CreateTokenRequest{Subject: "person:ann", Duration: &durationpb.Duration{Seconds: 300_000_000_000}}, "at most 366 days"},
		{"a long note", &curfewv1.CreateTokenRequest{Subject: "person:ann", Duration: hour, Note: strings.Repeat("x", 513)}, "the note has 513 bytes"},
		{"a token as the note", &curfewv1.CreateTokenRequest{Subject: "person:ann", Duration: hour, Note: "was curfew_aaaaaaaaaaaa_" + strings.Repeat("0", 64)}, "holds a token itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := curfewv1.NewTokenServiceClient(conn).CreateToken(admin, c.request)
			said(t, c.name, err, codes.InvalidArgument, c.want)
		})
	}
	_, err := curfewv1.NewTokenServiceClient(conn).EndToken(admin, &curfewv1.EndTokenRequest{Id: "aaaaaaaaaaaa"})
	said(t, "no such token", err, codes.NotFound, "there is no token aaaaaaaaaaaa")
}

// noted is a log that can be read while it is written.
type noted struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *noted) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

// A secret is in the answer that made it, and nowhere else: not in what is logged, recorded, stored or answered.
func TestATokenIsNowhere(t *testing.T) {
	b := bustest.New(t)
	dir := callers(t, callersPeople)
	log := &noted{}
	conn, admin := dialAPI(t, b, func(o *Options) {
		o.PolicyDir, o.Log = dir, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	token, shown := makeToken(t, admin, conn, "person:ann")
	secret := shown[len(shown)-64:]
	tokens, ann := curfewv1.NewTokenServiceClient(conn), showing(t, shown)
	answers := &bytes.Buffer{}
	note := func(answer proto.Message, err error) {
		content, failed := proto.Marshal(answer)
		if failed != nil {
			t.Fatal(failed)
		}
		answers.Write(content)
		answers.WriteString(status.Convert(err).Message())
	}
	listed, err := tokens.ListTokens(ann, &curfewv1.ListTokensRequest{})
	note(listed, err)
	ended, err := tokens.EndToken(ann, &curfewv1.EndTokenRequest{Id: shown})
	said(t, "a whole token for an id", err, codes.InvalidArgument, "a token's id has 12 characters")
	note(ended, err)
	ended, err = tokens.EndToken(ann, &curfewv1.EndTokenRequest{Id: token.GetId()})
	note(ended, err)
	_, err = whoCalls(t, b, ann, conn)
	note(ended, err)

	stored, messages := &bytes.Buffer{}, 0
	for _, root := range []string{"event", "decision", "finding"} {
		if err := b.Read(t.Context(), bus.All(root), bus.From{}, func(m bus.Message) error {
			stored.Write(m.Data)
			messages++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	entry, err := b.Get(t.Context(), bus.Tokens, "main", token.GetId())
	if err != nil || messages < 3 {
		t.Fatalf("got %d messages, %v", messages, err)
	}
	stored.Write(entry.Value)
	raw, err := hex.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	for where, text := range map[string][]byte{"the log": log.text.Bytes(), "what is stored": stored.Bytes(), "an answer": answers.Bytes()} {
		if bytes.Contains(text, []byte(secret)) || bytes.Contains(text, raw) || bytes.Contains(text, []byte(testToken)) {
			t.Errorf("%s holds a secret", where)
		}
	}
	stored.Reset()
	if !bytes.Contains(entry.Value, func() []byte { sum := sha256.Sum256(raw); return sum[:] }()) {
		t.Error("what is stored is not its digest")
	}
}

// A stream that a token began ends with it.
func TestAnEndedTokenEndsItsStreams(t *testing.T) {
	b := bustest.New(t)
	dir := callers(t, callersPeople)
	conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	token, shown := makeToken(t, admin, conn, "person:ann")
	stream, err := curfewv1.NewDecisionServiceClient(conn).QueryDecisions(showing(t, shown), &curfewv1.QueryDecisionsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := curfewv1.NewTokenServiceClient(conn).EndToken(admin, &curfewv1.EndTokenRequest{Id: token.GetId()}); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	said(t, "the stream", err, codes.Unauthenticated, "the token "+token.GetId()+" was ended at ")
}

// A stream that a token began ends when the token does, with nobody's help.
func TestAnExpiredTokenEndsItsStreams(t *testing.T) {
	b := bustest.New(t)
	dir := callers(t, callersPeople)
	conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	answer, err := curfewv1.NewTokenServiceClient(conn).CreateToken(admin, &curfewv1.CreateTokenRequest{Subject: "person:ann", Duration: durationpb.New(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := curfewv1.NewDecisionServiceClient(conn).QueryDecisions(showing(t, answer.GetSecret()), &curfewv1.QueryDecisionsRequest{Follow: true})
	for err == nil {
		_, err = stream.Recv()
	}
	said(t, "the stream", err, codes.Unauthenticated, " at "+answer.GetToken().GetExpiresAt().AsTime().Format(time.RFC3339))
}

// An event says which proof it was, so that a token that leaked can be followed.
func TestAnEventNamesTheProof(t *testing.T) {
	b := bustest.New(t)
	dir := callers(t, callersPeople)
	conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	token, shown := makeToken(t, admin, conn, "person:ann")
	if _, _, err := query(t, showing(t, shown), conn, &curfewv1.QueryDecisionsRequest{}); err != nil {
		t.Fatal(err)
	}
	m, err := b.Last(t.Context(), bus.EventSubject("main", judge.Self, "api"))
	if err != nil {
		t.Fatal(err)
	}
	batch := new(curfewv1.EventBatch)
	if err := m.Decode(batch); err != nil {
		t.Fatal(err)
	}
	if got := batch.GetEvents()[0].GetContext(); got.GetSession() != "token "+token.GetId() || got.GetIp() != "127.0.0.1" {
		t.Errorf("got %v, want token %s from 127.0.0.1", got, token.GetId())
	}
}
