// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package inventory is what is known of one kind of thing at one source: how a new reading changes it, and how it follows
// from the records that were stored of it.
package inventory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// State is what is known; the zero value knows nothing. It is not safe for concurrent use.
type State struct {
	entries map[string]*curfewv1.Entry
	digest  []byte // of the entries; nil where it has to be made
}

// Observe takes a reading in and returns how it differs from what was known, by key. What a reading that is not whole
// leaves out is known on. Of entries with one key the last counts.
func (s *State) Observe(seen *curfewv1.Inventory) []*curfewv1.EntryChange {
	var changes []*curfewv1.EntryChange
	now := make(map[string]*curfewv1.Entry, len(seen.GetEntries()))
	for _, entry := range seen.GetEntries() {
		now[entry.GetKey()] = entry
	}
	for key, entry := range now {
		if known := s.entries[key]; !proto.Equal(known, entry) {
			changes = append(changes, &curfewv1.EntryChange{Before: known, After: entry})
		}
	}
	for key, known := range s.entries {
		if _, still := now[key]; still {
			continue
		}
		if len(seen.GetMissing()) > 0 {
			now[key] = known
			continue
		}
		changes = append(changes, &curfewv1.EntryChange{Before: known})
	}
	if s.entries = now; len(changes) > 0 {
		s.digest = nil
	}
	slices.SortFunc(changes, func(a, b *curfewv1.EntryChange) int { return bytes.Compare([]byte(Key(a)), []byte(Key(b))) })
	return changes
}

// Key is the key of the entry that a change is of.
func Key(change *curfewv1.EntryChange) string {
	if change.GetAfter() != nil {
		return change.GetAfter().GetKey()
	}
	return change.GetBefore().GetKey()
}

// ErrGap is the error of Apply for a record that does not follow on what is known: one in between is missing. What is
// known then is not to be used before a record with an object was applied.
var ErrGap = errors.New("a record of the inventory is missing")

// Apply takes a stored record in. Load gets an object's content, and its error is returned.
func (s *State) Apply(record *curfewv1.Inventory, load func(object string) ([]byte, error)) error {
	if s.entries == nil {
		s.entries = map[string]*curfewv1.Entry{}
	}
	if record.GetObject() != "" {
		content, err := load(record.GetObject())
		if err != nil {
			return err
		}
		all := new(curfewv1.Inventory)
		if err := proto.Unmarshal(content, all); err != nil {
			return fmt.Errorf("decode inventory %s: %w", record.GetObject(), err)
		}
		s.digest = nil
		clear(s.entries)
		for _, entry := range all.GetEntries() {
			s.entries[entry.GetKey()] = entry
		}
	} else {
		if len(record.GetChanges()) > 0 {
			s.digest = nil
		}
		for _, change := range record.GetChanges() {
			if after := change.GetAfter(); after != nil {
				s.entries[after.GetKey()] = after
			} else {
				delete(s.entries, change.GetBefore().GetKey())
			}
		}
	}
	if !bytes.Equal(s.Digest(), record.GetDigest()) {
		return ErrGap
	}
	return nil
}

// Entries is everything known, by key.
func (s *State) Entries() []*curfewv1.Entry {
	entries := make([]*curfewv1.Entry, 0, len(s.entries))
	for _, key := range slices.Sorted(maps.Keys(s.entries)) {
		entries = append(entries, s.entries[key])
	}
	return entries
}

// Object is everything known as an object's content: the same bytes for the same state.
func (s *State) Object() ([]byte, error) {
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(&curfewv1.Inventory{Entries: s.Entries()})
	if err != nil {
		return nil, fmt.Errorf("encode inventory: %w", err)
	}
	return content, nil
}

// Len is how many entries are known.
func (s *State) Len() int { return len(s.entries) }

// Digest is the SHA-256 over everything known, entry by entry in the order of their keys.
func (s *State) Digest() []byte {
	if s.digest != nil {
		return s.digest
	}
	hash := sha256.New()
	var content []byte
	for _, entry := range s.Entries() {
		// An entry was read from the bus or is about to be written to it: what cannot be encoded is refused there.
		content, _ = proto.MarshalOptions{Deterministic: true}.MarshalAppend(content[:0], entry)
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(content)))
		hash.Write(length[:])
		hash.Write(content)
	}
	s.digest = hash.Sum(nil)
	return s.digest
}
