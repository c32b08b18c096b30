// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// call is what a vendor is asked.
type call string

const (
	callNone     call = ""
	callRead     call = "read"
	callGrant    call = "grant"
	callRevoke   call = "revoke"
	callSessions call = "sessions"
)

// job is one call, with a worker.
type job struct {
	task      *task
	call      call
	privilege *curfewv1.Privilege
	prior     *curfewv1.PrivilegeState
	probe     bool
	until     time.Time // when it is given up
	cancel    context.CancelFunc

	state *curfewv1.PrivilegeState
	done  *curfewv1.Provisioned
	err   error
}

func (a *actor) start(ctx context.Context, workers *sync.WaitGroup, t *task, next step) {
	j := &job{task: t, call: next.call, privilege: next.privilege, prior: next.prior, until: a.Clock.Now().Add(a.deadline)}
	a.send(ctx, workers, j)
}

func (a *actor) send(ctx context.Context, workers *sync.WaitGroup, j *job) {
	j.task.version++
	j.task.busy = true
	a.running[j.task] = j
	ctx, j.cancel = context.WithCancel(ctx)
	workers.Go(func() {
		defer j.cancel()
		j.run(ctx, a.vendor)
		a.finished <- j // there is room for all that run, and a probe
	})
}

// run makes the call.
func (j *job) run(ctx context.Context, vendor Provisioner) {
	defer func() {
		if panicked := recover(); panicked != nil {
			j.err = errors.New(event.Clean(fmt.Sprint("the call broke off: ", panicked)))
		}
	}()
	switch j.call {
	case callRead:
		j.state, j.err = vendor.Read(ctx, j.privilege)
	case callGrant:
		j.done, j.err = vendor.Grant(ctx, j.privilege)
	case callRevoke:
		j.done, j.err = vendor.Revoke(ctx, j.privilege, j.prior)
	case callSessions:
		j.done, j.err = vendor.EndSessions(ctx, j.privilege.GetHolder())
	default:
		panic("no such call: " + j.call)
	}
	if errors.Is(j.err, context.Canceled) || errors.Is(j.err, context.DeadlineExceeded) {
		j.err = errors.New("no answer in time")
	}
}

// isRefusal is whether the vendor answered, and will answer the same again.
func isRefusal(err error) bool {
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) || refused.Wait > 0 {
		return false
	}
	return refused.Status >= 400 && refused.Status < 500 && refused.Status != http.StatusTooManyRequests &&
		refused.Status != http.StatusUnauthorized && refused.Status != http.StatusRequestTimeout
}

// outcome is what came of a call, in a word.
func (j *job) outcome() string {
	switch {
	case j.err != nil && isRefusal(j.err):
		return "refused"
	case j.err != nil:
		return "failed"
	case j.call == callRead:
		return "done"
	}
	return strings.ToLower(strings.TrimPrefix(j.done.GetOutcome().String(), "PROVISION_OUTCOME_"))
}

// finish takes in what came of a call.
func (a *actor) finish(j *job) {
	t, now := j.task, a.Clock.Now()
	delete(a.running, t)
	t.busy = false
	a.Metrics.Provisioned(a.source, string(j.call), j.outcome())
	failed := j.err != nil && !isRefusal(j.err)
	if t.spoilt++; !failed {
		t.spoilt = 0
	}
	if back := a.breaker.note(t, failed, j, now, a.pace); back {
		a.resume()
	}
	a.Metrics.Away(a.source, a.breaker.isOpen())
	switch {
	case j.call == callRead && j.err == nil:
		if t.saw(j.state, now); !failed && t.away && !t.giving {
			t.away, t.fails = false, 0
		}
	case j.call == callRead:
		t.forget()
		a.lost(j, failed, now)
	case j.call == callSessions:
		a.endedSessions(j, now)
	case j.call == callGrant:
		a.granted(j, failed, now)
	case j.call == callRevoke:
		a.revoked(j, failed, now)
	}
	a.wake(t)
}

// lost is a call that came to nothing, as far as is known.
func (a *actor) lost(j *job, failed bool, now time.Time) {
	j.task.away = failed
	j.task.fail(now, a.retry)
	text := a.source + ": " + event.Clean(j.err.Error())
	if failed {
		text = a.away(j.err)
	}
	a.note(a.tell(j.task, text, now))
}

// breaker keeps calls from a source that is away. A single key that fails has its own pauses, and opens none.
type breaker struct {
	failures int
	of       *task // the last that failed
	several  bool  // others failed too
	why      error // the newest failure
	open     bool
	probing  bool
	probes   int
	probed   time.Time // when the last was sent
	next     time.Time // of the next probe
}

// hurry brings the next probe forward, for a key that has not failed.
func (b *breaker) hurry(p pace) {
	if soon := b.probed.Add(p.probe.shortest); soon.Before(b.next) {
		b.next = soon
	}
}

func (b *breaker) isOpen() bool { return b.open }

// note counts one call. Back says that the source is there again.
func (b *breaker) note(t *task, failed bool, j *job, now time.Time, p pace) (back bool) {
	if j.probe {
		b.probing = false
	}
	if !failed {
		back = b.open
		*b = breaker{}
		return back
	}
	b.several = b.several || b.of != nil && b.of != t
	b.failures++
	b.of, b.why = t, j.err
	switch {
	case b.open && j.probe:
		b.probes++
		b.next = now.Add(p.probe.pause(b.probes))
	case !b.open && b.failures >= p.failures && b.several:
		b.open, b.probes, b.next = true, 0, now.Add(p.probe.pause(0))
	}
	return false
}

// probe asks a source that is away one thing that changes nothing, each time about another key, those first that failed
// least: it may be others' own fault that the source counts as away.
func (a *actor) probe(ctx context.Context, workers *sync.WaitGroup) {
	b := &a.breaker
	for b.open && !b.probing && !a.Clock.Now().Before(b.next) && len(a.shut) > 0 && ctx.Err() == nil {
		at := 0
		for i, t := range a.shut {
			if best := a.shut[at]; t.spoilt < best.spoilt || t.spoilt == best.spoilt && t.urgency.Before(best.urgency) {
				at = i
			}
		}
		t := a.shut[at]
		a.shut = append(a.shut[:at], a.shut[at+1:]...)
		t.shut = false
		all := a.members(t)
		if t.busy || a.tasks[t.key] != t || len(all) == 0 {
			continue
		}
		b.probing, b.probed = true, a.Clock.Now()
		a.send(ctx, workers, &job{task: t, call: callRead, privilege: all[0].held.GetPrivilege(), probe: true, until: a.Clock.Now().Add(a.deadline)})
	}
}

// resume lets everything go on at once that waited for the source.
func (a *actor) resume() {
	for _, t := range a.shut {
		t.shut = false
	}
	a.shut = nil
	for _, t := range a.tasks {
		if t.away {
			t.away, t.fails, t.next = false, 0, time.Time{}
		}
		a.wake(t)
	}
}
