// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import "time"

// rewind begins anew with all that waited for a time, as the clock was set back.
func (a *actor) rewind(now time.Time) {
	earlier := func(at time.Time) time.Time {
		if at.After(now) {
			return now
		}
		return at
	}
	for _, t := range a.tasks {
		t.forget()
		t.next, t.renewAt, t.quiet, t.accepted = earlier(t.next), earlier(t.renewAt), earlier(t.quiet), earlier(t.accepted)
		t.took, t.settles = earlier(t.took), time.Time{}
		if latest := a.settled(now); t.shows.After(latest) {
			t.shows = latest
		}
		a.wake(t)
	}
	for _, j := range a.running {
		if latest := now.Add(a.deadline); j.until.After(latest) {
			j.until = latest
		}
	}
	a.breaker.next, a.alarm = earlier(a.breaker.next), nil
}
