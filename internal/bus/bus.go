// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package bus is the one place that speaks NATS: the streams and buckets, publishing that returns only when the
// message is on disk, reading, leases, and a server inside this process where none is configured.
package bus

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
)

// Format is the format number of every record and data directory that this version writes.
const Format = 1

// connectTimeout bounds the first connection: a server that is not there must be one clear line, soon.
const connectTimeout = 5 * time.Second

// minMessage is the least a message must be able to have: the default of nats-server, on which the bounds of events and
// batches rest.
const minMessage = 1 << 20

// Config says which bus to join.
type Config struct {
	// URL of a NATS cluster, such as "tls://nats.example.com:4222". Empty = a server inside this process.
	URL string
	// CredentialsFile is a NATS credentials file for URL; empty = none.
	CredentialsFile string
	// Replicas of each stream; 0 = three in a cluster, one elsewhere.
	Replicas int
	// Dir holds the embedded server's data. One process at a time; the others are refused.
	Dir string
	// Log receives what the bus has to say; nil = nothing.
	Log *slog.Logger
}

// Bus is a connection to the streams. It is safe for concurrent use.
type Bus struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	embedded *embedded
	replicas int
	log      *slog.Logger
	refused  atomic.Pointer[error] // why the newest write was refused; nil = it was taken
}

// ErrConflict says that somebody else wrote to the subject since the sequence that Append was given: the writer's
// picture of the subject is old, and nothing was written.
var ErrConflict = errors.New("another writer came first")

// ErrNotFound says that there is no such message, key or object.
var ErrNotFound = errors.New("not found")

// ErrTooLarge says that a message is larger than the bus takes; nothing was written.
var ErrTooLarge = errors.New("message larger than the bus takes")

// Open joins or starts the bus and makes the streams and buckets that are missing; those that are there are left as
// their operator set them. Close ends what Open began.
func Open(ctx context.Context, config Config) (*Bus, error) {
	b := &Bus{log: config.Log, replicas: config.Replicas}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if err := b.connect(config); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	js, err := jetstream.New(b.conn, jetstream.WithDefaultTimeout(10*time.Second))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open JetStream: %w", err), b.Close())
	}
	b.js = js
	if b.MaxMessage() < minMessage {
		return nil, errors.Join(fmt.Errorf("join NATS: its max_payload is %d bytes; set at least %d, its own default", b.MaxMessage(), minMessage), b.Close())
	}
	if b.replicas == 0 {
		b.replicas = 1
		if b.conn.ConnectedClusterName() != "" {
			b.replicas = 3
		}
	}
	if err := b.makeStreams(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bus) connect(config Config) error {
	options := []nats.Option{
		nats.Name("curfew"), nats.Timeout(connectTimeout), nats.MaxReconnects(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("NATS connection lost; reconnecting", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.log.Warn("NATS error", "error", err) }),
	}
	if config.URL == "" {
		server, err := startEmbedded(config.Dir)
		if err != nil {
			return err
		}
		b.embedded = server
		b.conn, err = nats.Connect("", append(options, nats.InProcessServer(server.server))...)
		if err != nil {
			return fmt.Errorf("connect to the embedded NATS server: %w", err)
		}
		return nil
	}
	if config.CredentialsFile != "" {
		if _, err := os.Stat(config.CredentialsFile); err != nil {
			return fmt.Errorf("read nats.credentials: %w", err)
		}
		options = append(options, nats.UserCredentials(config.CredentialsFile))
	}
	conn, err := nats.Connect(config.URL, options...)
	if err != nil {
		return fmt.Errorf("connect to nats.url %s: %w; check that the server runs and that the address is right", withoutPassword(config.URL), err)
	}
	b.conn = conn
	return nil
}

// withoutPassword is a URL fit for an error.
func withoutPassword(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	return parsed.Redacted()
}

// Close drops the connection and, where the server is embedded, stops it once its files are written. It may be called
// twice.
func (b *Bus) Close() error {
	if b.conn != nil {
		b.conn.Close()
	}
	if b.embedded != nil {
		return b.embedded.stop()
	}
	return nil
}

// Ready says whether the bus can be written to now. Nil means that it answers and took the newest write.
func (b *Bus) Ready(ctx context.Context) error {
	if !b.conn.IsConnected() {
		return errors.New("NATS is not connected")
	}
	if _, err := b.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("ask JetStream: %w", err)
	}
	if refused := b.refused.Load(); refused != nil {
		return *refused
	}
	return nil
}

// Embedded is whether the server runs inside this process.
func (b *Bus) Embedded() bool { return b.embedded != nil }

// MaxMessage is how many bytes one message may have.
func (b *Bus) MaxMessage() int { return int(b.conn.MaxPayload()) }

