// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// integrity is what an answer says of itself until the log is hashed.
const integrity = "not yet tamper-evident"

// QueryDecisions streams a part of the access log.
func (a *api) QueryDecisions(request *curfewv1.QueryDecisionsRequest, stream grpc.ServerStreamingServer[curfewv1.QueryDecisionsResponse]) error {
	ctx := stream.Context()
	action := "decisions.query"
	if request.GetPurpose() == curfewv1.Purpose_PURPOSE_EXPORT {
		action = "decisions.export"
	}
	if err := a.allow(ctx, action, "decisions", request); err != nil {
		return err
	}
	if err := checkWindow(request.GetFrom(), request.GetUntil()); err != nil {
		return err
	}
	filter := bus.All("decision", a.Tenant)
	from := bus.From{}
	if request.GetFrom() != nil {
		// A decision is stored after its event happened, but for clocks that differ.
		from.Time = earlier(request.GetFrom().AsTime(), time.Now()).Add(-judge.MaxSkew)
	}
	header, err := a.survey(ctx, request, filter, from)
	if err != nil {
		return err
	}
	if err := stream.Send(&curfewv1.QueryDecisionsResponse{Part: &curfewv1.QueryDecisionsResponse_Header{Header: header}}); err != nil {
		return err
	}
	sent := uint64(0)
	send := func(message bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := message.Decode(batch); err != nil {
			return status.Error(codes.DataLoss, err.Error())
		}
		for i, d := range batch.GetDecisions() {
			if !wanted(request, d, batch.GetReceived()) {
				continue
			}
			sent++
			record := &curfewv1.DecisionRecord{Decision: d, Sequence: message.Sequence, Index: uint32(i), Basis: batch.GetBasis()}
			if err := stream.Send(&curfewv1.QueryDecisionsResponse{Part: &curfewv1.QueryDecisionsResponse_Record{Record: record}}); err != nil {
				return err
			}
		}
		return nil
	}
	if request.GetFollow() {
		return asStatus(a.Bus.Follow(ctx, filter, from, send))
	}
	if err := a.Bus.Read(ctx, filter, from, func(m bus.Message) error {
		if m.Sequence > header.GetLastSequence() {
			return nil // behind what the header speaks of
		}
		return send(m)
	}); err != nil {
		return asStatus(err)
	}
	return stream.Send(&curfewv1.QueryDecisionsResponse{Part: &curfewv1.QueryDecisionsResponse_Trailer{
		Trailer: &curfewv1.QueryTrailer{Records: sent},
	}})
}

// wanted is whether a decision is asked for.
func wanted(q *curfewv1.QueryDecisionsRequest, d *curfewv1.Decision, received *timestamppb.Timestamp) bool {
	if q.GetSource() != "" && q.GetSource() != d.GetSource() ||
		q.GetVerdict() != curfewv1.Verdict_VERDICT_UNSPECIFIED && q.GetVerdict() != d.GetVerdict() ||
		q.GetPerson() != "" && !about(q.GetPerson(), d) {
		return false
	}
	return within(judge.Placed(d.GetTime(), received), q.GetFrom(), q.GetUntil())
}

// about is whether a decision concerns a person, given by the subject or its bare id.
func about(person string, d *curfewv1.Decision) bool {
	if !strings.Contains(person, ":") {
		person = "person:" + person
	}
	return d.GetSubject() == person || d.GetPerson() == person
}

// within is whether a time is in [from, until).
func within(at, from, until *timestamppb.Timestamp) bool {
	return (from == nil || !at.AsTime().Before(from.AsTime())) && (until == nil || at.AsTime().Before(until.AsTime()))
}

func checkWindow(from, until *timestamppb.Timestamp) error {
	for _, t := range []*timestamppb.Timestamp{from, until} {
		if t != nil && t.CheckValid() != nil {
			return status.Error(codes.InvalidArgument, "the window has a time that cannot be")
		}
	}
	if from != nil && until != nil && !from.AsTime().Before(until.AsTime()) {
		return status.Errorf(codes.InvalidArgument, "the window is empty: it ends at %s and begins at %s", until.AsTime().Format(time.RFC3339), from.AsTime().Format(time.RFC3339))
	}
	return nil
}

