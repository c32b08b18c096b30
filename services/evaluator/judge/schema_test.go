// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
)

// schema is what of JSON Schema the shipped schemas use.
type schema struct {
	Properties map[string]*schema
	Additional json.RawMessage `json:"additionalProperties"`
	Required   []string
	Items      *schema
	Enum       []string
}

// each calls visit with every part that names keys, and with what puts such a part where it belongs in a whole document.
func (s *schema) each(t *testing.T, within func(string) string, visit func(*schema, func(string) string)) {
	t.Helper()
	if s.Properties != nil {
		visit(s, within)
		for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
			s.Properties[key].each(t, func(inner string) string { return within(`{"` + key + `": ` + inner + `}`) }, visit)
		}
	}
	if s.Items != nil {
		s.Items.each(t, func(inner string) string { return within(`[` + inner + `]`) }, visit)
	}
	if strings.HasPrefix(string(s.Additional), "{") {
		any := new(schema)
		if err := json.Unmarshal(s.Additional, any); err != nil {
			t.Fatal(err)
		}
		any.each(t, func(inner string) string { return within(`{"any": ` + inner + `}`) }, visit)
	}
}

// An editor that goes by a schema must not say other than Curfew does: each schema has the keys that the reader takes and
// no other, and what it requires the reader requires.
func TestSchemasSayWhatTheReaderTakes(t *testing.T) {
	for _, c := range []struct {
		file  string
		parts int
	}{{classesFile, 3}, {identitiesFile, 2}, {catalogFile, 4}, {grantsFile, 7}, {onCallFile, 2}} {
		t.Run(c.file, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join(exampleDir, "schema", strings.TrimSuffix(c.file, ".yaml")+".json"))
			if err != nil {
				t.Fatal(err)
			}
			whole := new(schema)
			if err := json.Unmarshal(content, whole); err != nil {
				t.Fatal(err)
			}
			read := func(document string) error {
				_, err := makePolicy(t, policyFile, "p, role:anyone, *, *, level:low, *, allow\n", c.file, document)
				return err
			}
			parts := 0
			whole.each(t, func(document string) string { return document }, func(s *schema, within func(string) string) {
				parts++
				document := within(`{"no such key": 1}`)
				want := `unknown key "no such key"; known here: ` + strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
				if err := read(document); err == nil || !strings.HasSuffix(err.Error(), want) {
					t.Errorf("%s: got %v, want %q", document, err, want)
				}
				if string(s.Additional) != "false" {
					t.Errorf("%s: the schema takes keys that it does not name", document)
				}
				if empty := within("{}"); len(s.Required) > 0 && read(empty) == nil {
					t.Errorf("%s: the schema requires %v, the reader nothing", empty, s.Required)
				}
				if act := s.Properties["act"]; act != nil && !slices.Equal(act.Enum, catalog.Acts()) {
					t.Errorf("acts: got %v, want %v", act.Enum, catalog.Acts())
				}
			})
			if parts != c.parts {
				t.Errorf("got %d parts that name keys, want %d", parts, c.parts)
			}
		})
	}
}

// The files that ship name the schema by which an editor checks them.
func TestTheExampleNamesItsSchemas(t *testing.T) {
	for _, file := range []string{classesFile, identitiesFile, catalogFile, grantsFile, onCallFile} {
		content, err := os.ReadFile(filepath.Join(exampleDir, file))
		if err != nil {
			t.Fatal(err)
		}
		if want := "# yaml-language-server: $schema=schema/" + strings.TrimSuffix(file, ".yaml") + ".json\n"; !strings.HasPrefix(string(content), want) {
			t.Errorf("%s: does not begin with %q", file, want)
		}
	}
}
