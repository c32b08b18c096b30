// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/yamlfile"
)

const known = "s3cr3t-invented-token"

func TestSecretValue(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("CURFEW_TEST_SECRET", known)
	t.Setenv("CURFEW_TEST_EMPTY", "")
	empty := write("empty", "\n")
	large := write("large", strings.Repeat(known, 1<<16))
	tests := []struct {
		name   string
		secret config.Secret
		want   string
		err    string
	}{
		{"file", config.Secret{File: write("plain", known)}, known, ""},
		{"one line break is cut", config.Secret{File: write("line", known+"\n")}, known, ""},
		{"a Windows line break is cut", config.Secret{File: write("crlf", known+"\r\n")}, known, ""},
		{"a second line break is kept", config.Secret{File: write("lines", known+"\n\n")}, known + "\n", ""},
		{"spaces are kept", config.Secret{File: write("space", " "+known+" \n")}, " " + known + " ", ""},
		{"environment", config.Secret{Env: "CURFEW_TEST_SECRET"}, known, ""},
		{"held", config.SecretValue(known), known, ""},
		{"no such file", config.Secret{File: filepath.Join(dir, "none")}, "", "none: no such file or directory; create it"},
		{"a directory", config.Secret{File: dir}, "", "is a directory"},
		{"empty file", config.Secret{File: empty}, "", "empty is empty; write the secret into it"},
		{"far too large", config.Secret{File: large}, "", "large is larger than"},
		{"variable not set", config.Secret{Env: "CURFEW_TEST_UNSET"}, "", "CURFEW_TEST_UNSET is not set; set it"},
		{"variable empty", config.Secret{Env: "CURFEW_TEST_EMPTY"}, "", "CURFEW_TEST_EMPTY is not set; set it"},
		{"both", config.Secret{File: empty, Env: "CURFEW_TEST_SECRET"}, "", "both named; name one"},
		{"none", config.Secret{}, "", "none is named"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.secret.Value()
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			switch {
			case test.err == "" && err != nil:
				t.Errorf("got error %v, want none", err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("got error %v, want one with %q", err, test.err)
			case err != nil && strings.Contains(err.Error(), known):
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestSecretRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	secret := config.Secret{File: path}
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(path, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := secret.Value(); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	type inner struct{ token config.Secret }
	type outer struct {
		Token  config.Secret
		hidden inner
		behind *inner
	}
	secret := config.SecretValue(known)
	holder := outer{Token: secret, hidden: inner{secret}, behind: &inner{secret}}
	printed := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T"} {
		printed["secret "+verb] = fmt.Sprintf(verb, secret)
		printed["pointer "+verb] = fmt.Sprintf(verb, &secret)
		printed["holder "+verb] = fmt.Sprintf(verb, holder)
		printed["pointer to holder "+verb] = fmt.Sprintf(verb, &holder)
	}
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	printed["JSON"] = string(asJSON)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "token", secret, "holder", holder)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "token", secret, "holder", holder)
	printed["log"] = log.String()
	if value, err := secret.MarshalYAML(); err != nil || value != "REDACTED" {
		t.Errorf("MarshalYAML: got %v, %v, want REDACTED", value, err)
	}
	for how, text := range printed {
		if strings.Contains(text, known) || strings.Contains(text, fmt.Sprintf("%x", known)) {
			t.Errorf("%s tells the secret: %s", how, text)
		}
	}
	if got := fmt.Sprintf("%v %s %#v", secret, secret, secret); got != "REDACTED REDACTED REDACTED" {
		t.Errorf("got %q, want REDACTED three times", got)
	}
}

func TestSecretYAML(t *testing.T) {
	tests := []struct {
		name, yaml string
		want       config.Secret
		err        string
	}{
		{"file", "token: {file: /etc/curfew/token}", config.Secret{File: "/etc/curfew/token"}, ""},
		{"environment", "token:\n  env: TOKEN", config.Secret{Env: "TOKEN"}, ""},
		{"absent", "{}", config.Secret{}, ""},
		{"the secret itself", "\ntoken: " + known, config.Secret{}, "line 2: a secret is named by {file: PATH} or {env: NAME}"},
		{"a list", "token: [" + known + "]", config.Secret{}, "line 1: a secret is named by"},
		{"a value of the wrong kind", "token: {file: [" + known + "]}", config.Secret{}, "a secret is named by"},
		{"both", "token: {file: a, env: B}", config.Secret{}, "a secret is named by"},
		{"neither", "token: {}", config.Secret{}, "a secret is named by"},
		{"unknown key", "token: {path: a}", config.Secret{}, "a secret is named by"},
		{"the secret as a key", "token: {" + known + "}", config.Secret{}, "a secret is named by"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got struct {
				Token config.Secret `yaml:"token"`
			}
			err := yamlfile.Decode("curfew.yaml", []byte(test.yaml), &got)
			if got.Token != test.want {
				t.Errorf("got file %q env %q, want file %q env %q", got.Token.File, got.Token.Env, test.want.File, test.want.Env)
			}
			switch {
			case test.err == "" && err != nil:
				t.Errorf("got error %v, want none", err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("got error %v, want one with %q", err, test.err)
			case err != nil && (strings.Contains(err.Error(), known[:6]) || strings.Contains(err.Error(), "\n")):
				t.Errorf("the error tells the secret, or is more than a line: %v", err)
			}
		})
	}
}
