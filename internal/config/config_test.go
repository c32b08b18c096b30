// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
)

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "curfew.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	path := write(t, "tenant: shop\nmode: alert\nsources: {okta: {url: https://shop.okta.com}}\n")
	c, err := config.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Tenant != "shop" || c.Mode != config.Alert || c.Data != filepath.Join(filepath.Dir(path), "curfew-data") || c.API.Listen != "127.0.0.1:7421" || len(c.Sources) != 1 {
		t.Errorf("got %+v", c)
	}
	if c, err := config.Read(write(t, "")); err != nil || c.Mode != config.Observe {
		t.Errorf("an empty file is the defaults: got %+v, %v", c, err)
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "tenat: shop\n", `line 1: unknown key "tenat"; known here: alerts, api, data, mode, nats, policy, receivers, redis, sources, telemetry, tenant`},
		{"tenant", "tenant: Linden & Lark\n", `tenant "Linden & Lark" must be`},
		{"mode", "tenant: shop\nmode: loud\n", `curfew.yaml: line 2: mode "loud" must be observe (record everything, alert nobody) or alert (findings reach the receivers)`},
		{"mode that is no text", "mode: [alert]\n", "line 1: mode \"\" must be observe"},
		{"mode of a source", "sources:\n  okta:\n    url: https://shop.okta.com\n    mode: Alert\n", `curfew.yaml: line 4: mode "Alert" must be observe (record everything, alert nobody) or alert`},
		{"no policy folder", "policy: nowhere\n", "is no folder"},
		{"no address", "api: {listen: here}\n", `api.listen: "here" is no address`},
		{"open to the world", "api: {listen: \"0.0.0.0:7421\"}\n", `"0.0.0.0:7421" is not on loopback`},
		{"half of TLS", "api: {tls: {certificate: c.pem}}\n", "api.tls: certificate and key go together"},
		{"a CA without TLS", "api: {tls: {client_ca: ca.pem}}\n", "api.tls.client_ca: callers can show certificates only to a server that has one"},
		{"open with TLS, and no address", "api: {listen: here, tls: {certificate: c.pem, key: k.pem}}\n", `api.listen: "here" is no address`},
		{"OIDC without an audience", "api: {oidc: {issuer: https://login.example.com}}\n", "api.oidc: issuer and audience go together"},
		{"OIDC in the clear", "api: {oidc: {issuer: http://login.example.com, audience: curfew}}\n", `api.oidc.issuer: "http://login.example.com" is no issuer`},
		{"a service with a slash", "api: {services: {ci.example.com: okta/0oa1}}\n", `api.services: "ci.example.com": "okta/0oa1" is no name of a service`},
		{"telemetry open to the world", "telemetry: {listen: \":7422\"}\n", `telemetry.listen: ":7422" is not on loopback`},
		{"secret in the file", "redis:\n  url: redis://:hunter2@127.0.0.1\n", "line 2: a secret is named by {file: PATH} or {env: NAME}"},
		{"secret as a key", "redis: {url: {hunter2}}\n", "line 1: a secret is named by {file: PATH} or {env: NAME}"},
		{"secret in a list", "redis: {url: {file: [hunter2]}}\n", "line 1: a secret is named by {file: PATH} or {env: NAME}"},
		{"data", "data: \"\"\n", "data is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Read(write(t, c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestTheAPIBeyondLoopback(t *testing.T) {
	path := write(t, `api:
  listen: 0.0.0.0:7421
  tls: {certificate: api.pem, key: /keys/api.key, client_ca: ca.pem}
  oidc: {issuer: https://login.example.com, audience: curfew}
  services: {ci.example.com: ci}
`)
	c, err := config.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	want := config.TLS{Certificate: filepath.Join(filepath.Dir(path), "api.pem"), Key: "/keys/api.key", ClientCA: filepath.Join(filepath.Dir(path), "ca.pem")}
	if c.API.TLS != want || c.API.OIDC.Audience != "curfew" || c.API.Services["ci.example.com"] != "ci" {
		t.Errorf("got %+v, want %+v", c.API, want)
	}
}

func TestModeOf(t *testing.T) {
	c, err := config.Read(write(t, "mode: alert\nsources: {okta: {mode: observe, url: https://shop.okta.com}, slack: {}, github: }\n"))
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]config.Mode{"okta": config.Observe, "slack": config.Alert, "github": config.Alert, "curfew": config.Alert, "": config.Alert} {
		if got := c.ModeOf(source); got != want {
			t.Errorf("%q: got %s, want %s", source, got, want)
		}
	}
	var plugin struct {
		URL string `yaml:"url"`
	}
	if err := c.Sources["okta"].Section.Decode(&plugin); err != nil || plugin.URL == "" {
		t.Errorf("the plug-in gets the rest: got %+v, %v", plugin, err)
	}
	if got := config.Default().ModeOf("okta"); got != config.Observe {
		t.Errorf("by default: got %s", got)
	}
}

func TestCheckSecrets(t *testing.T) {
	type plugin struct {
		URL   string        `yaml:"url"`
		Token config.Secret `yaml:"token"`
		Other config.Secret `yaml:"other"`
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := plugin{Token: config.Secret{File: "token"}, Other: config.SecretValue("y")}
	if err := config.CheckSecrets(&p, dir); err != nil {
		t.Error(err)
	}
	if got, err := p.Token.Value(); err != nil || got != "x" {
		t.Errorf("a path is relative to the configuration file: got %q, %v", got, err)
	}
	err := config.CheckSecrets(&plugin{Token: config.Secret{Env: "CURFEW_TEST_NOT_SET"}}, dir)
	if err == nil || !strings.HasPrefix(err.Error(), "token: ") || !strings.Contains(err.Error(), "CURFEW_TEST_NOT_SET") {
		t.Errorf("got %v", err)
	}
}

// The example that ships is one that loads.
func TestTheExampleLoads(t *testing.T) {
	if _, err := config.Read("../../deploy/example/curfew.yaml"); err != nil {
		t.Error(err)
	}
}
