// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfewhq/curfew/deploy/example"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// patience is how long the demo goes on before it says that something is wrong.
const patience = 30 * time.Second

func demoCommand() *cobra.Command {
	var pace time.Duration
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play one morning of an invented shop on this machine, with no account anywhere",
		Long: `Play one morning of Linden & Lark, an invented shop: fake Okta, Google Workspace, GitHub, Microsoft 365
and Slack servers on loopback, read by the real collectors, judged by the example policy, alerted on this
terminal. It takes some twenty seconds, needs nothing and leaves nothing behind.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			dir, err := os.MkdirTemp("", "curfew-demo-")
			if err != nil {
				return fmt.Errorf("make demo directory: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			d := &demo{dir: dir, out: &syncWriter{out: c.OutOrStdout()}, pace: pace, decided: make(chan *curfewv1.Decision, 64)}
			return d.run(c.Context())
		},
	}
	c.Flags().DurationVar(&pace, "pace", 500*time.Millisecond, "pause between two acts of the story")
	return c
}

// demo is one performance.
type demo struct {
	dir     string
	out     io.Writer
	pace    time.Duration
	okta    *fake.Okta
	google  *fake.Google
	github  *fake.GitHub
	m365    *fake.M365
	slack   *fake.Slack
	decided chan *curfewv1.Decision
}

// run plays the story through the real system, made from a configuration file like any other.
func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conf, err := d.prepare(ctx)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		return fmt.Errorf("make demo log: %w", err)
	}
	defer log.Close() // goes with the directory
	ready, stopped := make(chan string, 1), make(chan error, 1)
	go func() {
		stopped <- serve(ctx, system{
			config: conf, services: services(), out: d.out, log: slog.New(slog.NewTextHandler(log, nil)),
			ready: func(api string) { ready <- api },
		})
	}()
	select {
	case api := <-ready:
		err = d.perform(ctx, &client{address: api, tokenFile: filepath.Join(conf.Data, tokenFile)})
		cancel()
		<-stopped //nolint:errcheck // cancelled: its error is that
		return err
	case err := <-stopped:
		return err
	}
}

// prepare starts the fake vendors and writes the policy, the secrets and the configuration.
func (d *demo) prepare(ctx context.Context) (config.Config, error) {
	const secret, demoApp = "demo-token-not-a-secret", "99999999-8888-4777-8666-555555555555"
	d.okta = fake.NewOkta(fake.OktaConfig{Token: secret})
	d.google = fake.NewGoogle(fake.GoogleConfig{Subject: "ida@linden-lark.example.com"})
	d.people()
	d.github = fake.NewGitHub(fake.GitHubConfig{Org: "linden-lark", Token: secret})
	d.m365 = fake.NewM365(fake.M365Config{ClientID: demoApp, Secret: secret, Subscribed: []string{"Audit.SharePoint"}})
	d.slack = fake.NewSlack(fake.SlackConfig{Token: secret})
	urls := map[string]string{}
	for name, vendor := range map[string]http.Handler{"okta": d.okta, "google": d.google, "github": d.github, "m365": d.m365, "slack": d.slack} {
		url, err := serveFake(ctx, vendor)
		if err != nil {
			return config.Config{}, err
		}
		urls[name] = url
	}
	if err := os.CopyFS(d.dir, example.Policy); err != nil {
		return config.Config{}, fmt.Errorf("write demo policy: %w", err)
	}
	// Curfew's own app at Okta is a subject like any other, and needs its row.
	rows, err := os.ReadFile(filepath.Join(d.dir, "policy", "policy.csv"))
	if err != nil {
		return config.Config{}, fmt.Errorf("read demo policy: %w", err)
	}
	// Paths are relative to the configuration file.
	for name, content := range map[string]string{
		"token":              secret,
		"policy/policy.csv":  string(rows) + "p, " + itself + ", *, okta/*, admin, administer, allow\n",
		"policy/grants.yaml": fmt.Sprintf("roles:\n  role:analyst: {max: 2h, privileges: [{source: okta, kind: group, resource: %s, resource_name: Exports}]}\n", exportsGroup),
		"google.json":        d.google.Credentials(urls["google"]),
		"curfew.yaml": fmt.Sprintf(`tenant: linden-lark
mode: alert
policy: policy
api: {listen: "127.0.0.1:0"}
telemetry: {listen: "127.0.0.1:0"}
sources:
  okta: {url: %q, token: {file: token}, interval: 200ms}
  google_workspace: {url: %q, credentials: {file: google.json}, subject: ida@linden-lark.example.com, applications: [drive, token], interval: 200ms}
  github: {url: %q, org: linden-lark, token: {file: token}, interval: 200ms}
  m365: {tenant_id: %q, client_id: %q, client_secret: {file: token}, login_url: %[6]q, activity_url: %[6]q, graph_url: %[6]q, feeds: [audit_sharepoint], interval: 200ms}
  slack: {url: %[7]q, plan: enterprise, token: {file: token}, interval: 200ms}
`, urls["okta"], urls["google"], urls["github"], d.m365.Tenant(), demoApp, urls["m365"], urls["slack"]),
	} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
			return config.Config{}, fmt.Errorf("write demo configuration: %w", err)
		}
	}
	return config.Read(filepath.Join(d.dir, "curfew.yaml"))
}

// serveFake serves a fake vendor on loopback until ctx ends and returns its address.
func serveFake(ctx context.Context, handler http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("start fake vendor: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // nobody is left to be told
	go func() { _ = server.Serve(listener) }()            // ends by Close
	return "http://" + listener.Addr().String(), nil
}

// perform plays the story and shows each decision as the access log gets it.
func (d *demo) perform(ctx context.Context, api *client) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience+time.Duration(len(story()))*d.pace)
	defer cancel()
	watching := make(chan error, 1)
	go func() { watching <- api.watch(ctx, d.decided) }()
	fmt.Fprintln(d.out, "A morning at Linden & Lark, an invented shop. Fake Okta, Google, GitHub, Microsoft and Slack servers on this machine\nare read by the real collectors; each line below is a decision of the access log.")
	for i, a := range story() {
		if err := d.play(ctx, a, uint64(i), watching); err != nil {
			return err
		}
	}
	if err := d.performGrant(ctx, api, watching); err != nil {
		return err
	}
	fmt.Fprint(d.out, `
Nine ordinary acts in five SaaS passed. Three did not: a support agent took customers' data away, an engineer took
the payouts, and an app nobody approved took a mailbox. All were judged by the row that decides, or by there being none.
The access that was given for a time was there for that time, was seen to be gone, and was missed when it was used again.

Next:
  curfew eval --source okta --policy deploy/example/policy FILE     judge raw events you have, offline
  curfew run --config deploy/example/curfew.yaml                    read your own SaaS (set the tokens first)
`)
	return nil
}

// play plays one act, the nth, and shows what was decided of it.
func (d *demo) play(ctx context.Context, a act, n uint64, watching <-chan error) error {
	fmt.Fprintf(d.out, "\n%s\n", a.says)
	a.happen(d, time.Now(), n)
	for shown := 0; shown < a.events; {
		select {
		case decision := <-d.decided:
			shown += d.print(decision)
		case err := <-watching:
			return fmt.Errorf("watch the access log: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("play the demo: no decision came within %s; please report this", patience)
		}
	}
	select {
	case <-time.After(d.pace): // an alert follows its decision by a moment
	case <-ctx.Done():
	}
	return nil
}

// print prints a decision, unless it is about what Curfew itself did, and returns how many it printed.
func (d *demo) print(decision *curfewv1.Decision) int {
	if decision.GetSource() == judge.Self || decision.GetSubject() == itself {
		return 0
	}
	why := decision.GetReason()
	if row := decision.GetRow(); row != nil {
		why = fmt.Sprintf("%s:%d  %s", row.GetFile(), row.GetLine(), row.GetText())
	}
	fmt.Fprintf(d.out, "  %-9s  %s  %s %s  (%s)\n             %s\n", verdictWord(decision.GetVerdict()), decision.GetSubject(),
		decision.GetAct(), strings.Join(decision.GetClasses(), ", "), decision.GetObject(), why)
	return 1
}

// watch hands on each decision as it is made.
func (api *client) watch(ctx context.Context, decided chan<- *curfewv1.Decision) error {
	conn, err := api.dial()
	if err != nil {
		return err
	}
	defer conn.Close() // nothing is written through it
	stream, err := curfewv1.NewDecisionServiceClient(conn).QueryDecisions(ctx, &curfewv1.QueryDecisionsRequest{Follow: true})
	if err != nil {
		return err
	}
	for {
		part, err := stream.Recv()
		if err != nil {
			return err
		}
		if part.GetRecord() == nil {
			continue
		}
		select {
		case decided <- part.GetRecord().GetDecision():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// syncWriter lets several write, each write in one piece.
type syncWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *syncWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}
