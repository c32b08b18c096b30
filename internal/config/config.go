// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package config is the configuration: one file, one struct, unknown keys refused, secrets named and never printed.
package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/yamlfile"
)

// Config is the whole configuration.
type Config struct {
	// Tenant names the company or shop; it is Casbin's dom.
	Tenant string `yaml:"tenant"`
	// Data is the directory of everything that must last.
	Data string `yaml:"data"`
	// Mode of every source that has none of its own.
	Mode Mode `yaml:"mode"`
	// Policy is the policy folder; empty = the standard policy.
	Policy string `yaml:"policy"`
	// NATS to join; no URL = embedded.
	NATS NATS `yaml:"nats"`
	// Redis for derived state; no URL = memory.
	Redis Redis `yaml:"redis"`
	// API of the evaluator.
	API API `yaml:"api"`
	// Telemetry is metrics, health and readiness.
	Telemetry Listen `yaml:"telemetry"`
	// Webhooks is where vendors send theirs; nowhere if it does not listen.
	Webhooks Webhooks `yaml:"webhooks"`
	// Sources by name.
	Sources map[string]Source `yaml:"sources"`
	// Receivers by name, each with its plug-in's keys.
	Receivers map[string]yamlfile.Section `yaml:"receivers"`
	// Alerts is where alerts go, and when they do not.
	Alerts Alerts `yaml:"alerts"`
}

// NATS says which cluster to join.
type NATS struct {
	URL         string `yaml:"url"`
	Credentials string `yaml:"credentials"`
	Replicas    int    `yaml:"replicas"`
}

// Redis says which server holds derived state.
type Redis struct {
	URL Secret `yaml:"url"`
}

// Listen is where a server listens.
type Listen struct {
	Listen string `yaml:"listen"`
}

// Webhooks is where vendors' webhooks come in. They prove themselves, each in its vendor's way; TLS is the ingress's.
type Webhooks struct {
	// Listen is the address to listen on, such as "127.0.0.1:7423" behind an ingress.
	Listen string `yaml:"listen"`
	// Address is what vendors reach it by, such as "https://hooks.example.com": where a vendor has to be told.
	Address string `yaml:"address"`
}

// Default is the configuration of `curfew run` without a file.
func Default() Config {
	return Config{
		Tenant: "main", Data: "curfew-data", Mode: Observe,
		API: API{Listen: "127.0.0.1:7421"}, Telemetry: Listen{"127.0.0.1:7422"},
	}
}

// tenantName keeps the tenant fit for subjects, policy rows and file names.
var tenantName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Read reads a configuration file over the defaults. Relative paths in it are relative to the file. Each error is one
// line that says what to change.
func Read(path string) (Config, error) {
	c := Default()
	if err := yamlfile.Read(path, &c); err != nil {
		return Config{}, err
	}
	dir := filepath.Dir(path)
	for _, p := range []*string{&c.Data, &c.Policy, &c.NATS.Credentials, &c.API.TLS.Certificate, &c.API.TLS.Key, &c.API.TLS.ClientCA} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	c.Redis.URL = c.Redis.URL.In(dir)
	c.Alerts.Heartbeat.URL = c.Alerts.Heartbeat.URL.In(dir)
	for name, source := range c.Sources {
		var err error
		if c.Sources[name], err = source.named(path); err != nil {
			return Config{}, err
		}
	}
	for name, section := range c.Receivers {
		c.Receivers[name] = section.Named(path)
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

func (c Config) check() error {
	if !tenantName.MatchString(c.Tenant) {
		return fmt.Errorf("tenant %q must be lower-case letters, digits, \"-\" and \"_\", at most 63", c.Tenant)
	}
	if c.Data == "" {
		return fmt.Errorf("data is empty; name the directory where everything is kept")
	}
	if c.Policy != "" {
		if info, err := os.Stat(c.Policy); err != nil || !info.IsDir() {
			return fmt.Errorf("policy %s is no folder", c.Policy)
		}
	}
	if err := c.Webhooks.check(); err != nil {
		return err
	}
	if err := c.Alerts.check(names{slices.Sorted(maps.Keys(c.Receivers)), slices.Sorted(maps.Keys(c.Sources))}); err != nil {
		return err
	}
	if err := c.API.check(); err != nil {
		return err
	}
	if err := checkLoopback(c.Telemetry.Listen); err != nil {
		return fmt.Errorf("telemetry.listen: %w", err)
	}
	return nil
}

func (w Webhooks) check() error {
	if w.Listen != "" {
		if _, _, err := net.SplitHostPort(w.Listen); err != nil {
			return fmt.Errorf("webhooks.listen: %q is no address; write HOST:PORT, such as 127.0.0.1:7423", w.Listen)
		}
	}
	if w.Address != "" {
		u, err := url.Parse(w.Address)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return fmt.Errorf("webhooks.address: %q is not what vendors can reach; write scheme and host alone, such as https://hooks.example.com", w.Address)
		}
		if w.Listen == "" {
			return fmt.Errorf("webhooks.address is set and webhooks.listen is not: what vendors send would reach nobody")
		}
	}
	return nil
}

// checkLoopback refuses an address that other machines can reach: what has no TLS is not served to them.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address; write HOST:PORT, such as 127.0.0.1:7421", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not on loopback; without TLS only 127.0.0.1, [::1] and localhost are served", address)
	}
	return nil
}
