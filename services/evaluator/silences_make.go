// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// longestSilence, longestMute and longestExpected are for how long each kind may keep alerts back.
	longestSilence  = 30 * 24 * time.Hour
	longestMute     = 7 * 24 * time.Hour
	longestExpected = 90 * 24 * time.Hour
	// longestCritical is for how long an alert may be muted that should wake somebody.
	longestCritical = 24 * time.Hour
)

// silenceID is the id that a key stands for, or a new one where there is no key: 60 bits in lower case.
func silenceID(key string) string {
	sum := sha256.Sum256([]byte(key))
	if key == "" {
		_, _ = rand.Read(sum[:]) // it never returns an error
	}
	return "s-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:12])
}

// fillSilence makes of what is asked for a silence that can be.
func (a *api) fillSilence(ctx context.Context, q *curfewv1.CreateSilenceRequest, s *curfewv1.Silence, now time.Time) error {
	s.Format, s.Tenant, s.Author, s.Reason, s.Kind = bus.Format, a.Tenant, callerOf(ctx).subject, q.GetReason(), cmp.Or(q.GetKind(), plainSilence)
	if s.Match = proto.CloneOf(q.GetMatch()); s.Match == nil {
		s.Match = &curfewv1.SilenceMatch{}
	}
	s.Match.Entity = asEntity(s.Match.GetEntity())
	if err := cmp.Or(checkMatch(s), checkWhy(s.GetReason()), setSpan(s, q, now)); err != nil {
		return err
	}
	if s.GetKind() == expected {
		s.ApprovalsNeeded = 1
	}
	if s.GetMatch().GetEntity() == s.GetAuthor() {
		return sayOwn()
	}
	if s.GetMatch().GetAlertId() == "" {
		return nil
	}
	of, err := a.alert(ctx, s.GetMatch().GetAlertId())
	if err != nil {
		return err
	}
	if of.GetEntity() == s.GetAuthor() {
		return sayOwn()
	}
	s.AlertId, s.Match.AlertId = of.GetId(), of.GetId()
	if err := checkFits(s.GetMatch(), of); err != nil {
		return err
	}
	switch {
	case s.GetKind() == mute && of.GetState() == resolved:
		return sayResolved(of)
	case s.GetKind() == expected:
		s.Match = &curfewv1.SilenceMatch{Detection: of.GetFinding().GetDetection(), Entity: of.GetEntity(), DataClass: of.GetDataClass(), Source: s.Match.GetSource(), Object: s.Match.GetObject(), Severity: s.Match.GetSeverity()}
		s.Row = missingRow(of, s.Match.GetObject())
	case of.GetSeverity() == curfewv1.Severity_SEVERITY_CRITICAL && s.GetUntil().AsTime().Sub(s.GetFrom().AsTime()) > longestCritical:
		return invalid("the alert is critical, and can be kept quiet for %s at most", grant.SayLength(longestCritical))
	case of.GetSeverity() != curfewv1.Severity_SEVERITY_CRITICAL && s.GetMatch().GetSeverity() == curfewv1.Severity_SEVERITY_UNSPECIFIED:
		s.Match.Severity = curfewv1.Severity_SEVERITY_HIGH // becoming critical ends the quiet
	}
	return nil
}

// checkMatch refuses a silence that covers everything, or that its kind cannot cover.
func checkMatch(s *curfewv1.Silence) error {
	m := s.GetMatch()
	for _, text := range []string{m.GetAlertId(), m.GetDetection(), m.GetEntity(), m.GetDataClass(), m.GetSource(), m.GetObject()} {
		switch {
		case len(text) > maxGrantText:
			return invalid("%.20q... has %d bytes; no text of a silence may have more than %d", text, len(text), maxGrantText)
		case strings.Contains(text, "*"):
			return invalid("%q would fit nothing: \"*\" is no pattern here, and each value is written whole; leave out what may be anything", text)
		}
	}
	if _, known := curfewv1.Severity_name[int32(m.GetSeverity())]; !known {
		return invalid("a severity %d is not known", m.GetSeverity())
	}
	rest := m.GetDetection() + m.GetEntity() + m.GetDataClass() + m.GetSource() + m.GetObject()
	switch {
	case m.GetAlertId() == "" && rest == "":
		return invalid("the silence would cover every alert; say which: an alert, a detection, an entity, a data class, a source or an object")
	case s.GetKind() == mute && (m.GetAlertId() == "" || rest != ""):
		return invalid("one alert can be muted: give its id and nothing else; what covers more is a silence")
	case s.GetKind() == expected && m.GetAlertId() == "" && (m.GetEntity() == "" || m.GetDetection() == ""):
		return invalid("what is expected is said of an alert, or of an entity and a detection")
	}
	return nil
}

