// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
	"github.com/curfewhq/curfew/services/evaluator/workbench"
)

// notice is how long before it comes into force a revision is stored, so that every replica has it in time. One that was
// cut off for longer finds it all the same: it asks what is stored before it judges.
const notice = 2 * time.Second

// byConfiguration is the author of a revision that was found at start, in the configured folder or in none.
const byConfiguration = "configuration"

// errSuperseded says that the newest revision is not the one that whoever applies had seen.
var errSuperseded = errors.New("another revision came first")

// policies is the revisions of the policy, in order. Safe for concurrent use.
type policies struct {
	bus     *bus.Bus
	catalog *catalog.Catalog
	tenant  string
	log     *slog.Logger
	ctx     context.Context // ends with the evaluator; nil = never

	mu        sync.RWMutex
	revisions revisions
	ready     []*storedPolicy // made of their files, the first made first
}

// revisions is the policy's life so far, oldest first. Only its end grows, so a copy is a picture of one moment.
type revisions []revision

// revision is a policy and since when it is in force.
type revision struct {
	number uint64
	from   time.Time
	policy *storedPolicy
}

// openPolicies loads what is stored and brings the configured folder into force, if that has changed.
func openPolicies(ctx context.Context, o Options) (*policies, error) {
	p := &policies{bus: o.Bus, catalog: o.Catalog, tenant: o.Tenant, log: o.Log, ctx: ctx}
	configured, origin, reason, err := configuredPolicy(o)
	if err != nil {
		return nil, err
	}
	if err := (workbench.Bench{Catalog: o.Catalog, Tenant: o.Tenant, Now: time.Now()}).LockedOut(configured); err != nil {
		o.Log.Warn("the configured policy can be changed in its folder alone", "folder", origin, "why", err)
	}
	for {
		if err := p.load(ctx); err != nil {
			return nil, err
		}
		newest := p.newest()
		switch {
		case newest == nil:
			err = p.store(ctx, configured, byConfiguration, reason, time.Now())
		case newest.policy.Digest() == configured.Digest():
			o.Log.Info("policy", "revision", newest.number, "digest", newest.policy.Digest(), "from", newest.from, "folder", origin)
			return p, nil
		case p.now().configured() == configured.Digest():
			// Whoever applied another since then meant it: a restart is no reason to undo that.
			o.Log.Warn("the newest policy revision is not the configured folder, which has not changed since it was last applied: the revision counts; `curfew policy apply` brings the folder into force, `curfew policy show --dir` writes the revision into it",
				"revision", newest.number, "author", newest.policy.record.GetAuthor(), "digest", newest.policy.Digest(), "folder", origin, "folder_digest", configured.Digest())
			return p, nil
		default:
			_, _, err = p.apply(ctx, configured, byConfiguration, reason, newest.policy.Digest())
		}
		if err != nil && !errors.Is(err, bus.ErrConflict) && !errors.Is(err, errSuperseded) {
			return nil, err
		}
		// Stored, or another replica was first: either way what is stored now counts.
	}
}

// configuredPolicy is the policy of the configured folder, or the standard one, and what to say of it.
func configuredPolicy(o Options) (policy *judge.Policy, origin, reason string, err error) {
	if o.PolicyDir == "" {
		policy, err = judge.StandardPolicy(o.Catalog)
		return policy, "standard, since no policy folder is configured", "no policy folder is configured", err
	}
	policy, err = judge.ReadPolicy(o.PolicyDir, o.Catalog)
	return policy, o.PolicyDir, "found in " + o.PolicyDir + " at start", err
}

// load reads what is stored, from the first revision not yet known. When it returns, what is in force can be judged by;
// what is to come is made ready elsewhere.
func (p *policies) load(ctx context.Context) error {
	for {
		entry, err := p.bus.Get(ctx, bus.Policies, p.tenant, strconv.FormatUint(p.next(), 10))
		if errors.Is(err, bus.ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		if err := p.add(entry.Value); err != nil {
			return err
		}
	}
	if now := p.now(); len(now) > 0 {
		_, err := now.inForce(time.Now()).policy.get(ctx)
		return err
	}
	return nil
}

// next is the number of the revision that comes after all known.
func (p *policies) next() uint64 {
	if newest := p.newest(); newest != nil {
		return newest.number + 1
	}
	return 1
}

func (p *policies) add(value []byte) error {
	stored := new(curfewv1.PolicyRevision)
	if err := proto.Unmarshal(value, stored); err != nil {
		return fmt.Errorf("decode policy revision: %w", err)
	}
	stored.Files = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.revisions); n > 0 && p.revisions[n-1].number >= stored.GetNumber() {
		return nil // somebody else has just added it
	}
	p.revisions = append(p.revisions, revision{
		number: stored.GetNumber(), from: stored.GetFrom().AsTime(), policy: &storedPolicy{of: p, record: stored},
	})
	return nil
}

