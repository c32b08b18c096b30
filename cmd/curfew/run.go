// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/state"
	"github.com/curfewhq/curfew/internal/telemetry"
	"github.com/curfewhq/curfew/internal/yamlfile"
	"github.com/curfewhq/curfew/services/collector"
	"github.com/curfewhq/curfew/services/evaluator"
	"github.com/curfewhq/curfew/services/notifier"
)

// services is what `curfew run` can be told to run.
func services() []string { return []string{"collector", "evaluator", "notifier"} }

func runCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "run [collector|evaluator|notifier ...]",
		Short: "Run the services named; none named = all, with NATS and derived state embedded",
		Long: `Run the services named. Without a name all three run in this process, which then embeds NATS
(JetStream on disk, no open port) and keeps derived state in memory: one command is the whole system.
With nats.url and redis.url set in the configuration the same services join a cluster, in as many
processes as wanted.`,
		ValidArgs: services(),
		Args:      arguments(cobra.OnlyValidArgs),
		RunE: func(c *cobra.Command, args []string) error {
			conf := config.Default()
			if path != "" {
				var err error
				if conf, err = config.Read(path); err != nil {
					return err
				}
			}
			if len(args) == 0 {
				args = services()
			}
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			err := serve(c.Context(), system{config: conf, services: args, out: c.OutOrStdout(), log: log})
			if c.Context().Err() != nil {
				return nil // asked to stop, and stopped
			}
			return err
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "configuration file; without one: no sources, mode observe, data in ./curfew-data")
	return c
}

// system is what one process runs.
type system struct {
	config   config.Config
	services []string
	out      io.Writer
	log      *slog.Logger
	// ready is called with the API's address once the evaluator can judge; nil = nobody waits.
	ready func(api string)
}

func (s system) runs(service string) bool { return slices.Contains(s.services, service) }

// serve runs the system until ctx ends or a service cannot go on.
func serve(ctx context.Context, s system) (err error) {
	if s.config.NATS.URL == "" && len(s.services) < len(services()) {
		return fmt.Errorf("run %s alone: that needs nats.url in the configuration, for the embedded NATS serves one process only", strings.Join(s.services, " and "))
	}
	cat, err := catalog.Load()
	if err != nil {
		return err
	}
	// What can be wrong with the configuration is said before anything starts.
	sources, err := openSources(s)
	if err != nil {
		return err
	}
	receivers, err := openReceivers(s)
	if err != nil {
		return err
	}
	metrics := telemetry.NewMetrics()
	health, err := listen("telemetry.listen", s.config.Telemetry.Listen)
	if err != nil {
		return err
	}
	defer health.Close() // closed before by Serve; then this says so, and nobody need know
	b, err := bus.Open(ctx, bus.Config{
		URL: s.config.NATS.URL, CredentialsFile: s.config.NATS.Credentials, Replicas: s.config.NATS.Replicas,
		Dir: s.config.Data, Log: s.log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	store, err := openState(ctx, s.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	holder, apiAddress := holderName(), ""
	var judging atomic.Bool // the evaluator has its policy, or runs elsewhere
	judging.Store(!s.runs("evaluator"))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return telemetry.Serve(ctx, health, telemetry.Handler(metrics, func(ctx context.Context) error {
			if !judging.Load() {
				return errors.New("the evaluator is loading the policy")
			}
			return errors.Join(b.Ready(ctx), store.Ready(ctx))
		}))
	})
	if s.runs("evaluator") {
		api, err := openAPI(s)
		if err != nil {
			return err
		}
		defer api.Listener.Close() // as above
		apiAddress = api.Listener.Addr().String()
		group.Go(func() error {
			return evaluator.Run(ctx, evaluator.Options{
				Bus: b, State: store, Catalog: cat, Tenant: s.config.Tenant, Holder: holder, PolicyDir: s.config.Policy,
				API: api, Log: s.log, Metrics: metrics,
				Ready: func() {
					judging.Store(true)
					if s.ready != nil {
						s.ready(apiAddress)
					}
				},
			})
		})
	}
	if s.runs("collector") {
		options := collector.Options{
			Bus: b, Catalog: cat, Tenant: s.config.Tenant, Holder: holder, Sources: sources, Log: s.log, Metrics: metrics,
			WebhookAddress: strings.TrimRight(s.config.Webhooks.Address, "/"),
		}
		group.Go(func() error { return collector.Run(ctx, options) })
		if s.config.Webhooks.Listen != "" {
			hooks, err := listen("webhooks.listen", s.config.Webhooks.Listen)
			if err != nil {
				return err
			}
			defer hooks.Close() // as above
			group.Go(func() error { return collector.ServeWebhooks(ctx, hooks, options) })
		}
	}
	if s.runs("notifier") {
		group.Go(func() error {
			return notifier.Run(ctx, notifier.Options{
				Bus: b, State: store, Tenant: s.config.Tenant, Holder: holder, Mode: s.config.ModeOf, Receivers: receivers,
				Alerts: s.config.Alerts, Sources: slices.Sorted(maps.Keys(s.config.Sources)), Log: s.log, Metrics: metrics,
			})
		})
	}
	s.log.Info("curfew runs", "services", strings.Join(s.services, ","), "tenant", s.config.Tenant, "mode", s.config.Mode,
		"data", s.config.Data, "sources", len(sources), "api", apiAddress, "telemetry", health.Addr().String())
	return group.Wait()
}

func listen(key, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w; stop what uses the port or set another", key, address, unwrapped(err))
	}
	return listener, nil
}

