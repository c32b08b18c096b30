// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// asked is a request of Ann's that waits for Bob or Cid.
func asked(id string) *curfewv1.Grant {
	g := plainGrant(id)
	g.State, g.ApprovalsNeeded, g.Approvers = curfewv1.GrantState_GRANT_STATE_REQUESTED, 1, []string{"person:bob", "person:cid"}
	g.AnswerBy, g.Reason, g.Ticket = timestamppb.New(noon.Add(8*time.Hour)), "orders that did not arrive", "OPS-1234"
	g.Duration, g.ExpiresAt = durationpb.New(2*time.Hour), nil
	return g
}

// becomes is a request as it stands later.
func becomes(state curfewv1.GrantState, change func(*curfewv1.Grant)) *curfewv1.Grant {
	g := asked("g")
	g.State, g.Approvals, g.ExpiresAt = state, []*curfewv1.Approval{{Author: "person:bob"}}, timestamppb.New(noon.Add(2*time.Hour))
	g.Privileges = live("g", noon, noon).GetPrivileges()
	g.Privileges[0].Residual = "access tokens: up to 1 h"
	if change != nil {
		change(g)
	}
	return g
}

func kindsOf(list []*curfewv1.Notice) string {
	var words []string
	for _, n := range list {
		words = append(words, strings.TrimPrefix(n.GetKind().String(), "NOTICE_KIND_"))
	}
	return strings.Join(words, " ")
}