// apply makes policy the next revision, in force as soon as every replica can know it, and returns that; unchanged is
// whether the newest is the same policy, so that nothing was stored. Where expected is not empty and not the digest of the
// newest the error is errSuperseded; where it is empty and somebody else is first, this one comes after theirs.
func (p *policies) apply(ctx context.Context, policy *judge.Policy, author, reason, expected string) (applied revision, unchanged bool, err error) {
	for {
		if err := p.load(ctx); err != nil {
			return revision{}, false, err
		}
		newest := p.newest()
		if newest.policy.Digest() == policy.Digest() {
			return *newest, true, nil
		}
		if expected != "" && newest.policy.Digest() != expected {
			return revision{}, false, errSuperseded
		}
		from, err := p.start(ctx, *newest, time.Now())
		if err != nil {
			return revision{}, false, err
		}
		number := newest.number + 1
		if err := p.storeAs(ctx, number, policy, author, reason, from); errors.Is(err, bus.ErrConflict) {
			continue
		} else if err != nil {
			return revision{}, false, fmt.Errorf("it is not known whether revision %d was stored; apply it again, it will be there once: %w", number, err)
		}
		if err := p.load(ctx); err != nil {
			return revision{}, false, err
		}
		return p.now()[number-1], false, nil
	}
}

// start is when a revision stored now comes into force. It is later than the newest's start, so that the order of the
// revisions is that of their starts, and later than all that is stored, by the bus's clock: a replica whose clock is behind
// must not change what others may have judged already.
func (p *policies) start(ctx context.Context, newest revision, now time.Time) (time.Time, error) {
	last, err := p.bus.Last(ctx, bus.All("event"))
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return time.Time{}, err
	}
	from := later(now, last.Time).Add(notice)
	if !from.After(newest.from) {
		from = newest.from.Add(time.Millisecond)
	}
	return from, nil
}

// store makes policy the next revision. bus.ErrConflict means that another replica made one first.
func (p *policies) store(ctx context.Context, policy *judge.Policy, author, reason string, from time.Time) error {
	return p.storeAs(ctx, p.next(), policy, author, reason, from)
}

func (p *policies) storeAs(ctx context.Context, number uint64, policy *judge.Policy, author, reason string, from time.Time) error {
	record := &curfewv1.PolicyRevision{
		Format: bus.Format, Number: number, Digest: policy.Digest(), Author: author, Reason: reason,
		From: timestamppb.New(from), Files: policy.Files(),
	}
	value, err := encodeRevision(record)
	if err == nil && len(value) > p.bus.MaxMessage()/2 {
		if record.Object, err = p.storeFiles(ctx, record); err != nil {
			return err
		}
		record.Files = nil
		value, err = encodeRevision(record)
	}
	if err != nil {
		return err
	}
	_, err = p.bus.Create(ctx, bus.Policies, value, p.tenant, strconv.FormatUint(number, 10))
	return err
}

// watch loads each revision that any replica stores, and makes it ready, until ctx ends.
func (p *policies) watch(ctx context.Context) error {
	seen := uint64(0)
	return p.bus.Watch(ctx, bus.Policies, func(entry *bus.Entry) error {
		if entry == nil || len(entry.Key) != 2 || entry.Key[0] != p.tenant {
			return nil
		}
		err := p.load(ctx)
		now := p.newest()
		if err == nil && now.number > seen {
			_, err = now.policy.get(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			p.log.Error("policy revision cannot be loaded; nothing is judged by it until it can", "error", err)
		case now.number > seen:
			p.log.Info("policy revision loaded", "revision", now.number, "digest", now.policy.Digest(), "from", now.from)
			seen = now.number
		}
		return nil
	})
}

func (p *policies) newest() *revision {
	now := p.now()
	if len(now) == 0 {
		return nil
	}
	return &now[len(now)-1]
}

// now is every revision known at this moment.
func (p *policies) now() revisions {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.revisions
}

// inForce is the revision in force at a time, the first for a time before it.
func (r revisions) inForce(t time.Time) revision {
	for i := len(r) - 1; i > 0; i-- {
		if !t.Before(r[i].from) {
			return r[i]
		}
	}
	return r[0]
}

// configured is the digest of the newest revision that came from the configuration; "" where none did.
func (r revisions) configured() string {
	for i := len(r) - 1; i >= 0; i-- {
		if r[i].policy.record.GetAuthor() == byConfiguration {
			return r[i].policy.Digest()
		}
	}
	return ""
}

// at returns the policy in force at a time, the first for a time before it, and when the first came into force. There is
// always one: an evaluator makes it before it judges.
func (r revisions) at(t time.Time) (*judge.Policy, time.Time) {
	return r.inForce(t).policy.wait(), r[0].from
}

// basis is what a batch judged by these revisions rests on.
func (r revisions) basis() *curfewv1.Basis {
	if len(r) == 0 {
		return &curfewv1.Basis{}
	}
	newest := r[len(r)-1]
	return &curfewv1.Basis{PolicyRevision: newest.number, PolicyDigest: newest.policy.Digest()}
}

// pseudonymKey is the tenant's key for tokens in place of e-mails, made at first use. Purging it from the vault makes
// every token meaningless.
func pseudonymKey(ctx context.Context, b *bus.Bus) ([]byte, error) {
	for {
		entry, err := b.Get(ctx, bus.Vault, "pseudonyms")
		if err == nil {
			return entry.Value, nil
		}
		if !errors.Is(err, bus.ErrNotFound) {
			return nil, err
		}
		key := make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return nil, fmt.Errorf("make pseudonym key: %w", err)
		}
		if _, err := b.Create(ctx, bus.Vault, key, "pseudonyms"); err != nil && !errors.Is(err, bus.ErrConflict) {
			return nil, err
		}
	}
}