// survey reads the window once for what the header says: which policies judged, and what was covered.
func (a *api) survey(ctx context.Context, request *curfewv1.QueryDecisionsRequest, filter string, from bus.From) (*curfewv1.QueryHeader, error) {
	now := time.Now()
	header := &curfewv1.QueryHeader{Request: request, Time: timestamppb.New(now), Integrity: integrity}
	digests := map[string]bool{}
	// Every lane there is: one that was silent all through the window is a gap, and not nothing.
	subjects, err := a.Bus.Subjects(ctx, filter)
	if err != nil {
		return nil, asStatus(err)
	}
	lanes := map[string]*coverage{}
	for subject := range subjects {
		_, source, feed, ok := bus.SplitLane(subject)
		// Curfew's own calls come as they are made: nothing is read, so nothing can be missed.
		if ok && source != judge.Self && (request.GetSource() == "" || request.GetSource() == source) {
			lanes[subject] = &coverage{source: source, feed: feed}
		}
	}
	err = a.Bus.Read(ctx, filter, from, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return status.Error(codes.DataLoss, err.Error())
		}
		header.LastSequence = m.Sequence
		if request.GetSource() != "" && request.GetSource() != batch.GetSource() {
			return nil
		}
		for _, d := range batch.GetDecisions() {
			if d.GetPolicyDigest() != "" && within(judge.Placed(d.GetTime(), batch.GetReceived()), request.GetFrom(), request.GetUntil()) {
				digests[d.GetPolicyDigest()] = true
			}
		}
		c := lanes[m.Subject]
		if c == nil {
			return nil // Curfew's own, or a lane that began a moment ago
		}
		c.follow(m.Sequence, batch.GetPreviousSequence())
		c.deadLetters += uint64(batch.GetDeadLetters())
		if span := batch.GetCoverage(); span != nil {
			c.add(span.GetFrom().AsTime(), span.GetUntil().AsTime())
		}
		return nil
	})
	if err != nil {
		return nil, asStatus(err)
	}
	header.PolicyDigests = slices.Sorted(maps.Keys(digests))
	for _, subject := range slices.Sorted(maps.Keys(lanes)) {
		header.Coverage = append(header.Coverage, lanes[subject].message(request.GetFrom(), request.GetUntil(), now))
	}
	return header, nil
}

// asStatus makes an error of the bus one of the API's.
func asStatus(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	if _, already := status.FromError(err); already {
		return err
	}
	return status.Error(codes.Unavailable, err.Error())
}

// ListFindings streams findings.
func (a *api) ListFindings(request *curfewv1.ListFindingsRequest, stream grpc.ServerStreamingServer[curfewv1.ListFindingsResponse]) error {
	ctx := stream.Context()
	if err := a.allow(ctx, "findings.list", "findings", request); err != nil {
		return err
	}
	if err := checkWindow(request.GetFrom(), request.GetUntil()); err != nil {
		return err
	}
	// A finding is written again when an evaluator crashed before its decisions: the id tells.
	seen := map[string]bool{}
	return asStatus(a.Bus.Read(ctx, bus.All("finding", a.Tenant), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return status.Error(codes.DataLoss, err.Error())
		}
		if seen[f.GetId()] || !wantedFinding(request, f) {
			return nil
		}
		seen[f.GetId()] = true
		return stream.Send(&curfewv1.ListFindingsResponse{Finding: f})
	}))
}

func wantedFinding(q *curfewv1.ListFindingsRequest, f *curfewv1.Finding) bool {
	if f.GetSeverity() < q.GetSeverity() ||
		q.GetDetection() != "" && q.GetDetection() != f.GetDetection() ||
		q.GetSource() != "" && q.GetSource() != f.GetEvent().GetSource() ||
		q.GetPerson() != "" && !about(q.GetPerson(), f.GetDecision()) {
		return false
	}
	at := f.GetTime()
	if f.GetEvent() != nil {
		at = judge.Placed(at, f.GetEvent().GetReceived())
	}
	return within(at, q.GetFrom(), q.GetUntil())
}

// ExplainDecision judges a question.
func (a *api) ExplainDecision(ctx context.Context, request *curfewv1.ExplainDecisionRequest) (*curfewv1.ExplainDecisionResponse, error) {
	if err := a.allow(ctx, "policy.explain", "policy", request); err != nil {
		return nil, err
	}
	if !judge.IsTyped(request.GetSubject()) {
		return nil, status.Errorf(codes.InvalidArgument, "subject %q has no type; write person:, app:, service:, unknown: or role: in front", request.GetSubject())
	}
	if !slices.Contains(catalog.Acts(), request.GetAct()) {
		return nil, status.Errorf(codes.InvalidArgument, "act %q is not one of %s", request.GetAct(), strings.Join(catalog.Acts(), " "))
	}
	at := time.Now()
	if request.GetTime() != nil {
		at = request.GetTime().AsTime()
	}
	by, err := a.knowledge.since(ctx, time.Now())
	if err != nil {
		return nil, asStatus(err)
	}
	answer, err := by.Explain(request.GetSubject(), request.GetObject(), request.GetAct(), request.GetClasses(), at)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	answer.Basis = by.basis
	return answer, nil
}
