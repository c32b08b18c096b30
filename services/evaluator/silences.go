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

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// onSilences is what calls about silences are about, with the kind behind it.
const onSilences = "silences"

const (
	plainSilence = curfewv1.SilenceKind_SILENCE_KIND_SILENCE
	mute         = curfewv1.SilenceKind_SILENCE_KIND_MUTE
	expected     = curfewv1.SilenceKind_SILENCE_KIND_EXPECTED
)

func aboutSilence(kind curfewv1.SilenceKind) string {
	return resource(onSilences, strings.ToLower(strings.TrimPrefix(kind.String(), "SILENCE_KIND_")))
}

// CreateSilence makes a silence; one that says that something is expected waits for a second person.
func (a *api) CreateSilence(ctx context.Context, request *curfewv1.CreateSilenceRequest) (*curfewv1.CreateSilenceResponse, error) {
	const action = "silences.create"
	about := aboutSilence(cmp.Or(request.GetKind(), plainSilence))
	if err := a.allow(ctx, action, about, request); err != nil {
		return nil, err
	}
	open, err := a.alerts(ctx, func(one *curfewv1.Alert) bool { return one.GetState() != resolved })
	if err != nil {
		return nil, err
	}
	s, err := a.makeSilence(ctx, request, &curfewv1.Silence{Id: silenceID("")})
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	fits := uint64(0)
	for _, one := range open {
		if alert.Covers(s.GetMatch(), one) {
			fits++
		}
	}
	return &curfewv1.CreateSilenceResponse{Silence: s, Fits: new(fits), Open: new(uint64(len(open)))}, a.noteSilence(ctx, s)
}

// noteSilence says on the alert that a silence is of that it was made; once, however often it is called.
func (a *api) noteSilence(ctx context.Context, s *curfewv1.Silence) error {
	return a.noteOnce(ctx, s, saySilence(s))
}

// noteOnce says something of a silence on the alert that it was made of, where that does not say it yet.
func (a *api) noteOnce(ctx context.Context, s *curfewv1.Silence, text string) error {
	if s.GetAlertId() == "" {
		return nil
	}
	_, err := a.changeAlert(ctx, s.GetAlertId(), func(newest *curfewv1.Alert, now time.Time) (*curfewv1.Alert, string, error) {
		if newest.GetId() == "" || slices.ContainsFunc(newest.GetNotes(), func(n *curfewv1.AlertNote) bool { return n.GetText() == text }) {
			return nil, "", nil
		}
		return alert.Note(newest, callerOf(ctx).subject, text, false, now), text, nil
	})
	if err != nil {
		return status.Errorf(codes.Unavailable, "the silence %s is stored, and its alert does not say so yet; ask for it again within a minute: %s", s.GetId(), status.Convert(err).Message())
	}
	return nil
}

// makeSilence stores what is asked for in a silence that has its id. Where one of that id stands already, or the author made
// the same just before, it is that one.
func (a *api) makeSilence(ctx context.Context, q *curfewv1.CreateSilenceRequest, s *curfewv1.Silence) (*curfewv1.Silence, error) {
	if err := a.fillSilence(ctx, q, s, time.Now()); err != nil {
		return nil, err
	}
	if same, err := a.sameSilence(ctx, s); same != nil || err != nil {
		return same, err
	}
	content, err := proto.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode silence: %w", err)
	}
	_, err = a.Bus.Create(ctx, bus.Silences, content, a.Tenant, s.GetId())
	if errors.Is(err, bus.ErrConflict) {
		s, _, err = a.silence(ctx, s.GetId())
		return s, err
	}
	if err != nil {
		return nil, asStatus(fmt.Errorf("it is not known whether the silence was stored; look at the list of silences: %w", err))
	}
	return s, nil
}

// silence is the one with an id, and its revision.
func (e *evaluator) silence(ctx context.Context, id string) (*curfewv1.Silence, uint64, error) {
	entry, err := e.Bus.Get(ctx, bus.Silences, e.Tenant, id)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, 0, status.Errorf(codes.NotFound, "there is no silence %q; the list of silences, ended ones too, shows what there is", id)
	}
	if err != nil {
		return nil, 0, asStatus(err)
	}
	s, err := readSilence(entry)
	return s, entry.Revision, err
}

