// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"testing"

	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// corpus is a folder of real records that a developer may have beside the repository.
const corpus = "../../../../../shared/corpus/m365"

func decoder() sourcetest.DecoderCase {
	return sourcetest.DecoderCase{
		Source:  source,
		Decode:  Decode,
		Records: "testdata/records.jsonl",
		Golden:  "testdata/events.golden.jsonl",
		Typical: 12,
		Seeds:   []string{`{"AuditData":"{\"Id\":1,\"Parameters\":\"x\"}","Actor":{"ID":"User_","Type":2},"ModifiedProperties":["a",1]}`},
		Corpus:  corpus,
	}
}

func graphDecoder() sourcetest.DecoderCase {
	return sourcetest.DecoderCase{
		Source:  source,
		Decode:  DecodeGraph,
		Records: "testdata/graph.jsonl",
		Golden:  "testdata/graph.golden.jsonl",
		Typical: 4,
		Seeds:   []string{`{"properties":"{\"id\":1}","status":"new","targetResources":{"modifiedProperties":["x"]},"location":7}`},
		Corpus:  "../../../../../shared/corpus/m365_graph",
	}
}

func exportDecoder() sourcetest.DecoderCase {
	c := graphDecoder()
	c.Corpus = "../../../../../shared/corpus/entra_diag"
	return c
}

func TestDecode(t *testing.T) { sourcetest.Decoder(t, decoder()) }

func TestDecodeGraph(t *testing.T) { sourcetest.Decoder(t, graphDecoder()) }

func TestDecodeExported(t *testing.T) { sourcetest.Decoder(t, exportDecoder()) }

func FuzzDecode(f *testing.F) { sourcetest.FuzzDecoder(f, decoder()) }

func FuzzDecodeGraph(f *testing.F) { sourcetest.FuzzDecoder(f, graphDecoder()) }

func BenchmarkDecode(b *testing.B) { sourcetest.BenchmarkDecoder(b, decoder()) }

func BenchmarkDecodeGraph(b *testing.B) { sourcetest.BenchmarkDecoder(b, graphDecoder()) }
