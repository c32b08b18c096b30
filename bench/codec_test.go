// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"buf.build/go/hyperpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/bench/internal/vtpb"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// batch is how many events one message on the bus holds.
const batch = 256

// eventBatch is ordinary events with their vendor's records, of 1.4 kB each.
func eventBatch() *curfewv1.EventBatch {
	at := time.Unix(0, now)
	stamp := timestamppb.New(at)
	b := &curfewv1.EventBatch{
		Format: 1, Tenant: "main", Source: "okta", Feed: "system_log", Received: stamp, Cursor: "https://linden-lark.okta.example.com/api/v1/logs?after=1700000000000_1",
		Records: batch, PreviousSequence: 41, PreviousDigest: bytes.Repeat([]byte{7}, 32), Newest: stamp,
	}
	for i := range batch {
		e := &curfewv1.Event{
			Id: fmt.Sprintf("okta:6f3e2f3a-9a41-11ef-8f%02x-0242ac1200%02x", i, i), Tenant: "main", Source: "okta", Feed: "system_log",
			Time: timestamppb.New(at.Add(-time.Duration(i) * time.Second)), Received: stamp, Action: "user.authentication.sso", Act: "login",
			Actor:     &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: fmt.Sprintf("00uInvented%06d", i%40), Email: fmt.Sprintf("p%d@linden-lark.example.com", i%40), Name: "Ann Invented"},
			App:       &curfewv1.App{Id: "0oaInvented1", Name: "Storefront admin"},
			Resource:  &curfewv1.Resource{Path: fmt.Sprintf("app/0oaInvented%d", i%9), Kind: "app", Name: "Storefront admin"},
			Outcome:   &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS},
			Context:   &curfewv1.Context{Ip: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", Country: "DE", Session: fmt.Sprintf("102InventedSession%06d", i), Mfa: i%2 == 0},
			Raw:       []byte(fmt.Sprintf(`{"uuid":"%08d","eventType":"user.authentication.sso","padding":%q}`, i, strings.Repeat("invented record ", 82))),
			RawDigest: strings.Repeat("0123456789abcdef", 4),
		}
		if i%8 == 0 {
			e.Changes = []*curfewv1.Change{{Field: "status", Before: "STAGED", After: "ACTIVE"}}
		}
		b.Events = append(b.Events, e)
	}
	return b
}

// decisionBatch is the decisions on eventBatch.
func decisionBatch() *curfewv1.DecisionBatch {
	at := timestamppb.New(time.Unix(0, now))
	digest := strings.Repeat("0123456789abcdef", 4)
	b := &curfewv1.DecisionBatch{
		Format: 1, Tenant: "main", Source: "okta", Feed: "system_log", EventSequence: 42, Received: at, PreviousSequence: 41, EventDigest: bytes.Repeat([]byte{7}, 32),
		Basis: &curfewv1.Basis{PolicyRevision: 3, PolicyDigest: digest, InventorySequence: 1000, GrantsSequence: 20, LinksSequence: 300},
	}
	for i, e := range eventBatch().GetEvents() {
		person := fmt.Sprintf("person:p%d", i%40)
		b.Decisions = append(b.Decisions, &curfewv1.Decision{
			EventId: e.GetId(), Time: e.GetTime(), Source: "okta", Feed: "system_log", Subject: person, Dom: "main", Object: "okta/" + e.GetResource().GetPath(),
			Classes: []string{"customer"}, Act: "login", Action: e.GetAction(), Outcome: e.GetOutcome().GetStatus(), Verdict: curfewv1.Verdict_VERDICT_ALLOWED,
			Reason: "row 12 allows login of customer (sensitivity 3)", Row: &curfewv1.Row{Text: "p, role:support, main, okta/*, customer, login, allow", File: "policy.csv", Line: 12},
			Links: []*curfewv1.Link{
				{Holder: person, Held: "group:okta/00gInvented1", From: at, Known: at, Origin: "okta memberships"},
				{Holder: "group:okta/00gInvented1", Held: "role:support", Origin: "policy.csv:31"},
			},
			PolicyDigest: digest,
		})
	}
	return b
}

// codec is one way to read or to write a batch.
type codec struct {
	name string
	call func() error
}

