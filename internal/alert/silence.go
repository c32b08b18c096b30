// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package alert

import (
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// InForce is whether a silence keeps alerts back at a time: it has begun, has not ended, and as many persons as it needs
// said yes.
func InForce(s *curfewv1.Silence, now time.Time) bool {
	return IsApproved(s) && s.GetEnded() == nil && !now.Before(s.GetFrom().AsTime()) && now.Before(s.GetUntil().AsTime())
}

// IsApproved is whether as many persons as a silence needs said yes.
func IsApproved(s *curfewv1.Silence) bool {
	return len(s.GetApprovals()) >= int(s.GetApprovalsNeeded())
}

// HasEnded is whether a silence will never keep anything back any more.
func HasEnded(s *curfewv1.Silence, now time.Time) bool {
	return s.GetEnded() != nil || !now.Before(s.GetUntil().AsTime())
}

// Covers is whether an alert is one of those that a match names.
func Covers(m *curfewv1.SilenceMatch, a *curfewv1.Alert) bool {
	named := false
	fits := func(want, got string) bool {
		named = named || want != ""
		return want == "" || want == got
	}
	return fits(m.GetAlertId(), a.GetId()) && fits(m.GetDetection(), a.GetFinding().GetDetection()) && fits(m.GetEntity(), a.GetEntity()) &&
		fits(m.GetDataClass(), a.GetDataClass()) && fits(m.GetSource(), a.GetFinding().GetEvent().GetSource()) && fits(m.GetObject(), a.GetObject()) && named &&
		(m.GetSeverity() == curfewv1.Severity_SEVERITY_UNSPECIFIED || a.GetSeverity() <= m.GetSeverity())
}
