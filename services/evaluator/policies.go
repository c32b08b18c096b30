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
)

// notice is how long before it comes into force a revision is stored, so that every replica has it in time.
const notice = 2 * time.Second

// policies is the revisions of the policy, in order. Safe for concurrent use.
type policies struct {
	bus     *bus.Bus
	catalog *catalog.Catalog
	tenant  string
	log     *slog.Logger

	mu        sync.RWMutex
	revisions revisions
}

// revisions is the policy's life so far, oldest first. Only its end grows, so a copy is a picture of one moment.
type revisions []revision

// revision is a policy and since when it is in force.
type revision struct {
	number uint64
	from   time.Time
	policy *judge.Policy
}

// openPolicies loads every revision, and makes the configured folder the newest one if it is not.
func openPolicies(ctx context.Context, o Options) (*policies, error) {
	p := &policies{bus: o.Bus, catalog: o.Catalog, tenant: o.Tenant, log: o.Log}
	var configured *judge.Policy
	var err error
	if o.PolicyDir == "" {
		configured, err = judge.StandardPolicy(o.Catalog)
	} else {
		configured, err = judge.ReadPolicy(o.PolicyDir, o.Catalog)
	}
	if err != nil {
		return nil, err
	}
	for {
		if err := p.load(ctx); err != nil {
			return nil, err
		}
		newest := p.newest()
		origin := o.PolicyDir
		if origin == "" {
			origin = "standard, since no policy folder is configured"
		}
		if newest != nil && newest.policy.Digest() == configured.Digest() {
			o.Log.Info("policy", "revision", newest.number, "digest", newest.policy.Digest(), "from", newest.from, "folder", origin)
			return p, nil
		}
		from := time.Now()
		if newest != nil {
			from = from.Add(notice)
		}
		reason := "found in " + o.PolicyDir + " at start"
		if o.PolicyDir == "" {
			reason = "no policy folder is configured"
		}
		err := p.store(ctx, configured, "configuration", reason, from)
		if err != nil && !errors.Is(err, bus.ErrConflict) {
			return nil, err
		}
		// Stored, or another replica was first: either way what is stored now counts.
	}
}

// load reads what is stored, from the first revision not yet known.
func (p *policies) load(ctx context.Context) error {
	for {
		number := uint64(1)
		if newest := p.newest(); newest != nil {
			number = newest.number + 1
		}
		entry, err := p.bus.Get(ctx, bus.Policies, p.tenant, strconv.FormatUint(number, 10))
		if errors.Is(err, bus.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.add(entry.Value); err != nil {
			return err
		}
	}
}

func (p *policies) add(value []byte) error {
	stored := new(curfewv1.PolicyRevision)
	if err := proto.Unmarshal(value, stored); err != nil {
		return fmt.Errorf("decode policy revision: %w", err)
	}
	policy, err := judge.NewPolicy(stored.GetFiles(), p.catalog)
	if err != nil {
		return fmt.Errorf("load policy revision %d: %w", stored.GetNumber(), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revisions = append(p.revisions, revision{number: stored.GetNumber(), from: stored.GetFrom().AsTime(), policy: policy})
	return nil
}

// store makes policy the next revision. bus.ErrConflict means that another replica made one first.
func (p *policies) store(ctx context.Context, policy *judge.Policy, author, reason string, from time.Time) error {
	number := uint64(1)
	if newest := p.newest(); newest != nil {
		number = newest.number + 1
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(&curfewv1.PolicyRevision{
		Format: bus.Format, Number: number, Digest: policy.Digest(), Author: author, Reason: reason,
		From: timestamppb.New(from), Files: policy.Files(),
	})
	if err != nil {
		return fmt.Errorf("encode policy revision: %w", err)
	}
	_, err = p.bus.Create(ctx, bus.Policies, value, p.tenant, strconv.FormatUint(number, 10))
	return err
}

// watch loads each revision that any replica stores, until ctx ends.
func (p *policies) watch(ctx context.Context) error {
	return p.bus.Watch(ctx, bus.Policies, func(entry *bus.Entry) error {
		if entry == nil || len(entry.Key) != 2 || entry.Key[0] != p.tenant {
			return nil
		}
		before := p.newest()
		if err := p.load(ctx); err != nil {
			return err
		}
		if now := p.newest(); before == nil || now.number != before.number {
			p.log.Info("policy revision loaded", "revision", now.number, "digest", now.policy.Digest(), "from", now.from)
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

// at returns the policy in force at a time, the first for a time before it, and when the first came into force. There is
// always one: an evaluator makes it before it judges.
func (r revisions) at(t time.Time) (*judge.Policy, time.Time) {
	for i := len(r) - 1; i > 0; i-- {
		if !t.Before(r[i].from) {
			return r[i].policy, r[0].from
		}
	}
	return r[0].policy, r[0].from
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