// codecs are the standard ones of the product and what else there is. hyperpb-read reads each event's fields as well, which
// takes it longer than it takes a struct; vtprotobuf-unsafe does not copy texts, nor does hyperpb.
func codecs(t testing.TB) []codec {
	events, err := proto.Marshal(eventBatch())
	if err != nil {
		t.Fatal(err)
	}
	answer := decisionBatch()
	decisions, err := proto.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	generated := new(vtpb.DecisionBatch)
	if err := generated.UnmarshalVT(decisions); err != nil {
		t.Fatal(err)
	}
	hyper := hyperpb.CompileMessageDescriptor(new(curfewv1.EventBatch).ProtoReflect().Descriptor())
	decodeHyper := func(use func(*hyperpb.Message), options ...hyperpb.UnmarshalOption) func() error {
		shared := new(hyperpb.Shared)
		return func() error {
			defer shared.Free()
			m := shared.NewMessage(hyper)
			if err := m.Unmarshal(events, options...); err != nil {
				return err
			}
			use(m)
			return nil
		}
	}
	alias := hyperpb.WithAllowAlias(true)
	return []codec{
		{"decode/standard", func() error { return proto.Unmarshal(events, new(curfewv1.EventBatch)) }},
		{"decode/hyperpb", decodeHyper(func(*hyperpb.Message) {}, alias)},
		{"decode/hyperpb-read", decodeHyper(newJudged(hyper).read, alias)},
		{"decode/vtprotobuf", func() error { return new(vtpb.EventBatch).UnmarshalVT(events) }},
		{"decode/vtprotobuf-unsafe", func() error { return new(vtpb.EventBatch).UnmarshalVTUnsafe(events) }},
		{"encode/standard", func() error {
			_, err := proto.MarshalOptions{Deterministic: true}.Marshal(answer)
			return err
		}},
		{"encode/vtprotobuf", func() error {
			_, err := generated.MarshalVT()
			return err
		}},
	}
}

// judged is the fields that a decision is made of: of an event, and of a message within it.
type judged struct {
	events protoreflect.FieldDescriptor
	fields [][]protoreflect.FieldDescriptor
}

func newJudged(batch *hyperpb.MessageType) *judged {
	j := &judged{events: batch.Descriptor().Fields().ByName("events")}
	for _, name := range []string{
		"id", "source", "feed", "action", "act", "outcome.status", "time.seconds", "time.nanos", "received.seconds", "received.nanos",
		"actor.type", "actor.id", "actor.email", "actor.name", "app.id", "resource.path",
	} {
		var path []protoreflect.FieldDescriptor
		of := j.events.Message()
		for part := range strings.SplitSeq(name, ".") {
			field := of.Fields().ByName(protoreflect.Name(part))
			path, of = append(path, field), field.Message()
		}
		j.fields = append(j.fields, path)
	}
	return j
}

// read reads them all.
func (j *judged) read(m *hyperpb.Message) {
	events := m.Get(j.events).List()
	for i := range events.Len() {
		e := events.Get(i).Message()
		for _, path := range j.fields {
			value := e.Get(path[0])
			if len(path) > 1 {
				value = value.Message().Get(path[1])
			}
			if !value.IsValid() {
				panic("no " + path[0].Name())
			}
		}
	}
}

// BenchmarkCodec is a batch of events read, and one of decisions written.
func BenchmarkCodec(b *testing.B) {
	all := codecs(b)
	for range rounds {
		for _, c := range all {
			b.Run(c.name, func(b *testing.B) {
				each := measure(b, func() {
					if err := c.call(); err != nil {
						b.Fatal(err)
					}
				})
				b.ReportMetric(float64(each)/batch, "cpu-ns/event")
			})
		}
	}
}

// What is fast must also be the same: the copy in vtpb says what the contract says, and every codec reads and writes it.
func TestCodecsAgree(t *testing.T) {
	for _, m := range []proto.Message{eventBatch(), decisionBatch()} {
		stored, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var written []byte
		switch m.(type) {
		case *curfewv1.EventBatch:
			copied := new(vtpb.EventBatch)
			if err := copied.UnmarshalVT(stored); err != nil {
				t.Fatal(err)
			}
			written, err = copied.MarshalVT()
			compiled := hyperpb.CompileMessageDescriptor(m.ProtoReflect().Descriptor())
			hyper := hyperpb.NewMessage(compiled)
			if err := hyper.Unmarshal(stored); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(hyper, m) {
				t.Error("hyperpb reads another batch of events")
			}
			newJudged(compiled).read(hyper)
		case *curfewv1.DecisionBatch:
			copied := new(vtpb.DecisionBatch)
			if err := copied.UnmarshalVT(stored); err != nil {
				t.Fatal(err)
			}
			written, err = copied.MarshalVT()
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written, stored) {
			t.Errorf("vtprotobuf writes %T otherwise: got %d bytes, want the %d of the standard codec", m, len(written), len(stored))
		}
	}
	for _, copied := range []struct{ got, want proto.Message }{
		{new(vtpb.EventBatch), new(curfewv1.EventBatch)}, {new(vtpb.Event), new(curfewv1.Event)}, {new(vtpb.Actor), new(curfewv1.Actor)},
		{new(vtpb.DecisionBatch), new(curfewv1.DecisionBatch)}, {new(vtpb.Decision), new(curfewv1.Decision)}, {new(vtpb.Link), new(curfewv1.Link)},
	} {
		if got, want := fields(copied.got), fields(copied.want); got != want {
			t.Errorf("%T is not what the contract says; run go generate ./internal/vtpb: got %s, want %s", copied.got, got, want)
		}
	}
}

// fields is a message's fields, one after the other.
func fields(m proto.Message) string {
	var text strings.Builder
	all := m.ProtoReflect().Descriptor().Fields()
	for i := range all.Len() {
		fmt.Fprintf(&text, "%d %s %v %v, ", all.Get(i).Number(), all.Get(i).Name(), all.Get(i).Kind(), all.Get(i).Cardinality())
	}
	return text.String()
}
