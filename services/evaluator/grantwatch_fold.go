// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
)

const (
	// remembered is how long after a grant's end an event is still compared with it.
	remembered = 30 * 24 * time.Hour
	// keptGrants is how long after a grant's end, by the newest step of any, it is kept: remembered, and as long again for
	// events that come late.
	keptGrants = 2 * remembered
	// echoes is how far a vendor's clock may be from ours when it stamps what our own collector did.
	echoes = 5 * time.Second
)

// stood is one privilege that a grant stands or stood for, as far as events are compared with it.
type stood struct {
	grant, subject, role string
	thing                string // as findings call it
	holder               string // the account, as links name it
	kind                 string // of Event.links: "memberships" or "roles"
	resource, name       string // id, and folded name
	// The grant counts over [from, until).
	from, until int64
	// Until when our own giving of it may be what an event tells of: End while that is open.
	giving int64
	// Whether the end takes it away: it was given, and was not there before.
	taken bool
}

// standShards is in how many parts a grantFold keeps what stands: what a change copies is one of them.
const standShards = 256

// grantFold is every privilege of the grants of a tenant that count, or did lately, folded from their steps in stream
// order. The same steps give the same views. It is not safe for concurrent use; the views it hands out are.
type grantFold struct {
	view   grantView
	shared [standShards]bool // parts that a view has, which are not to be changed
	grants map[string]folded
	swept  int64 // newest when grants were last looked through for old ones
}

// folded is where a grant stands in the parts, and when it ends.
type folded struct {
	keys  []string
	until int64
}

// grantView is what a grantFold knew at one point. It is immutable; nil knows nothing.
type grantView struct {
	parts  [standShards]map[string][]stood
	seed   maphash.Seed
	count  int
	newest int64 // time of the newest step
}

func newGrantFold() *grantFold {
	return &grantFold{view: grantView{seed: maphash.MakeSeed(), newest: temporal.Start}, grants: map[string]folded{}, swept: temporal.Start}
}

// now is a view of all that has been folded.
func (f *grantFold) now() *grantView {
	for i := range f.shared {
		f.shared[i] = true
	}
	view := f.view
	return &view
}

// take takes a step in.
func (f *grantFold) take(step *curfewv1.GrantStep) {
	g := step.GetGrant()
	f.view.newest = max(f.view.newest, temporal.Nanos(step.GetTime().AsTime()))
	f.drop(g.GetId())
	if counts(g) {
		is := folded{until: untilOf(g)}
		for _, held := range g.GetPrivileges() {
			s := standing(g, held)
			for _, key := range keysOf(held.GetPrivilege()) {
				f.set(key, append(slices.Clip(f.view.at(key)), s))
				is.keys = append(is.keys, key)
			}
		}
		if len(is.keys) > 0 {
			f.grants[g.GetId()] = is
		}
	}
	f.sweep()
}

// sweep forgets grants that ended too long ago to be asked about.
func (f *grantFold) sweep() {
	if f.swept > temporal.Start && f.view.newest-f.swept < int64(24*time.Hour) {
		return
	}
	f.swept = f.view.newest
	for id, is := range f.grants {
		if f.view.isOld(is.until) {
			f.drop(id)
		}
	}
}

func (f *grantFold) drop(id string) {
	for _, key := range f.grants[id].keys {
		f.set(key, slices.DeleteFunc(slices.Clone(f.view.at(key)), func(s stood) bool { return s.grant == id }))
	}
	delete(f.grants, id)
}

func (f *grantFold) set(key string, all []stood) {
	part := f.view.part(key)
	if f.shared[part] || f.view.parts[part] == nil {
		own := make(map[string][]stood, len(f.view.parts[part])+1)
		maps.Copy(own, f.view.parts[part])
		f.view.parts[part], f.shared[part] = own, false
	}
	f.view.count += len(all) - len(f.view.parts[part][key])
	if len(all) == 0 {
		delete(f.view.parts[part], key)
		return
	}
	f.view.parts[part][key] = all
}

func (v *grantView) part(key string) uint64 { return maphash.String(v.seed, key) % standShards }

func (v *grantView) at(key string) []stood { return v.parts[v.part(key)][key] }

// isOld is whether what ended then is forgotten, whether or not it has been swept away.
func (v *grantView) isOld(until int64) bool {
	return until < temporal.End && v.newest > until && v.newest-until > int64(keptGrants)
}

// counts is whether a grant stands for anything at a SaaS, or ever did.
func counts(g *curfewv1.Grant) bool {
	switch g.GetState() {
	case curfewv1.GrantState_GRANT_STATE_UNSPECIFIED, curfewv1.GrantState_GRANT_STATE_REQUESTED, curfewv1.GrantState_GRANT_STATE_DENIED,
		curfewv1.GrantState_GRANT_STATE_CANCELLED, curfewv1.GrantState_GRANT_STATE_FAILED:
		return false
	default:
		return g.GetFrom() != nil && g.GetExpiresAt() != nil
	}
}

// untilOf is when a grant stops counting.
func untilOf(g *curfewv1.Grant) int64 {
	until := temporal.Nanos(g.GetExpiresAt().AsTime())
	if g.GetEndedAt() != nil {
		until = min(until, temporal.Nanos(g.GetEndedAt().AsTime()))
	}
	return until
}

func standing(g *curfewv1.Grant, held *curfewv1.HeldPrivilege) stood {
	p := held.GetPrivilege()
	s := stood{
		grant: g.GetId(), subject: g.GetSubject(), role: g.GetRole(), thing: detection.Thing(p), holder: temporal.Account(p.GetSource(), p.GetHolder()),
		kind: "memberships", resource: p.GetResource(), name: temporal.FoldEmail(p.GetResourceName()),
		from: temporal.Nanos(g.GetFrom().AsTime()), until: untilOf(g), giving: temporal.End,
	}
	if strings.HasSuffix(p.GetKind(), "_role") {
		s.kind = "roles"
	}
	switch {
	case held.GetSeen() != nil:
		s.giving = temporal.Nanos(held.GetSeen().AsTime())
	case held.GetCalled() != nil:
		s.giving = temporal.Nanos(held.GetCalled().AsTime())
	case held.GetGone() != nil:
		s.giving = temporal.Nanos(held.GetGone().AsTime())
	}
	switch held.GetStage() {
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_UNSPECIFIED, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_LEFT, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_REFUSED:
	default:
		s.taken = held.GetPrior().GetPresence() != curfewv1.Presence_PRESENCE_PRESENT
	}
	return s
}

// keysOf is under what a privilege is looked for: its holder by id and by name.
func keysOf(p *curfewv1.Privilege) []string {
	keys := []string{temporal.Account(p.GetSource(), p.GetHolder())}
	if p.GetHolderName() != "" {
		keys = append(keys, nameKey(p.GetSource(), p.GetHolderName()))
	}
	return keys
}

func nameKey(source, name string) string { return "name:" + source + "/" + temporal.FoldEmail(name) }