func TestWhatHasToBeTold(t *testing.T) {
	type g = *curfewv1.Grant
	ann, both, deciders := []string{"person:ann"}, []string{"person:ann", "person:bob"}, []string{"person:bob", "person:cid"}
	for _, c := range []struct {
		name  string
		in    g
		after time.Duration
		want  string
		to    []string // of the last
		says  []string
	}{
		{"asked for", asked("g"), 0, "REQUESTED", deciders, []string{"person:ann asks for role:support for 2h", "orders that did not arrive (OPS-1234)", "by 2026-11-02 20:00:00 UTC", "curfew request approve g", "curfew request deny g"}},
		{"approved", becomes(curfewv1.GrantState_GRANT_STATE_APPROVED, nil), 0, "ANSWERED", ann, []string{"approved by person:bob", "begins at 2026-11-02 12:00:00 UTC", "okta group Support"}},
		{"denied", becomes(curfewv1.GrantState_GRANT_STATE_DENIED, func(g g) { g.EndedAt, g.Approvals = timestamppb.New(noon), nil }), 0, "ANSWERED", ann, []string{"denied", "curfew grant show g"}},
		{"withdrawn", becomes(curfewv1.GrantState_GRANT_STATE_CANCELLED, func(g g) { g.EndedAt, g.Approvals = timestamppb.New(noon), nil }), 0, "ANSWERED", ann, []string{"withdrawn"}},
		{"unanswered", becomes(curfewv1.GrantState_GRANT_STATE_CANCELLED, func(g g) { g.EndedAt, g.Approvals = g.AnswerBy, nil }), 8 * time.Hour, "ANSWERED", ann, []string{"Nobody answered", "expired"}},
		{"withdrawn after a yes", becomes(curfewv1.GrantState_GRANT_STATE_CANCELLED, func(g g) { g.EndedAt = timestamppb.New(noon) }), 0, "ENDED", both, []string{"before it began"}},
		{"in force", becomes(curfewv1.GrantState_GRANT_STATE_ACTIVE, nil), 0, "ANSWERED ACTIVE", ann, []string{"until 2026-11-02 14:00:00 UTC", "can live on", "up to 1 h", "curfew grant revoke g"}},
		{"in force and told", becomes(curfewv1.GrantState_GRANT_STATE_ACTIVE, func(g g) {
			g.Told = []curfewv1.NoticeKind{curfewv1.NoticeKind_NOTICE_KIND_ACTIVE, curfewv1.NoticeKind_NOTICE_KIND_ANSWERED}
		}), 0, "", nil, nil},
		{"given to without asking", plainGrant("g"), 0, "ACTIVE", ann, nil},
		{"given to an app", becomes(curfewv1.GrantState_GRANT_STATE_ACTIVE, func(g g) { g.Subject = "app:okta/0oa1" }), 0, "ANSWERED ACTIVE", ann, nil},
		{"not yet soon over", becomes(curfewv1.GrantState_GRANT_STATE_ACTIVE, func(g g) { g.RemindBefore = durationpb.New(15 * time.Minute) }), 105*time.Minute - 1, "ANSWERED ACTIVE", ann, nil},
		{"soon over", becomes(curfewv1.GrantState_GRANT_STATE_ACTIVE, func(g g) {
			g.RemindBefore, g.Extensible = durationpb.New(15*time.Minute), true
		}), 105 * time.Minute, "ANSWERED ACTIVE ENDING", ann, []string{"ends at 2026-11-02 14:00:00 UTC", "curfew grant extend g"}},
		{"soon over for good", becomes(curfewv1.GrantState_GRANT_STATE_ACTIVE, func(g g) { g.RemindBefore = durationpb.New(15 * time.Minute) }), 110 * time.Minute, "ANSWERED ACTIVE ENDING", ann, []string{"cannot be extended", "curfew request create"}},
		{"more time asked for", becomes(curfewv1.GrantState_GRANT_STATE_ACTIVE, func(g g) {
			g.Extension = &curfewv1.Extension{By: durationpb.New(time.Hour), Author: "person:ann", Reason: "not done"}
		}), 0, "ANSWERED ACTIVE EXTENSION", deciders, []string{"1h more", "not done", "curfew request approve g"}},
		{"taken in an emergency", becomes(curfewv1.GrantState_GRANT_STATE_GRANTING, func(g g) {
			g.BreakGlass, g.ApprovalsNeeded, g.AnswerBy, g.Approvals = true, 0, nil, nil
		}), 0, "BREAK_GLASS", deciders, []string{"BREAK-GLASS: person:ann took", "without approval", "curfew grant revoke g"}},
		{"to be taken by hand", becomes(curfewv1.GrantState_GRANT_STATE_STUCK, func(g g) {
			g.Told = []curfewv1.NoticeKind{curfewv1.NoticeKind_NOTICE_KIND_ANSWERED}
			g.Owner, g.Privileges[0].Stage, g.Privileges[0].Task, g.Privileges[0].Link = "person:dee", curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING, "remove Ann from Support", "https://example.com/groups/1"
		}), 3 * time.Hour, "TASK", []string{"person:dee"}, []string{"by hand", "taken away", "remove Ann from Support (https://example.com/groups/1)"}},
		{"to be taken by nobody named", becomes(curfewv1.GrantState_GRANT_STATE_STUCK, func(g g) {
			g.Privileges[0].Stage, g.Privileges[0].Task = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING, "remove Ann from Support"
		}), 3 * time.Hour, "ANSWERED TASK", deciders, nil},
		{"being taken", becomes(curfewv1.GrantState_GRANT_STATE_REVOKING, func(g g) { g.Told = []curfewv1.NoticeKind{curfewv1.NoticeKind_NOTICE_KIND_ANSWERED} }), 3 * time.Hour, "", nil, nil},
		{"ended", becomes(curfewv1.GrantState_GRANT_STATE_REVOKED, func(g g) {
			g.Privileges[0].Stage, g.Privileges[0].Gone = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GONE, timestamppb.New(noon.Add(2*time.Hour+time.Minute))
		}), 3 * time.Hour, "ENDED", both, []string{"ended at 2026-11-02 14:00:00 UTC", "seen gone at 2026-11-02 14:01:00 UTC", "access tokens: up to 1 h"}},
		{"ended a day ago", becomes(curfewv1.GrantState_GRANT_STATE_REVOKED, nil), 26 * time.Hour, "", nil, nil},
		{"could not be given", becomes(curfewv1.GrantState_GRANT_STATE_FAILED, func(g g) {
			g.Privileges[0].Stage, g.Privileges[0].Trouble = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_REFUSED, "no such group"
		}), 3 * time.Hour, "ENDED", both, []string{"could not be given", "no such group"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := notices(c.in, noon.Add(c.after))
			if got := kindsOf(list); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			if len(list) == 0 {
				return
			}
			last := list[len(list)-1]
			if got := last.GetGrant().GetDigest(); got != grant.Digest(c.in) {
				t.Errorf("digest: got %q, want that of what is asked for: whoever answers here names it", got)
			}
			if c.to != nil && !slices.Equal(last.GetTo(), c.to) {
				t.Errorf("to: got %q, want %q", last.GetTo(), c.to)
			}
			for _, want := range c.says {
				if !strings.Contains(last.GetText(), want) {
					t.Errorf("got %q, want %q in it", last.GetText(), want)
				}
			}
			if again := notices(c.in, noon.Add(c.after)); again[len(again)-1].GetId() != last.GetId() || len(last.GetId()) != 64 {
				t.Errorf("id: got %q, then %q, want the same", last.GetId(), again[len(again)-1].GetId())
			}
		})
	}
}

// A long reason does not push what to do off the end.
func TestALongReasonLeavesRoomForWhatToDo(t *testing.T) {
	g := asked("g")
	g.Reason = strings.Repeat("because ", 500)
	if text := notices(g, noon)[0].GetText(); len([]rune(text)) > 600 || !strings.Contains(text, "curfew request deny g") {
		t.Errorf("got %d characters: %s", len([]rune(text)), text)
	}
}

func TestAMovedEndIsAnotherNotice(t *testing.T) {
	g := becomes(curfewv1.GrantState_GRANT_STATE_ACTIVE, nil)
	before := noticeID(g, curfewv1.NoticeKind_NOTICE_KIND_ENDING)
	g.ExpiresAt = timestamppb.New(noon.Add(4 * time.Hour))
	if noticeID(g, curfewv1.NoticeKind_NOTICE_KIND_ENDING) == before {
		t.Error("got the same id")
	}
}
