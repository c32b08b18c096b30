// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// apiFeed is the lane that API calls are recorded in.
const apiFeed = "api"

// maxRequest is how large a request may be, in bytes: a policy of a hundred thousand rows is some five million.
const maxRequest = 16 << 20

// APIOptions says how the gRPC API is served.
type APIOptions struct {
	// Listener to serve on; the API closes it.
	Listener net.Listener
	// Token that callers may show; whoever shows it is service:admin.
	Token string
	// TLS of the connections; nil = none, which is for loopback alone.
	TLS *TLS
	// OIDC is whose tokens are believed.
	OIDC OIDC
	// Services are the names of those callers that are services, by their certificate's common name or their OIDC subject.
	Services map[string]string
}

// api serves the gRPC services. Each call is authenticated, allowed by the policy and recorded before it is answered.
type api struct {
	curfewv1.UnimplementedDecisionServiceServer
	curfewv1.UnimplementedFindingServiceServer
	curfewv1.UnimplementedPolicyServiceServer
	curfewv1.UnimplementedGrantServiceServer
	curfewv1.UnimplementedRequestServiceServer
	curfewv1.UnimplementedTokenServiceServer
	curfewv1.UnimplementedAlertServiceServer
	curfewv1.UnimplementedSilenceServiceServer
	*evaluator
	calls  atomic.Uint64
	issuer *issuer
}

// newAPI is what answers callers, and people who ask for something where alerts are shown.
func (e *evaluator) newAPI() *api {
	a := &api{evaluator: e}
	if e.API != nil {
		a.issuer = newIssuer(e.API.OIDC)
	}
	return a
}

// serve serves the API until ctx ends.
func (a *api) serve(ctx context.Context) error {
	how := []grpc.ServerOption{grpc.UnaryInterceptor(a.unary), grpc.StreamInterceptor(a.stream), grpc.MaxRecvMsgSize(maxRequest)}
	if a.API.TLS != nil {
		how = append(how, grpc.Creds(a.API.TLS.credentials()))
	}
	server := grpc.NewServer(how...)
	curfewv1.RegisterDecisionServiceServer(server, a)
	curfewv1.RegisterFindingServiceServer(server, a)
	curfewv1.RegisterPolicyServiceServer(server, a)
	curfewv1.RegisterGrantServiceServer(server, a)
	curfewv1.RegisterRequestServiceServer(server, a)
	curfewv1.RegisterTokenServiceServer(server, a)
	curfewv1.RegisterAlertServiceServer(server, a)
	curfewv1.RegisterSilenceServiceServer(server, a)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	if err := server.Serve(a.API.Listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) && ctx.Err() == nil {
		return fmt.Errorf("serve the API: %w", err)
	}
	return ctx.Err()
}

func (a *api) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := a.authenticate(ctx)
	var answer any
	if err == nil {
		answer, err = handler(ctx, request)
	}
	a.Metrics.Called(info.FullMethod, status.Code(err).String())
	return answer, err
}

func (a *api) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	err := a.whileProven(server, stream, handler)
	a.Metrics.Called(info.FullMethod, status.Code(err).String())
	return err
}

// allow records a call and asks the policy whether the caller may make it. Its object is curfew/api/<resource>, whose
// parts are joined by "/". Nil means: it is on disk, and allowed.
func (a *api) allow(ctx context.Context, action, resource string, request proto.Message) error {
	detail, err := protojson.Marshal(request)
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "the request cannot be read: %v", err) // a time beyond the years there are
	}
	e, decision, err := a.judged(ctx, action, resource)
	if err != nil {
		return err
	}
	e.Raw, e.RawDigest = detail, event.Digest(detail)
	e.Outcome = &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS}
	allowed := decision.GetVerdict() == curfewv1.Verdict_VERDICT_ALLOWED
	if !allowed {
		e.Outcome = &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE, Reason: "denied by policy"}
	}
	if err := a.record(ctx, e); err != nil {
		return status.Errorf(codes.Unavailable, "the call could not be recorded, so it is not answered: %v", err)
	}
	if !allowed {
		return refusal(callerOf(ctx), decision)
	}
	return nil
}

// lets is whether the policy would let the caller do something. It records nothing: whoever then does it asks allow.
func (a *api) lets(ctx context.Context, action, resource string) (bool, error) {
	_, decision, err := a.judged(ctx, action, resource)
	return decision.GetVerdict() == curfewv1.Verdict_VERDICT_ALLOWED, err
}

// judged is the event that a call is, and what the policy says of it. Of a call that stands for a click the policy must have
// let the caller do it then as well as now.
func (a *api) judged(ctx context.Context, action, resource string) (*curfewv1.Event, *curfewv1.Decision, error) {
	now := time.Now()
	e := a.call(callerOf(ctx), action, resource, now)
	e.Context = callContext(ctx)
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return nil, nil, status.Errorf(codes.Unavailable, "the call cannot be judged yet: %v", err)
	}
	decision := by.Decide(e)
	if clicked := callerOf(ctx).clicked; !clicked.IsZero() && decision.GetVerdict() == curfewv1.Verdict_VERDICT_ALLOWED {
		then := proto.CloneOf(e)
		then.Time = timestamppb.New(clicked)
		decision = by.Decide(then)
	}
	return e, decision, nil
}

// refusal tells a caller that the policy does not let them, and what row would where a row could.
func refusal(by caller, d *curfewv1.Decision) error {
	advice := ""
	if d.GetVerdict() == curfewv1.Verdict_VERDICT_VIOLATION && d.GetRow() == nil {
		advice = fmt.Sprintf("; a row that would: p, %s, *, %s, %s, %s, allow", by.subject, d.GetObject(), d.GetClasses()[0], d.GetAct())
	}
	return status.Errorf(codes.PermissionDenied, "the policy does not let %s do this: %s%s", by.subject, d.GetReason(), advice)
}

// record appends a call to its lane. Every replica writes to the one lane, so a write that another replica's came
// before is made again behind that.
func (a *api) record(ctx context.Context, e *curfewv1.Event) error {
	subject := bus.EventSubject(a.Tenant, judge.Self, apiFeed)
	for {
		batch := &curfewv1.EventBatch{
			Format: bus.Format, Tenant: a.Tenant, Source: judge.Self, Feed: apiFeed, Received: e.GetReceived(),
			Events: []*curfewv1.Event{e}, Records: 1,
		}
		last, err := a.Bus.Last(ctx, subject)
		switch {
		case errors.Is(err, bus.ErrNotFound):
		case err != nil:
			return err
		default:
			batch.PreviousSequence, batch.PreviousDigest = last.Sequence, last.Digest()
		}
		_, err = a.Bus.Append(ctx, subject, batch.GetPreviousSequence(), batch)
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}
