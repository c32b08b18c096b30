// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const day = 24 * time.Hour

// stream is one row of the table of streams.
type stream struct {
	name    string
	root    string // first token of every subject in it
	keep    time.Duration
	queue   bool // a work queue: a message goes once it is acknowledged
	compact bool // old and seldom read: compressed
	newest  int64
	batches bool // takes AppendAll
}

// streams is every stream there is.
var streams = []stream{
	{name: "EVENTS", root: "event", keep: 90 * day},
	{name: "INBOX", root: "inbox", queue: true},
	{name: "DECISIONS", root: "decision", keep: 90 * day},
	{name: "FINDINGS", root: "finding", keep: 400 * day},
	{name: "LINKS", root: "link", keep: 400 * day},
	{name: "GRANTS", root: "grant", batches: true},
	{name: "ALERTS", root: "alert", keep: 400 * day, batches: true},
	{name: "COMMANDS", root: "command", keep: 400 * day},
	{name: "INVENTORY", root: "inventory", newest: 5000},
	{name: "DEAD", root: "dead", compact: true},
}

// Buckets of entities of record, changed by compare-and-swap only.
const (
	// Policies holds the policy revisions: "<tenant>.<number>".
	Policies = "policies"
	// Apps holds third-party applications.
	Apps = "apps"
	// Vendors holds who makes them, with their assessments.
	Vendors = "vendors"
	// Tokens holds what callers prove themselves with: "<tenant>.<id>".
	Tokens = "tokens"
	// Firsts holds first-seen facts that must outlive derived state.
	Firsts = "firsts"
	// Silences holds what keeps alerts from people: "<tenant>.<id>".
	Silences = "silences"
	// Contacts holds where receivers reach people: "<tenant>.<person>".
	Contacts = "contacts"
	// Vault holds keys and sealed values, one version each: purging a key is for good.
	Vault = "vault"
)

// leases and blobs are the bus's own: who holds which lease (in memory: a lease means nothing once the server stopped),
// and what is too large for a message.
const (
	leases = "leases"
	blobs  = "blobs"
)

// Subjects. Each argument is one token, whatever it holds.

// EventSubject is the lane of one feed's events.
func EventSubject(tenant, source, feed string) string { return join("event", tenant, source, feed) }

// DecisionSubject is the lane of one feed's decisions.
func DecisionSubject(tenant, source, feed string) string {
	return join("decision", tenant, source, feed)
}

// InboxSubject is where the webhooks of one feed wait.
func InboxSubject(tenant, source, feed string) string { return join("inbox", tenant, source, feed) }

// InventorySubject is what one source showed of one kind of thing.
func InventorySubject(tenant, source, kind string) string {
	return join("inventory", tenant, source, kind)
}

// LinkSubject is where what a source's events tell of memberships and roles stands.
func LinkSubject(tenant, source string) string { return join("link", tenant, source) }

// GrantSubject is where the steps of a grant's life stand.
func GrantSubject(tenant, id string) string { return join("grant", tenant, id) }

// FindingSubject is where a finding goes.
func FindingSubject(f *curfewv1.Finding) string {
	severity := strings.ToLower(strings.TrimPrefix(f.GetSeverity().String(), "SEVERITY_"))
	return join("finding", f.GetTenant(), severity, f.GetDetection())
}

// AlertSubject is the life of one alert.
func AlertSubject(tenant, id string) string { return join("alert", tenant, id) }

// CommandSubject is the life of one command.
func CommandSubject(tenant, id string) string { return join("command", tenant, id) }

// DeadSubject is where what a service could not process goes.
func DeadSubject(letter *curfewv1.DeadLetter) string {
	return join("dead", letter.GetService(), letter.GetReason())
}

// All is the filter for every subject of the stream whose subjects begin with root, of one tenant where one is given.
func All(root string, tenant ...string) string {
	if len(tenant) == 0 {
		return root + ".>"
	}
	return join(root, tenant...) + ".>"
}

// SplitLane takes the subject of an event or decision lane apart. Ok is false where it is none.
func SplitLane(subject string) (tenant, source, feed string, ok bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 {
		return "", "", "", false
	}
	return decodeToken(parts[1]), decodeToken(parts[2]), decodeToken(parts[3]), true
}

