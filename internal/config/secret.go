// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/curfewhq/curfew/internal/yamlfile"
)

// maxSecret bounds a secret's file: what is larger is not a secret but the wrong file.
const maxSecret = 1 << 20

// redacted stands wherever a secret would print.
const redacted = "REDACTED"

// Secret is where a secret is to be had: in YAML {file: PATH} or {env: NAME}, never the secret itself. However it is
// printed, marshalled or logged it reads "REDACTED". The zero value is no secret. A Secret is immutable once read, so
// safe for concurrent use.
type Secret struct {
	// File is the path of the file that holds it.
	File string `yaml:"file"`
	// Env is the environment variable that holds it.
	Env string `yaml:"env"`

	// A pointer, since fmt calls no method of a value it reached through an unexported field of another package, and
	// would print a string there; of a pointer it prints the address.
	value *string
}

// SecretValue is a Secret that holds its value itself: for tests and the demo, whose secrets are none.
func SecretValue(value string) Secret { return Secret{value: &value} }

// IsSet reports whether s says where a secret is, and not whether one is there.
func (s Secret) IsSet() bool { return s.File != "" || s.Env != "" || s.value != nil }

// In is the secret with a relative path of its file made relative to dir.
func (s Secret) In(dir string) Secret {
	if s.File != "" && !filepath.IsAbs(s.File) {
		s.File = filepath.Join(dir, s.File)
	}
	return s
}

// Value returns the secret. A file is read at every call, so that a rotated secret counts at once; one line break at
// its end is not part of it. An error names the file or the variable and what to do, and never holds a byte of the
// secret.
func (s Secret) Value() (string, error) {
	switch {
	case s.value != nil:
		return *s.value, nil
	case s.File != "" && s.Env != "":
		return "", fmt.Errorf("read secret: file %s and environment variable %s are both named; name one", s.File, s.Env)
	case s.File != "":
		return readSecret(s.File)
	case s.Env != "":
		if value := os.Getenv(s.Env); value != "" {
			return value, nil
		}
		return "", fmt.Errorf("read secret: environment variable %s is not set; set it, or name a file with {file: PATH}", s.Env)
	}
	return "", errors.New("read secret: none is named; name one with {file: PATH} or {env: NAME}")
}

func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read secret: file %s: %w; create it, readable by this user alone", path, cause(err))
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read secret: file %s: %w", path, cause(err))
	}
	if len(content) > maxSecret {
		return "", fmt.Errorf("read secret: file %s is larger than %d bytes; name the file that holds the secret alone", path, maxSecret)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if value == "" {
		return "", fmt.Errorf("read secret: file %s is empty; write the secret into it", path)
	}
	return value, nil
}

// cause is err without the path, which the sentence around it names already.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// UnmarshalYAML reads {file: PATH} or {env: NAME}. Anything else is an error that does not repeat it: whoever writes
// the secret itself into the configuration must not find it in a log as well.
func (s *Secret) UnmarshalYAML(unmarshal func(any) error) error {
	var section yamlfile.Section
	if err := unmarshal(&section); err != nil {
		return err
	}
	// Named apart from Secret, so that this function is not called again.
	var place struct {
		File string `yaml:"file"`
		Env  string `yaml:"env"`
	}
	if err := section.Decode(&place); err != nil || (place.File == "") == (place.Env == "") {
		return fmt.Errorf("line %d: a secret is named by {file: PATH} or {env: NAME}, and never written here itself", section.Line())
	}
	*s = Secret{File: place.File, Env: place.Env}
	return nil
}

// String returns "REDACTED".
func (s Secret) String() string { return redacted }

// GoString returns "REDACTED".
func (s Secret) GoString() string { return redacted }

// Format prints "REDACTED" whatever the verb.
func (s Secret) Format(state fmt.State, _ rune) {
	// There is nobody to tell: fmt itself drops the error of a State.
	_, _ = io.WriteString(state, redacted)
}

// MarshalYAML returns "REDACTED".
func (s Secret) MarshalYAML() (any, error) { return redacted, nil }

// MarshalText returns "REDACTED"; encoding/json goes by it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "REDACTED".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
