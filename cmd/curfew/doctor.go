// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// examination bounds what all sources together may take to answer.
const examination = 2 * time.Minute

func doctorCommand() *cobra.Command {
	var path, output string
	c := &cobra.Command{
		Use:   "doctor [SOURCE ...]",
		Short: "Say what is configured, reachable and permitted, what is missing, and the least right that gives it",
		Long: `Ask everything that the configuration names whether it can do what it is there for: the policy, NATS,
Redis, and each source by ability: yes, no, off (nobody asked for it) or ? (not to be learnt without
doing it), with the reason, what to do, and the least right it needs. Nothing is changed anywhere.
Where curfew runs it is asked which accounts acted of late and belong to nobody known.

Exit code 3 where an answer is "no".`,
		Example: `  curfew doctor --config curfew.yaml
  curfew doctor --config curfew.yaml okta github`,
		RunE: func(c *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output %q must be table or json", output)}
			}
			conf := config.Default()
			if path != "" {
				var err error
				if conf, err = config.Read(path); err != nil {
					return err
				}
			}
			for _, name := range args {
				if _, configured := conf.Sources[name]; !configured {
					has := cmp.Or(strings.Join(slices.Sorted(maps.Keys(conf.Sources)), ", "), "none")
					return usageError{fmt.Errorf("the configuration has no source %q; it has %s", name, has)}
				}
			}
			ctx, cancel := context.WithTimeout(c.Context(), examination)
			defer cancel()
			return printChecks(c.OutOrStdout(), examine(ctx, conf, path, args), output == "json")
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "configuration file; without one: what `curfew run` without a file would use")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

// diagnosis is all answers about one thing.
type diagnosis struct {
	of     string
	checks []*curfewv1.Check
}

// examine asks what the configuration at path names, the sources all at once, or those named alone.
func examine(ctx context.Context, conf config.Config, path string, only []string) []diagnosis {
	names := only
	var found []diagnosis
	if len(only) == 0 {
		names = slices.Sorted(maps.Keys(conf.Sources))
		found = append(found, diagnosis{of: "curfew", checks: examineSystem(ctx, conf, path)})
	}
	sources := make([]diagnosis, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			sources[i] = diagnosis{of: name, checks: examineSource(ctx, conf, name)}
		})
	}
	all.Wait()
	return append(found, sources...)
}

// verdict makes a check of what came of trying.
func verdict(subject, found, how string, err error) *curfewv1.Check {
	if err != nil {
		return &curfewv1.Check{Subject: subject, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_NO, Why: err.Error(), How: how}
	}
	return &curfewv1.Check{Subject: subject, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_YES, Why: found}
}

func off(subject, why, how string) *curfewv1.Check {
	return &curfewv1.Check{Subject: subject, Verdict: curfewv1.CheckVerdict_CHECK_VERDICT_OFF, Why: why, How: how}
}

func examineSystem(ctx context.Context, conf config.Config, path string) []*curfewv1.Check {
	var checks []*curfewv1.Check
	policy, err := configuredPolicy(conf)
	checks = append(checks, verdict("policy", cmp.Or(conf.Policy, "the standard policy"), "correct it; curfew run does not start with it", err))
	if err == nil {
		checks = append(checks, examineGroups(conf, policy)...)
		checks = append(checks, examineClasses(conf, policy)...)
	}
	found, err := bus.Probe(ctx, bus.Config{URL: conf.NATS.URL, CredentialsFile: conf.NATS.Credentials, Dir: conf.Data})
	checks = append(checks, verdict("bus", found, "", err))
	if conf.Redis.URL.IsSet() {
		store, err := openState(ctx, conf)
		if err == nil {
			err = errors.Join(store.Ready(ctx), store.Close())
		}
		checks = append(checks, verdict("derived state", "Redis answers", "", err))
	} else {
		checks = append(checks, verdict("derived state", "in memory, rebuilt from the bus", "", nil))
	}
	if conf.Webhooks.Listen == "" {
		checks = append(checks, off("webhooks", "webhooks.listen is not set", "set it to take webhooks; without them events come at the next poll"))
	} else {
		checks = append(checks, examineListener("webhooks", "webhooks.listen", conf.Webhooks.Listen))
	}
	checks = append(checks, examineListener("api", "api.listen", conf.API.Listen), examineListener("telemetry", "telemetry.listen", conf.Telemetry.Listen))
	if _, err := readToken(filepath.Join(conf.Data, tokenFile)); err == nil || errors.Is(err, os.ErrNotExist) {
		checks = append(checks, verdict("admin token", "in "+filepath.Join(conf.Data, tokenFile)+", made at the first start", "", nil))
	} else {
		checks = append(checks, verdict("admin token", "", "", err))
	}
	checks = append(checks, examineReceivers(ctx, conf, path)...)
	checks = append(checks, examineAlerts(conf)...)
	return append(checks, examineAccounts(ctx, conf)...)
}

