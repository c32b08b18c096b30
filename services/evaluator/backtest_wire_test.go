// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// populate sets every field of a message, most of the time.
func populate(random *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if random.IntN(5) == 0 || depth == 0 {
			continue
		}
		value := func() protoreflect.Value {
			switch field.Kind() {
			case protoreflect.MessageKind:
				inner := m.NewField(field)
				if field.IsList() {
					inner = inner.List().NewElement()
				}
				populate(random, inner.Message(), depth-1)
				return inner
			case protoreflect.StringKind:
				return protoreflect.ValueOfString(fmt.Sprint("text ", random.IntN(1000)))
			case protoreflect.BytesKind:
				return protoreflect.ValueOfBytes(make([]byte, random.IntN(300)))
			case protoreflect.BoolKind:
				return protoreflect.ValueOfBool(true)
			case protoreflect.EnumKind:
				return protoreflect.ValueOfEnum(protoreflect.EnumNumber(random.IntN(field.Enum().Values().Len())))
			case protoreflect.Int64Kind:
				return protoreflect.ValueOfInt64(random.Int64() - 1<<62)
			case protoreflect.Int32Kind:
				return protoreflect.ValueOfInt32(random.Int32() - 1<<30)
			case protoreflect.Uint64Kind:
				return protoreflect.ValueOfUint64(random.Uint64())
			default:
				return protoreflect.ValueOfUint32(random.Uint32())
			}
		}
		if !field.IsList() {
			m.Set(field, value())
			continue
		}
		for range random.IntN(4) {
			m.Mutable(field).List().Append(value())
		}
	}
}

// What is read by hand is what the generated code reads. A field that is new to the contract must be read too, or be
// named here as one that judging does not look at.
func TestWireReadsWhatIsStored(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		batch, decided := new(curfewv1.EventBatch), new(curfewv1.DecisionBatch)
		populate(random, batch.ProtoReflect(), 4)
		populate(random, decided.ProtoReflect(), 4)
		stored, err := proto.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		events, err := readEvents(stored)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.GetEvents() {
			e.Context, e.Changes, e.Raw, e.RawDigest, e.RawObject, e.Oddities, e.Echo, e.Links = nil, nil, nil, "", "", nil, "", nil
		}
		if diff := cmp.Diff(batch.GetEvents(), events, protocmp.Transform()); diff != "" {
			t.Fatalf("events, want and got:\n%s", diff)
		}
		if stored, err = proto.Marshal(decided); err != nil {
			t.Fatal(err)
		}
		got, err := readVerdicts(stored)
		if err != nil || got.sequence != decided.GetEventSequence() || !proto.Equal(got.received, decided.GetReceived()) || len(got.of) != len(decided.GetDecisions()) {
			t.Fatalf("got %+v, %v, want what is in %v", got, err, decided)
		}
		for i, d := range decided.GetDecisions() {
			if v := got.of[i]; string(v.event) != d.GetEventId() || !proto.Equal(v.time, d.GetTime()) || v.verdict != d.GetVerdict() || v.corrected != (d.GetCorrects() != "") {
				t.Fatalf("got %+v, want %v", v, d)
			}
		}
	}
}

func FuzzWire(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 3))
	for range 5 {
		batch := new(curfewv1.EventBatch)
		populate(random, batch.ProtoReflect(), 4)
		stored, err := proto.Marshal(batch)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(stored)
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		// Whatever it is, it is read or refused; and what the generated code takes this takes.
		events, err := readEvents(stored)
		batch := new(curfewv1.EventBatch)
		if proto.Unmarshal(stored, batch) == nil && (err != nil || len(events) != len(batch.GetEvents())) {
			t.Errorf("got %d events, %v, want %d", len(events), err, len(batch.GetEvents()))
		}
		_, _ = readVerdicts(stored)
	})
}
