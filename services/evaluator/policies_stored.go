// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// maxReady is how many policies that are in force no longer are kept ready for late events. A hundred thousand rows are
// tens of megabytes.
const maxReady = 4

// storedPolicy is a policy as the bus holds it. It is made of its files when it is first needed, which takes a moment:
// meanwhile others judge by what is ready. Safe for concurrent use.
type storedPolicy struct {
	of     *policies
	record *curfewv1.PolicyRevision // without its files

	making sync.Mutex
	made   atomic.Pointer[judge.Policy]
}

// Digest is the policy's.
func (s *storedPolicy) Digest() string { return s.record.GetDigest() }

// get returns the policy, made now if it was not.
func (s *storedPolicy) get(ctx context.Context) (*judge.Policy, error) {
	if policy := s.made.Load(); policy != nil {
		return policy, nil
	}
	s.making.Lock()
	defer s.making.Unlock()
	if policy := s.made.Load(); policy != nil {
		return policy, nil
	}
	files, err := s.files(ctx)
	if err != nil {
		return nil, err
	}
	policy, err := judge.NewPolicy(files, s.of.catalog)
	if err != nil {
		return nil, fmt.Errorf("load policy revision %d: %w", s.record.GetNumber(), err)
	}
	if policy.Digest() != s.Digest() {
		return nil, fmt.Errorf("load policy revision %d: its files have the digest %s, not the %s that it was applied with", s.record.GetNumber(), policy.Digest(), s.Digest())
	}
	s.made.Store(policy)
	s.of.keep(s)
	return policy, nil
}

// wait is get for whoever judges an event and cannot do so by any other policy: it tries until the evaluator ends, and
// panics then.
func (s *storedPolicy) wait() *judge.Policy {
	ctx := s.of.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	for {
		policy, err := s.get(ctx)
		if err == nil {
			return policy
		}
		s.of.log.Error("policy revision cannot be loaded; what happened under it waits", "error", err)
		select {
		case <-ctx.Done():
			panic(ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

// files reads the policy's files.
func (s *storedPolicy) files(ctx context.Context) (map[string][]byte, error) {
	number := s.record.GetNumber()
	value, err := s.value(ctx, number)
	if err != nil {
		return nil, fmt.Errorf("read policy revision %d: %w", number, err)
	}
	stored := new(curfewv1.PolicyRevision)
	if err := proto.Unmarshal(value, stored); err != nil {
		return nil, fmt.Errorf("decode policy revision %d: %w", number, err)
	}
	return stored.GetFiles(), nil
}

func (s *storedPolicy) value(ctx context.Context, number uint64) ([]byte, error) {
	if s.record.GetObject() != "" {
		return s.of.bus.GetObject(ctx, s.record.GetObject())
	}
	entry, err := s.of.bus.Get(ctx, bus.Policies, s.of.tenant, strconv.FormatUint(number, 10))
	return entry.Value, err
}

// keep notes that a policy was made, and lets go of the one made first where there are too many. The newest two stay: one
// is in force.
func (p *policies) keep(s *storedPolicy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = append(p.ready, s)
	if len(p.ready) <= maxReady+2 {
		return
	}
	i := slices.IndexFunc(p.ready, func(s *storedPolicy) bool { return s.record.GetNumber()+1 < p.revisions[len(p.revisions)-1].number })
	if i >= 0 {
		p.ready[i].made.Store(nil)
		p.ready = slices.Delete(p.ready, i, i+1)
	}
}

// storeFiles keeps the files of a revision as an object and returns its name.
func (p *policies) storeFiles(ctx context.Context, record *curfewv1.PolicyRevision) (object string, err error) {
	value, err := encodeRevision(&curfewv1.PolicyRevision{Format: record.GetFormat(), Digest: record.GetDigest(), Files: record.GetFiles()})
	if err != nil {
		return "", err
	}
	return p.bus.PutObject(ctx, value)
}

func encodeRevision(record *curfewv1.PolicyRevision) ([]byte, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encode policy revision: %w", err)
	}
	return value, nil
}