func configuredPolicy(conf config.Config) (*judge.Policy, error) {
	cat, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	if conf.Policy == "" {
		return judge.StandardPolicy(cat)
	}
	return judge.ReadPolicy(conf.Policy, cat)
}

// examineListener is whether an address can be listened on, by trying. One that is in use may be so by the curfew that runs.
func examineListener(subject, key, address string) *curfewv1.Check {
	listener, err := listen(key, address)
	switch {
	case err == nil:
		return verdict(subject, "on "+address, "", listener.Close())
	case errors.Is(unwrapped(err), syscall.EADDRINUSE) || strings.Contains(err.Error(), "address already in use"):
		return &curfewv1.Check{Subject: subject, Why: address + " is in use, by the curfew that runs or by something else"}
	}
	return verdict(subject, "", "", err)
}

func examineSource(ctx context.Context, conf config.Config, name string) []*curfewv1.Check {
	source, err := openSource(name, conf.Sources[name].Section)
	if err != nil {
		return []*curfewv1.Check{verdict("configuration", "", "correct it; curfew run does not start with it", err)}
	}
	return source.Check(ctx)
}

// printChecks prints the answers; errNo where one of them is "no".
func printChecks(out io.Writer, found []diagnosis, asJSON bool) error {
	var text bytes.Buffer
	var answer error
	for _, d := range found {
		if !asJSON {
			fmt.Fprintf(&text, "%s\n", plain(d.of))
			d.checks = merged(d.checks)
		}
		for _, check := range d.checks {
			if check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_NO {
				answer = errNo
			}
			if err := printCheck(&text, d.of, check, asJSON); err != nil {
				return err
			}
		}
	}
	if _, err := text.WriteTo(out); err != nil {
		return err
	}
	return answer
}

// merged is the answers for a person to read: where nothing works, all for the same reason, it is said once.
func merged(checks []*curfewv1.Check) []*curfewv1.Check {
	var all *curfewv1.Check
	n := 0
	var rest []*curfewv1.Check
	for _, check := range checks {
		switch {
		case check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_YES:
			return checks
		case check.GetVerdict() != curfewv1.CheckVerdict_CHECK_VERDICT_NO:
			rest = append(rest, check)
			continue
		case all == nil:
			all = &curfewv1.Check{Verdict: check.GetVerdict(), Why: check.GetWhy(), How: check.GetHow()}
		case check.GetWhy() != all.GetWhy():
			return checks
		}
		n++
	}
	if n < 3 {
		return checks
	}
	all.Subject = fmt.Sprintf("%d abilities", n)
	return append([]*curfewv1.Check{all}, rest...)
}

func printCheck(text *bytes.Buffer, of string, check *curfewv1.Check, asJSON bool) error {
	if asJSON {
		name, err := json.Marshal(of)
		if err != nil {
			return fmt.Errorf("print as JSON: %w", err)
		}
		fmt.Fprintf(text, `{"of":%s,"check":`, name)
		if err := new(jsonWriter).write(text, check); err != nil {
			return err
		}
		text.WriteString("}\n")
		return nil
	}
	word := map[curfewv1.CheckVerdict]string{
		curfewv1.CheckVerdict_CHECK_VERDICT_YES: "yes", curfewv1.CheckVerdict_CHECK_VERDICT_NO: "no",
		curfewv1.CheckVerdict_CHECK_VERDICT_OFF: "off",
	}[check.GetVerdict()]
	if word == "" {
		word = "?"
	}
	fmt.Fprintf(text, "  %-3s  %-24s  %s\n", word, plain(check.GetSubject()), plain(check.GetWhy()))
	if word == "yes" {
		return nil
	}
	if check.GetHow() != "" {
		fmt.Fprintf(text, "       %-24s  do: %s\n", "", plain(check.GetHow()))
	}
	if check.GetNeeds() != "" {
		fmt.Fprintf(text, "       %-24s  needs: %s\n", "", plain(check.GetNeeds()))
	}
	return nil
}
