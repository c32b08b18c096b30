// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier"
)

// tryFor bounds what one receiver may take for each thing that it is handed.
const tryFor = 10 * time.Second

func alertTestCommand() *cobra.Command {
	var path string
	var only []string
	c := &cobra.Command{
		Use:   "test",
		Short: "Hand a test alert to each configured receiver, and say what became of it",
		Long: `Hand one alert, marked as a test and of severity low, to each receiver of the configuration, or to those
named. Where a message can be changed it is shown as resolved at once, and answered in its thread.
Nothing else has to run: the receivers are opened here, with the secrets that the configuration names.

Exit code 1 where one did not take it.`,
		Example: `  curfew alert test --config curfew.yaml
  curfew alert test --config curfew.yaml --receiver slack`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			conf := config.Default()
			if path != "" {
				var err error
				if conf, err = config.Read(path); err != nil {
					return err
				}
			}
			sections := receiverSections(conf)
			for _, name := range only {
				if _, there := sections[name]; !there {
					hint := ""
					if path == "" {
						hint = "; name the file that curfew runs with by --config"
					}
					return usageError{fmt.Errorf("the configuration has no receiver %q; it has %s%s", name, strings.Join(slices.Sorted(maps.Keys(sections)), ", "), hint)}
				}
			}
			refused := 0
			for _, name := range slices.Sorted(maps.Keys(sections)) {
				if len(only) > 0 && !slices.Contains(only, name) {
					continue
				}
				where, err := try(c.Context(), name, sections[name], conf.Tenant, c.OutOrStdout())
				if err != nil {
					refused++
				}
				sayTried(c.OutOrStdout(), name, where, err)
			}
			if refused > 0 {
				return fmt.Errorf("%d of the receivers did not take the test alert", refused)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "configuration file; without one: the console")
	c.Flags().StringSliceVar(&only, "receiver", nil, "only the receiver of that name; may be given several times")
	return c
}

// receiverSections is each receiver's part of the configuration, by name: the console's where there is none.
func receiverSections(conf config.Config) map[string]yamlfile.Section {
	if len(conf.Receivers) == 0 {
		return map[string]yamlfile.Section{"console": {}}
	}
	return conf.Receivers
}

// try hands a test alert to a receiver, and returns where it went.
func try(ctx context.Context, name string, section yamlfile.Section, tenant string, out io.Writer) (where string, err error) {
	receiver, err := openReceiver(name, section, out)
	if err != nil {
		return "", delivery.Unsent(err)
	}
	call := func(f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, tryFor)
		defer cancel()
		return f(ctx)
	}
	now := time.Now()
	a := testAlert(tenant, name, caller(), now)
	post := &curfewv1.Post{Id: rand.Text(), Alerts: []*curfewv1.Alert{a}, Receiver: name}
	var ref string
	if err := call(func(ctx context.Context) (err error) {
		ref, err = receiver.Post(ctx, post)
		return err
	}); err != nil {
		return "", err
	}
	where = "taken"
	if ref != "" && ref != post.GetId() {
		where += " (" + ref + ")"
	}
	post.Alerts[0] = alert.Resolve(a, a.GetEntity(), "it was a test", now)
	if editor, can := receiver.(notifier.Editor); can {
		if err := call(func(ctx context.Context) error { return editor.Edit(ctx, ref, post) }); err != nil {
			return "", fmt.Errorf("%s, but not shown as resolved: %w", where, err)
		}
		where += ", shown as resolved"
	}
	if replier, can := receiver.(notifier.Replier); can {
		reply := &curfewv1.Reply{Id: rand.Text(), Ref: ref, Lines: []string{"TEST: this is how what happens to an alert is told."}}
		if err := call(func(ctx context.Context) error { return replier.Reply(ctx, reply) }); err != nil {
			return "", fmt.Errorf("%s, but not answered: %w", where, err)
		}
		where += ", answered"
	}
	if checker, can := receiver.(notifier.Checker); can {
		if err := call(checker.Check); err != nil {
			return "", fmt.Errorf("%s, but what people do there does not come back: %w", where, err)
		}
	}
	return where, nil
}

func sayTried(out io.Writer, name, where string, err error) {
	if err == nil {
		fmt.Fprintf(out, "%-12s  %s\n", name, plain(where))
		return
	}
	do := "look there whether it arrived; nobody knows"
	switch r := delivery.AsRefused(err); {
	case r != nil && r.After > 0:
		do = fmt.Sprintf("wait %v and try again", r.After)
	case r != nil && r.Final:
		do = "correct what the line above names, and try again"
	case r != nil:
		do = "try again; if it stays so, look whether the address is right and can be reached from here"
	case errors.Is(err, context.DeadlineExceeded):
		do = fmt.Sprintf("look there whether it arrived; it did not answer within %v", tryFor)
	}
	fmt.Fprintf(out, "%-12s  not taken: %s\n%-12s  do: %s\n", name, plain(err.Error()), "", do)
}

// caller is who runs this, as far as the machine says.
func caller() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	return cmp.Or(name, "somebody") + " on " + host
}

// testAlert is an alert that nobody can mistake for another.
func testAlert(tenant, receiver, by string, now time.Time) *curfewv1.Alert {
	f := &curfewv1.Finding{
		Format: 1, Id: "test-" + strings.ToLower(rand.Text()), Tenant: tenant, Detection: "test", Severity: curfewv1.Severity_SEVERITY_LOW,
		Title:     "TEST: this alert is none, and there is nothing to do",
		Reason:    fmt.Sprintf("%s ran `curfew alert test`, to see whether alerts reach the receiver %s. They do.", by, receiver),
		NextSteps: []string{"Nothing. It is resolved by itself, and its buttons belong to no alert."}, Time: timestamppb.New(now), About: "service:curfew",
	}
	a := alert.Add(nil, f, now)
	a.Id = fmt.Sprintf("%x", rand.Text())[:32] // no other test's either, where a receiver keeps one incident for each alert
	return a
}