// checkFits refuses what is said of an alert beside its id and is not so of it: both together would cover nothing.
func checkFits(m *curfewv1.SilenceMatch, of *curfewv1.Alert) error {
	for _, part := range []struct{ name, want, got string }{
		{"detection", m.GetDetection(), of.GetFinding().GetDetection()}, {"entity", m.GetEntity(), of.GetEntity()}, {"data class", m.GetDataClass(), of.GetDataClass()},
		{"source", m.GetSource(), of.GetFinding().GetEvent().GetSource()}, {"object", m.GetObject(), of.GetObject()},
	} {
		if part.want != "" && part.want != part.got {
			return invalid("the %s of the alert is %s, and not %q: both together would fit nothing; give the alert alone", part.name, cmp.Or(part.got, "not one alone, or not known"), part.want)
		}
	}
	if m.GetSeverity() != curfewv1.Severity_SEVERITY_UNSPECIFIED && of.GetSeverity() > m.GetSeverity() {
		return invalid("the alert is %s, and what is above %s would not be kept back: both together would fit nothing", alert.Word(of.GetSeverity()), alert.Word(m.GetSeverity()))
	}
	return nil
}

// sameSilence is the one that its author made just before and that is not over: of the same kind, scope and times, to a
// minute. It is nil where there is none, and an error where that one has another reason, which would be lost.
func (a *api) sameSilence(ctx context.Context, s *curfewv1.Silence) (*curfewv1.Silence, error) {
	near := func(a, b *timestamppb.Timestamp) bool { return a.AsTime().Sub(b.AsTime()).Abs() <= time.Minute }
	now := time.Now()
	same, err := a.silences(ctx, func(one *curfewv1.Silence) bool {
		return one.GetAuthor() == s.GetAuthor() && one.GetKind() == s.GetKind() && proto.Equal(one.GetMatch(), s.GetMatch()) &&
			near(one.GetFrom(), s.GetFrom()) && near(one.GetUntil(), s.GetUntil()) && !alert.HasEnded(one, now)
	})
	switch {
	case status.Code(err) == codes.DataLoss: // one of a later version, say: it may keep nobody from a silence
		return nil, nil
	case err != nil || len(same) == 0:
		return nil, err
	}
	if one := same[0]; one.GetReason() != s.GetReason() {
		return nil, status.Errorf(codes.AlreadyExists, "you made the same just now, %s, until %s: %s; end that one first, or give another end",
			one.GetId(), alert.Moment(one.GetUntil().AsTime()), one.GetReason())
	}
	return same[0], nil
}

// setSpan sets from when until when a silence is, and refuses one without an end, or with one too late.
func setSpan(s *curfewv1.Silence, q *curfewv1.CreateSilenceRequest, now time.Time) error {
	from := now
	if q.GetFrom() != nil {
		if from = q.GetFrom().AsTime(); q.GetFrom().CheckValid() != nil || from.Before(now.Truncate(time.Second)) || from.After(now.Add(longestExpected)) {
			return invalid("the silence would begin at %s, which has passed or is more than %s away; leave it out to let it begin now", from.Format(time.RFC3339), grant.SayLength(longestExpected))
		}
	}
	until := q.GetUntil().AsTime()
	switch {
	case (q.GetUntil() == nil) == (q.GetDuration() == nil):
		return invalid("a silence has an end: give until, or duration")
	case q.GetDuration() != nil && q.GetDuration().CheckValid() != nil, q.GetUntil() != nil && q.GetUntil().CheckValid() != nil:
		return invalid("the end is no time")
	case q.GetDuration() != nil:
		until = from.Add(q.GetDuration().AsDuration())
	}
	longest := map[curfewv1.SilenceKind]time.Duration{plainSilence: longestSilence, mute: longestMute, expected: longestExpected}[s.GetKind()]
	switch {
	case longest == 0:
		return invalid("a silence of kind %d is not known", s.GetKind())
	case !until.After(from):
		return invalid("the silence would end at %s, and not after it begins, at %s", until.Format(time.RFC3339), from.Format(time.RFC3339))
	case until.Sub(from) > longest:
		return invalid("it would last %s, and may last %s at most; what lasts longer belongs in the policy, where it is reviewed",
			grant.SayLength(until.Sub(from)), grant.SayLength(longest))
	}
	s.From, s.Until = timestamppb.New(from), timestamppb.New(until)
	return nil
}

// missingRow is the row of the policy that would let whoever an alert is about do what it is about, to one object or, where that
// is "", at all of the source; "" where none would, or it is about nothing that is judged.
func missingRow(a *curfewv1.Alert, object string) string {
	d := a.GetFinding().GetDecision()
	if d.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION || d.GetRow() != nil || a.GetDataClass() == "" {
		return ""
	}
	return fmt.Sprintf("p, %s, *, %s, %s, %s, allow", d.GetSubject(), cmp.Or(object, d.GetSource()+"/*"), a.GetDataClass(), d.GetAct())
}

// saySilence is what a silence does, for an alert's life.
func saySilence(s *curfewv1.Silence) string {
	until := alert.Moment(s.GetUntil().AsTime())
	switch {
	case s.GetKind() == expected:
		return fmt.Sprintf("Proposed as expected until %s (%s): %s. A second person has to say yes.", until, s.GetId(), s.GetReason())
	case s.GetFrom().AsTime().After(time.Now()):
		return fmt.Sprintf("To be muted from %s until %s (%s): %s", alert.Moment(s.GetFrom().AsTime()), until, s.GetId(), s.GetReason())
	}
	return fmt.Sprintf("Muted until %s (%s): %s", until, s.GetId(), s.GetReason())
}