// Publish stores a message and returns its stream sequence once it is on disk. The id makes a repeat within two
// minutes harmless: it is answered with the first one's sequence. An error leaves open whether it was stored.
func (b *Bus) Publish(ctx context.Context, subject, id string, message proto.Message) (uint64, error) {
	data, err := encode(subject, message)
	if err != nil {
		return 0, err
	}
	return b.publish(ctx, subject, data, jetstream.WithMsgID(id))
}

// Append stores a message only while last is the sequence of the newest message of its subject (0 = there is none),
// and returns its own sequence once it is on disk. ErrConflict means that it was not stored; any other error leaves
// that open, and Last tells.
func (b *Bus) Append(ctx context.Context, subject string, last uint64, message proto.Message) (uint64, error) {
	sequence, _, err := b.AppendDigest(ctx, subject, last, message)
	return sequence, err
}

// AppendDigest is Append that returns Digest of what it stored, too.
func (b *Bus) AppendDigest(ctx context.Context, subject string, last uint64, message proto.Message) (sequence uint64, digest []byte, err error) {
	data, err := encode(subject, message)
	if err != nil {
		return 0, nil, err
	}
	sequence, err = b.publish(ctx, subject, data, jetstream.WithExpectLastSequencePerSubject(last))
	return sequence, Message{Data: data}.Digest(), err
}

func encode(subject string, message proto.Message) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode message for %s: %w", subject, err)
	}
	return data, nil
}

func (b *Bus) publish(ctx context.Context, subject string, data []byte, option jetstream.PublishOpt) (uint64, error) {
	if len(data) > b.MaxMessage() {
		return 0, fmt.Errorf("publish %d bytes to %s: %w", len(data), subject, ErrTooLarge)
	}
	ack, err := b.js.Publish(ctx, subject, data, option)
	if isConflict(err) {
		return 0, fmt.Errorf("append to %s: %w", subject, ErrConflict)
	}
	if isFull(err) {
		err = fmt.Errorf("%w: the disk is full, or as full as NATS lets it be (an embedded one: three quarters of what was free at its start); free space and start again", err)
	}
	if err != nil {
		err = fmt.Errorf("publish to %s: %w", subject, err)
		b.refused.Store(&err)
		return 0, err
	}
	b.refused.Store(nil)
	return ack.Sequence, nil
}

// isFull is whether a write was refused for want of room: error 10023, "insufficient resources", of
// https://github.com/nats-io/nats-server/blob/main/server/errors.json.
func isFull(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == 10023 || api.ErrorCode == 10047)
}

// isConflict is whether a write was refused because its expected sequence was not the last. The server has two codes
// for it: https://github.com/nats-io/nats-server/blob/main/server/errors.json (10071 alone, 10164 in a cluster).
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// Message is one stored message.
type Message struct {
	// Subject it was stored under.
	Subject string
	// Sequence in its stream, from 1.
	Sequence uint64
	// Time it was stored, by the server's clock.
	Time time.Time
	// Data as stored.
	Data []byte
}

// Decode reads the message into one of the contract's. An error means that what is stored is not of that kind.
func (m Message) Decode(into proto.Message) error {
	if err := proto.Unmarshal(m.Data, into); err != nil {
		return fmt.Errorf("decode message %d of %s: %w", m.Sequence, m.Subject, err)
	}
	return nil
}

// Last returns the newest message whose subject matches filter, or ErrNotFound.
func (b *Bus) Last(ctx context.Context, filter string) (Message, error) {
	stream, err := b.stream(ctx, filter)
	if err != nil {
		return Message{}, err
	}
	raw, err := stream.GetLastMsgForSubject(ctx, filter)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, fmt.Errorf("read last of %s: %w", filter, ErrNotFound)
	}
	if err != nil {
		return Message{}, fmt.Errorf("read last of %s: %w", filter, err)
	}
	return Message{Subject: raw.Subject, Sequence: raw.Sequence, Time: raw.Time, Data: raw.Data}, nil
}

// At returns the message of a stream sequence, or ErrNotFound. Filter is any subject of the stream.
func (b *Bus) At(ctx context.Context, filter string, sequence uint64) (Message, error) {
	stream, err := b.stream(ctx, filter)
	if err != nil {
		return Message{}, err
	}
	raw, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, fmt.Errorf("read message %d of %s: %w", sequence, filter, ErrNotFound)
	}
	if err != nil {
		return Message{}, fmt.Errorf("read message %d of %s: %w", sequence, filter, err)
	}
	return Message{Subject: raw.Subject, Sequence: raw.Sequence, Time: raw.Time, Data: raw.Data}, nil
}

// Subjects returns every subject that matches filter and holds a message, with the number of its messages.
func (b *Bus) Subjects(ctx context.Context, filter string) (map[string]uint64, error) {
	stream, err := b.stream(ctx, filter)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("list subjects of %s: %w", filter, err)
	}
	return info.State.Subjects, nil
}

// Digest is the SHA-256 of the message as stored, by which the lane's next batch points back at it.
func (m Message) Digest() []byte {
	sum := sha256.Sum256(m.Data)
	return sum[:]
}
