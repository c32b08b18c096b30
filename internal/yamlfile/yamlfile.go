// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package yamlfile is the one strict YAML reader: unknown keys, repeated keys and a second document are errors, and
// every error is one line that names the file, the line and what to do.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxBytes bounds a file: a configuration beyond it is a mistake, and the parser's memory grows with its input.
const maxBytes = 16 << 20

// Read reads the YAML file at path into the value that into points to, whose fields carry yaml tags. After nil the
// value holds exactly what the file says; a key that into does not have is an error. An empty file leaves into as it
// was.
func Read(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, errors.Unwrap(err))
	}
	return Decode(path, content, into)
}

// Decode is Read over content; name stands for the file in errors.
func Decode(name string, content []byte, into any) error {
	if len(content) > maxBytes {
		return fmt.Errorf("read %s: %d bytes are more than the %d a YAML file may have", name, len(content), maxBytes)
	}
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return oneLine(name, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: a second YAML document follows the first; keep one", name)
	}
	return decodeNode(name, &document, into)
}

// decodeNode decodes strictly. yaml.v3 is strict over bytes only, so the node's keys are held against into's fields here.
func decodeNode(name string, node *yaml.Node, into any) error {
	if err := checkKeys(name, node, reflect.TypeOf(into)); err != nil {
		return err
	}
	if err := node.Decode(into); err != nil {
		return oneLine(name, err)
	}
	return nil
}

// oneLine makes the parser's several lines one.
func oneLine(name string, err error) error {
	var mismatch *yaml.TypeError
	if errors.As(err, &mismatch) {
		return fmt.Errorf("read %s: %s", name, strings.Join(mismatch.Errors, "; "))
	}
	return fmt.Errorf("read %s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
}

var (
	lengthType    = reflect.TypeFor[time.Duration]()
	sectionType   = reflect.TypeFor[Section]()
	unmarshalType = reflect.TypeFor[yaml.Unmarshaler]()
	ownReaderType = reflect.TypeFor[interface{ UnmarshalYAML(func(any) error) error }]()
)

// checkKeys refuses a key of node that target has no field for, and a length of time that is none.
func checkKeys(name string, node *yaml.Node, target reflect.Type) error {
	for target.Kind() == reflect.Pointer {
		target = target.Elem()
	}
	if pointer := reflect.PointerTo(target); target == sectionType || pointer.Implements(unmarshalType) || pointer.Implements(ownReaderType) {
		return nil // it reads, and refuses, itself
	}
	if target == lengthType && node.Kind != yaml.AliasNode {
		return spellLength(name, node)
	}
	switch node.Kind {
	case yaml.DocumentNode:
		return checkKeys(name, node.Content[0], target)
	case yaml.AliasNode:
		return checkKeys(name, node.Alias, target)
	case yaml.SequenceNode:
		if target.Kind() != reflect.Slice {
			return nil
		}
		for _, item := range node.Content {
			if err := checkKeys(name, item, target.Elem()); err != nil {
				return err
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			var element reflect.Type
			switch target.Kind() {
			case reflect.Map:
				element = target.Elem()
			case reflect.Struct:
				fields := fieldTypes(target)
				field, known := fields[key.Value]
				if !known {
					return fmt.Errorf("read %s: line %d: unknown key %q; known here: %s", name, key.Line, key.Value,
						strings.Join(sortedKeys(fields), ", "))
				}
				element = field
			default:
				return nil
			}
			if err := checkKeys(name, value, element); err != nil {
				return err
			}
		}
	case yaml.ScalarNode: // holds no keys
	}
	return nil
}

// spellLength makes a length of time in whole days one that yaml.v3 reads, and refuses what is no length in words that do
// not need Go's.
func spellLength(name string, node *yaml.Node) error {
	if node.Tag == "!!null" {
		return nil
	}
	length, err := Length(node.Value)
	if err != nil {
		return fmt.Errorf("read %s: line %d: %q is no length of time; write it with its unit, such as 90s, 15m, 12h or 7d", name, node.Line, node.Value)
	}
	node.SetString(length.String())
	return nil
}

// Length reads a length of time as people write it in files and on the command line: as Go does, or in whole days, such as 7d.
func Length(text string) (time.Duration, error) {
	days, found := strings.CutSuffix(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	return time.Duration(n) * 24 * time.Hour, err
}

// fieldTypes is the type of each field of a struct by its key.
func fieldTypes(target reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type, target.NumField())
	for field := range target.Fields() {
		if !field.IsExported() {
			continue
		}
		key, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if options == "inline" {
			for inner, innerType := range fieldTypes(field.Type) {
				fields[inner] = innerType
			}
			continue
		}
		if key == "" {
			key = strings.ToLower(field.Name)
		}
		if key != "-" {
			fields[key] = field.Type
		}
	}
	return fields
}

func sortedKeys(fields map[string]reflect.Type) []string {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Section is a part of a file whose keys its reader does not know: a plug-in decodes it into a Config of its own.
// The zero value is an empty section.
type Section struct {
	file string
	node *yaml.Node
}

// UnmarshalYAML keeps the node for a later Decode.
func (s *Section) UnmarshalYAML(node *yaml.Node) error {
	s.node = node
	return nil
}

// Named returns the section with the file's name for its errors.
func (s Section) Named(file string) Section {
	s.file = file
	return s
}

// Dir is the folder of the section's file, to which relative paths in it are relative.
func (s Section) Dir() string { return filepath.Dir(s.file) }

// Line is the section's first line in its file; 0 for an empty section.
func (s Section) Line() int {
	if s.node == nil {
		return 0
	}
	return s.node.Line
}

// Decode reads the section into the value that into points to, as strictly as Read.
func (s Section) Decode(into any) error {
	if s.node == nil || s.node.Tag == "!!null" {
		return nil
	}
	return decodeNode(s.file, s.node, into)
}

// Split decodes the keys that into has fields for and returns the section without them, for another reader.
func (s Section) Split(into any) (rest Section, err error) {
	if s.node == nil || s.node.Kind != yaml.MappingNode {
		return s, nil
	}
	fields := fieldTypes(reflect.TypeOf(into).Elem())
	ours, theirs := *s.node, *s.node
	ours.Content, theirs.Content = nil, nil
	for i := 0; i+1 < len(s.node.Content); i += 2 {
		pair := s.node.Content[i : i+2]
		if _, mine := fields[pair[0].Value]; mine {
			ours.Content = append(ours.Content, pair...)
		} else {
			theirs.Content = append(theirs.Content, pair...)
		}
	}
	return Section{file: s.file, node: &theirs}, decodeNode(s.file, &ours, into)
}
