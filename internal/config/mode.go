// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"fmt"

	"github.com/curfewhq/curfew/internal/yamlfile"
)

// Mode is what becomes of findings.
type Mode string

// Modes.
const (
	// Observe records everything and alerts nobody.
	Observe Mode = "observe"
	// Alert makes findings alerts.
	Alert Mode = "alert"
)

// UnmarshalYAML refuses what is no mode.
func (m *Mode) UnmarshalYAML(unmarshal func(any) error) error {
	var place yamlfile.Section
	var text string
	if err := unmarshal(&place); err != nil {
		return err
	}
	if err := unmarshal(&text); err != nil || Mode(text) != Observe && Mode(text) != Alert {
		return fmt.Errorf("line %d: mode %q must be %s (record everything, alert nobody) or %s (findings reach the receivers)", place.Line(), text, Observe, Alert)
	}
	*m = Mode(text)
	return nil
}

// Source is a source's part of the file.
type Source struct {
	// Mode is its own; empty = that of the whole.
	Mode Mode
	// Section is everything else: the keys of the collector and of the plug-in.
	Section yamlfile.Section
}

// UnmarshalYAML keeps the section as it is: its keys are read once the file's name is known.
func (s *Source) UnmarshalYAML(unmarshal func(any) error) error { return unmarshal(&s.Section) }

// named is the source with its own keys read out of its section.
func (s Source) named(file string) (Source, error) {
	var keys struct {
		Mode Mode `yaml:"mode"`
	}
	rest, err := s.Section.Named(file).Split(&keys)
	return Source{Mode: keys.Mode, Section: rest}, err
}

// ModeOf is the mode of a source, whether it is configured or not.
func (c Config) ModeOf(source string) Mode { return cmp.Or(c.Sources[source].Mode, c.Mode) }