// unwrapped is the innermost of an error: "address already in use" without what stands around it.
func unwrapped(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func openSources(s system) (map[string]collector.Configured, error) {
	sources := map[string]collector.Configured{}
	if !s.runs("collector") {
		return sources, nil
	}
	for name, source := range s.config.Sources {
		var err error
		if sources[name], err = openSource(name, source.Section); err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
	}
	return sources, nil
}

func openReceivers(s system) (map[string]notifier.Receiver, error) {
	receivers := map[string]notifier.Receiver{}
	if !s.runs("notifier") {
		return receivers, nil
	}
	if err := checkDetections(s.config.Alerts); err != nil {
		return nil, err
	}
	for name, section := range receiverSections(s.config) {
		var err error
		if receivers[name], err = openReceiver(name, section, s.out); err != nil {
			return nil, fmt.Errorf("receiver %s: %w", name, err)
		}
	}
	return receivers, nil
}

// openReceiver makes a receiver of the type that its section names, else that its name is.
func openReceiver(name string, section yamlfile.Section, out io.Writer) (notifier.Receiver, error) {
	var keys struct {
		Type string `yaml:"type"`
	}
	rest, err := section.Split(&keys)
	if err != nil {
		return nil, err
	}
	return notifier.Open(cmp.Or(keys.Type, name), rest, out)
}

func openState(ctx context.Context, c config.Config) (state.Store, error) {
	if !c.Redis.URL.IsSet() {
		return state.NewMemory(), nil
	}
	url, err := c.Redis.URL.Value()
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	return state.OpenRedis(ctx, url)
}

// tokenFile is where the admin token stands in the data directory.
const tokenFile = "admin.token"

// adminToken reads the admin token, or makes it where there is none yet.
func adminToken(dir string) (string, error) {
	path := filepath.Join(dir, tokenFile)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make data directory: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		token, err := readToken(path)
		if err != nil {
			err = fmt.Errorf("%w; delete it, and the next start makes a new one", err)
		}
		return token, err
	}
	if err != nil {
		return "", fmt.Errorf("make admin token: %w", err)
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return "", errors.Join(fmt.Errorf("make admin token: %w", err), file.Close())
	}
	token := hex.EncodeToString(random)
	_, err = file.WriteString(token + "\n")
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("make admin token: %w", err)
	}
	return token, nil
}

func readToken(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if len(token) < 32 {
		return "", fmt.Errorf("read token: %s holds none", path)
	}
	return token, nil
}

// holderName names this process unlike any other.
func holderName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails: https://pkg.go.dev/crypto/rand#Read
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(random))
}
