// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
	"github.com/curfewhq/curfew/services/evaluator/workbench"
)

// ApplyPolicy makes files, or those of an earlier revision, the next revision. Sent again after a lost answer it changes
// nothing: the newest revision has that digest. Of two that are sent at once, both without an expected digest, one comes
// after the other; with one, whoever is second gets ABORTED.
func (a *api) ApplyPolicy(ctx context.Context, request *curfewv1.ApplyPolicyRequest) (*curfewv1.ApplyPolicyResponse, error) {
	if err := a.allow(ctx, "policy.apply", "policy", withoutFiles(request, request.GetFiles())); err != nil {
		return nil, err
	}
	if err := checkReason(request.GetReason()); err != nil {
		return nil, err
	}
	policy, err := a.candidate(ctx, request.GetFiles(), request.GetRevision())
	if err != nil {
		return nil, err
	}
	if err := (workbench.Bench{Catalog: a.Catalog, Tenant: a.Tenant, Now: time.Now()}).LockedOut(policy); err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	if err := a.lockedOut(policy, callerOf(ctx).subject); err != nil {
		return nil, err
	}
	if request.GetDryRun() {
		return a.tryPolicy(ctx, policy, request)
	}
	applied, unchanged, err := a.policies.apply(ctx, policy, callerOf(ctx).subject, request.GetReason(), request.GetExpectedDigest())
	if errors.Is(err, errSuperseded) {
		return nil, a.superseded(request.GetExpectedDigest())
	}
	if err != nil {
		return nil, asStatus(err)
	}
	return &curfewv1.ApplyPolicyResponse{Revision: applied.policy.record, Unchanged: unchanged}, nil
}

// lockedOut is an error where neither whoever calls nor the admin token could change the policy again, now or once the rows
// that end have ended: whom the policy lets administer must also be able to call.
func (a *api) lockedOut(policy *judge.Policy, caller string) error {
	now := time.Now()
	for _, at := range []time.Time{now, now.AddDate(100, 0, 0)} {
		if !slices.ContainsFunc([]string{admin, caller}, func(who string) bool {
			answer, err := policy.Suppose(who, a.Tenant, at).Ask(judge.Self+"/api/policy", "admin", "administer")
			return err == nil && answer.Allowed
		}) {
			return status.Errorf(codes.FailedPrecondition, "the policy would lock you out: %s could not change it again, now or once the rows that end have ended; add a row such as: p, %s, *, %s/api/*, admin, *, allow", caller, caller, judge.Self)
		}
	}
	return nil
}

// tryPolicy is what ApplyPolicy would answer, without a start: that follows from when it is stored.
func (a *api) tryPolicy(ctx context.Context, policy *judge.Policy, request *curfewv1.ApplyPolicyRequest) (*curfewv1.ApplyPolicyResponse, error) {
	if err := a.policies.load(ctx); err != nil {
		return nil, asStatus(err)
	}
	newest := a.policies.newest()
	if newest.policy.Digest() == policy.Digest() {
		return &curfewv1.ApplyPolicyResponse{Revision: newest.policy.record, Unchanged: true}, nil
	}
	if expected := request.GetExpectedDigest(); expected != "" && expected != newest.policy.Digest() {
		return nil, a.superseded(expected)
	}
	return &curfewv1.ApplyPolicyResponse{Revision: &curfewv1.PolicyRevision{
		Number: newest.number + 1, Digest: policy.Digest(), Author: callerOf(ctx).subject, Reason: request.GetReason(),
	}}, nil
}

func (a *api) superseded(expected string) error {
	newest := a.policies.newest().policy.record
	return status.Errorf(codes.Aborted, "the newest revision is not %s: %s applied revision %d (%s) with the digest %s; look at it, then apply again and expect that digest",
		expected, newest.GetAuthor(), newest.GetNumber(), newest.GetReason(), newest.GetDigest())
}

// candidate makes a policy of files or of an earlier revision.
func (a *api) candidate(ctx context.Context, files map[string][]byte, revision uint64) (*judge.Policy, error) {
	switch {
	case len(files) > 0 && revision > 0:
		return nil, invalid("there are files and a revision; give one of them")
	case len(files) == 0 && revision == 0:
		return nil, invalid("there are neither files nor a revision; give one of them")
	case revision == 0:
		policy, err := judge.NewPolicy(files, a.Catalog)
		if err != nil {
			return nil, invalid("%v", err)
		}
		return policy, nil
	}
	stored, err := a.revision(ctx, revision)
	if err != nil {
		return nil, err
	}
	policy, err := stored.policy.get(ctx)
	return policy, asStatus(err)
}

// revision is the one of a number, the newest for 0.
func (a *api) revision(ctx context.Context, number uint64) (revision, error) {
	if err := a.policies.load(ctx); err != nil {
		return revision{}, asStatus(err)
	}
	revisions := a.policies.now()
	if number == 0 {
		number = uint64(len(revisions))
	}
	if number > uint64(len(revisions)) {
		return revision{}, status.Errorf(codes.NotFound, "there is no policy revision %d; the newest is %d", number, len(revisions))
	}
	return revisions[number-1], nil
}

// ListPolicyRevisions returns all of them.
func (a *api) ListPolicyRevisions(ctx context.Context, request *curfewv1.ListPolicyRevisionsRequest) (*curfewv1.ListPolicyRevisionsResponse, error) {
	if err := a.allow(ctx, "policy.log", "policy", request); err != nil {
		return nil, err
	}
	if err := a.policies.load(ctx); err != nil {
		return nil, asStatus(err)
	}
	answer := &curfewv1.ListPolicyRevisionsResponse{}
	for _, r := range a.policies.now() {
		answer.Revisions = append(answer.Revisions, r.policy.record)
	}
	return answer, nil
}

// GetPolicyRevision returns one with its files.
func (a *api) GetPolicyRevision(ctx context.Context, request *curfewv1.GetPolicyRevisionRequest) (*curfewv1.GetPolicyRevisionResponse, error) {
	if err := a.allow(ctx, "policy.show", "policy", request); err != nil {
		return nil, err
	}
	r, err := a.revision(ctx, request.GetNumber())
	if err != nil {
		return nil, err
	}
	whole := proto.CloneOf(r.policy.record)
	if whole.Files, err = r.policy.files(ctx); err != nil {
		return nil, asStatus(err)
	}
	return &curfewv1.GetPolicyRevisionResponse{Revision: whole}, nil
}

// withoutFiles is a request as the record of its call shows it, with each file by its digest: the files may be larger than
// an event can be, and what is applied stands in its revision.
func withoutFiles(request proto.Message, files map[string][]byte) proto.Message {
	shown := request.ProtoReflect().New()
	request.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Name() != "files" {
			shown.Set(field, value)
		}
		return true
	})
	record := new(structpb.Struct)
	detail, err := protojson.Marshal(shown.Interface())
	if err == nil {
		err = protojson.Unmarshal(detail, record)
	}
	if err != nil {
		return shown.Interface() // a text that is no UTF-8: it is refused when the call is recorded
	}
	digests := map[string]*structpb.Value{}
	for name, content := range files {
		digests[event.Clean(name)] = structpb.NewStringValue(fmt.Sprintf("%d bytes, SHA-256 %s", len(content), event.Digest(content)))
	}
	if len(digests) > 0 {
		record.Fields["files"] = structpb.NewStructValue(&structpb.Struct{Fields: digests})
	}
	return record
}