func join(root string, tokens ...string) string {
	var subject strings.Builder
	subject.WriteString(root)
	for _, token := range tokens {
		subject.WriteByte('.')
		subject.WriteString(encodeToken(token))
	}
	return subject.String()
}

const hexDigits = "0123456789ABCDEF"

// encodeToken makes any text one token of a subject and of a bucket's key: letters, digits, "_" and "-" stand for
// themselves, every other byte is "=XX". Empty text is "=".
func encodeToken(text string) string {
	if text == "" {
		return "="
	}
	var token strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			token.WriteByte(c)
		default:
			token.WriteByte('=')
			token.WriteByte(hexDigits[c>>4])
			token.WriteByte(hexDigits[c&15])
		}
	}
	return token.String()
}

// decodeToken is the inverse of encodeToken; what encodeToken never makes is returned as it is.
func decodeToken(token string) string {
	var text strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] == '=' && i+2 < len(token) {
			high, low := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
			if high >= 0 && low >= 0 {
				text.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		if token[i] == '=' && len(token) == 1 {
			return ""
		}
		text.WriteByte(token[i])
	}
	return text.String()
}

// makeStreams makes what is missing.
func (b *Bus) makeStreams(ctx context.Context) error {
	for _, s := range streams {
		config := jetstream.StreamConfig{
			Name: s.name, Subjects: []string{s.root + ".>"}, MaxAge: s.keep, Storage: jetstream.FileStorage,
			Replicas: b.replicas, AllowDirect: true, MaxMsgsPerSubject: s.newest, Duplicates: 2 * time.Minute,
			AllowAtomicPublish: s.batches,
		}
		if s.queue {
			config.Retention = jetstream.WorkQueuePolicy
		}
		if s.compact {
			config.Compression = jetstream.S2Compression
		}
		if slices.Contains([]string{"EVENTS", "DECISIONS", "GRANTS", "ALERTS", "COMMANDS"}, s.name) {
			// Written by Append, which needs no ids; the server reads the whole window at start, ids or none.
			config.Duplicates = time.Second
		}
		_, err := b.js.CreateStream(ctx, config)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) && (s.newest > 0 || s.batches) {
			err = b.improve(ctx, s)
		}
		if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("make stream %s: %w", s.name, err)
		}
	}
	for _, name := range []string{Policies, Apps, Vendors, Tokens, Firsts, Silences, Contacts, Vault, leases} {
		if err := b.makeBucket(ctx, name); err != nil {
			return err
		}
	}
	if _, err := b.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: blobs, Replicas: b.replicas}); err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("make object store %s: %w", blobs, err)
	}
	return nil
}

// makeBucket makes a bucket that is not there.
func (b *Bus) makeBucket(ctx context.Context, name string) error {
	config := jetstream.KeyValueConfig{Bucket: name, History: 1, Replicas: b.replicas, Storage: jetstream.FileStorage}
	if name == leases {
		config.Storage = jetstream.MemoryStorage
	}
	if _, err := b.js.CreateKeyValue(ctx, config); err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("make bucket %s: %w", name, err)
	}
	return nil
}

// improve gives a stream that an earlier version made what this one needs of it.
func (b *Bus) improve(ctx context.Context, s stream) error {
	made, err := b.js.Stream(ctx, s.name)
	if err != nil {
		return err
	}
	config := made.CachedInfo().Config
	if s.newest <= max(config.MaxMsgsPerSubject, 0) && (config.AllowAtomicPublish || !s.batches) {
		return nil
	}
	if s.newest > config.MaxMsgsPerSubject && s.newest > 0 {
		config.MaxMsgsPerSubject = s.newest
	}
	config.AllowAtomicPublish = config.AllowAtomicPublish || s.batches
	_, err = b.js.UpdateStream(ctx, config)
	return err
}

// stream returns the handle of the stream that a subject or filter belongs to.
func (b *Bus) stream(ctx context.Context, subject string) (jetstream.Stream, error) {
	name, err := streamName(subject)
	if err != nil {
		return nil, err
	}
	handle, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", name, err)
	}
	return handle, nil
}

func streamName(subject string) (string, error) {
	root, _, _ := strings.Cut(subject, ".")
	for _, s := range streams {
		if s.root == root {
			return s.name, nil
		}
	}
	return "", fmt.Errorf("no stream holds subject %q", subject)
}