func readSilence(entry bus.Entry) (*curfewv1.Silence, error) {
	s := new(curfewv1.Silence)
	if err := proto.Unmarshal(entry.Value, s); err != nil {
		return nil, status.Errorf(codes.DataLoss, "decode silence %v: %v", entry.Key, err)
	}
	if s.GetFormat() != bus.Format {
		return nil, status.Errorf(codes.DataLoss, "decode silence %v: its format is %d and this version knows %d; run a newer one", entry.Key, s.GetFormat(), bus.Format)
	}
	return s, nil
}

// ListSilences returns silences, the first to end first.
func (a *api) ListSilences(ctx context.Context, request *curfewv1.ListSilencesRequest) (*curfewv1.ListSilencesResponse, error) {
	if err := a.allow(ctx, "silences.list", onSilences, request); err != nil {
		return nil, err
	}
	now := time.Now()
	all, err := a.silences(ctx, func(s *curfewv1.Silence) bool { return request.GetEnded() || !alert.HasEnded(s, now) })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *curfewv1.Silence) int {
		return cmp.Or(silenceEnd(a).Compare(silenceEnd(b)), strings.Compare(a.GetId(), b.GetId()))
	})
	return &curfewv1.ListSilencesResponse{Silences: all}, nil
}

// silences is the silences that a caller wants, in no order.
func (a *api) silences(ctx context.Context, wanted func(*curfewv1.Silence) bool) (all []*curfewv1.Silence, err error) {
	done := errors.New("done")
	err = a.Bus.Watch(ctx, bus.Silences, func(entry *bus.Entry) error {
		if entry == nil {
			return done
		}
		if len(entry.Key) != 2 || entry.Key[0] != a.Tenant {
			return nil
		}
		s, err := readSilence(*entry)
		if err == nil && wanted(s) {
			all = append(all, s)
		}
		return err
	})
	if !errors.Is(err, done) {
		return nil, asStatus(err)
	}
	return all, nil
}

func silenceEnd(s *curfewv1.Silence) time.Time {
	if s.GetEnded() != nil {
		return s.GetEnded().AsTime()
	}
	return s.GetUntil().AsTime()
}

// findSilence is the silence that a call is about, once the call is recorded and allowed: its author needs no row to end it.
func (a *api) findSilence(ctx context.Context, id, action string, request proto.Message) (s *curfewv1.Silence, about string, err error) {
	s, _, err = a.silence(ctx, id)
	about = aboutSilence(s.GetKind())
	switch {
	case status.Code(err) == codes.NotFound:
		if denied := a.allow(ctx, action, onSilences, request); denied != nil {
			return nil, "", denied
		}
		return nil, "", err
	case err != nil:
		return nil, "", err
	case action == "silences.end" && s.GetAuthor() == callerOf(ctx).subject:
		about = onOwn + "/silence"
	}
	return s, about, a.allow(ctx, action, about, request)
}

// ApproveSilence says yes to a silence that needs a second person. What is expected from then on is resolved.
func (a *api) ApproveSilence(ctx context.Context, request *curfewv1.ApproveSilenceRequest) (*curfewv1.ApproveSilenceResponse, error) {
	const action = "silences.approve"
	_, about, err := a.findSilence(ctx, request.GetId(), action, request)
	if err != nil {
		return nil, err
	}
	s, err := a.approveSilence(ctx, request)
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	return &curfewv1.ApproveSilenceResponse{Silence: s}, a.resolveExpected(ctx, s)
}

func (a *api) approveSilence(ctx context.Context, request *curfewv1.ApproveSilenceRequest) (*curfewv1.Silence, error) {
	by := callerOf(ctx)
	if by.person == "" {
		return nil, sayNoPerson(by)
	}
	if err := cmp.Or(checkLength("the comment", request.GetComment()), a.checkPerson(ctx, by.person)); err != nil {
		return nil, err
	}
	return a.changeSilence(ctx, request.GetId(), func(s *curfewv1.Silence, now time.Time) (bool, error) {
		switch {
		case slices.ContainsFunc(s.GetApprovals(), func(yes *curfewv1.Approval) bool { return yes.GetAuthor() == by.subject }):
			return false, nil // the same call again, or the same person: they count once
		case s.GetAuthor() == by.subject:
			return false, status.Error(codes.PermissionDenied, "you proposed it yourself: somebody else has to say yes")
		case s.GetMatch().GetEntity() == by.subject:
			return false, status.Error(codes.PermissionDenied, "it is about you: somebody else has to say yes")
		case s.GetEnded() != nil:
			return false, status.Errorf(codes.FailedPrecondition, "%s ended it at %s", s.GetEnder(), alert.Moment(s.GetEnded().AsTime()))
		case alert.HasEnded(s, now):
			return false, status.Errorf(codes.FailedPrecondition, "its time was over at %s", alert.Moment(s.GetUntil().AsTime()))
		case alert.IsApproved(s):
			return false, status.Errorf(codes.FailedPrecondition, "nobody's yes is missing")
		}
		if author := asCaller(s.GetAuthor()).person; author != "" {
			if err := a.checkPerson(ctx, author); err != nil {
				return false, cmp.Or(asLeft(err), err)
			}
		}
		s.Approvals = append(s.Approvals, &curfewv1.Approval{Author: by.subject, Time: timestamppb.New(now), Comment: request.GetComment()})
		return true, nil
	})
}

// asLeft is what is said of a proposal whose author has left since; nil where that is not what an error says.
func asLeft(err error) error {
	if status.Code(err) != codes.PermissionDenied {
		return nil
	}
	return status.Errorf(codes.FailedPrecondition, "whoever proposed it counts no longer: %s; propose it anew", status.Convert(err).Message())
}

// EndSilence ends a silence now, or refuses one that is proposed. What is over is left as it is.
func (a *api) EndSilence(ctx context.Context, request *curfewv1.EndSilenceRequest) (*curfewv1.EndSilenceResponse, error) {
	if _, _, err := a.findSilence(ctx, request.GetId(), "silences.end", request); err != nil {
		return nil, err
	}
	s, err := a.changeSilence(ctx, request.GetId(), endedBy(callerOf(ctx)))
	if err == nil && !alert.IsApproved(s) { // that one in force has ended the notifier says
		err = a.noteOnce(ctx, s, fmt.Sprintf("The proposal %s was withdrawn.", s.GetId()))
	}
	return &curfewv1.EndSilenceResponse{Silence: s}, err
}

func endedBy(by caller) func(*curfewv1.Silence, time.Time) (bool, error) {
	return func(s *curfewv1.Silence, now time.Time) (bool, error) {
		if alert.HasEnded(s, now) {
			return false, nil
		}
		s.Ended, s.Ender = timestamppb.New(now), by.subject
		return true, nil
	}
}

// changeSilence stores what take makes of a silence, again where somebody else was at it; take returns false where nothing
// is to change.
func (a *api) changeSilence(ctx context.Context, id string, take func(s *curfewv1.Silence, now time.Time) (bool, error)) (*curfewv1.Silence, error) {
	for {
		s, revision, err := a.silence(ctx, id)
		if err != nil {
			return nil, err
		}
		changed, err := take(s, time.Now())
		if err != nil || !changed {
			return s, err
		}
		content, err := proto.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("encode silence: %w", err)
		}
		_, err = a.Bus.Update(ctx, bus.Silences, content, revision, a.Tenant, id)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return nil, asStatus(fmt.Errorf("it is not known whether that was stored; look at the list of silences: %w", err))
		}
	}
}

// resolveExpected resolves what a silence that is in force says is expected.
func (a *api) resolveExpected(ctx context.Context, s *curfewv1.Silence) error {
	now := time.Now()
	if s.GetKind() != expected || !alert.InForce(s, now) {
		return nil
	}
	covered, err := a.alerts(ctx, func(one *curfewv1.Alert) bool { return one.GetState() != resolved && alert.Covers(s.GetMatch(), one) })
	if err != nil {
		return err
	}
	what := fmt.Sprintf("expected until %s: %s", alert.Moment(s.GetUntil().AsTime()), s.GetReason())
	for _, one := range covered {
		if _, err := a.changeAlert(ctx, one.GetId(), resolve(callerOf(ctx), what)); err != nil {
			return err
		}
	}
	return nil
}
