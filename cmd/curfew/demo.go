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
	"time"

	"github.com/spf13/cobra"

	"github.com/curfewhq/curfew/deploy/example"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// demoToken opens the fake vendors, which keep no secret.
const demoToken = "demo-token-not-a-secret"

// patience is how long the demo goes on before it says that something is wrong.
const patience = 30 * time.Second

func demoCommand() *cobra.Command {
	var pace time.Duration
	var stay bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play one morning of an invented shop on this machine, with no account anywhere",
		Long: `Play one morning of Linden & Lark, an invented shop: fake Okta, Google Workspace, GitHub, Microsoft 365
and Slack servers on loopback, read by the real collectors, judged by the example policy, alerted in a
channel of the fake Slack, where somebody answers the alerts by clicks. It takes some thirty seconds,
needs nothing and leaves nothing behind.

On a terminal it then stays until Ctrl-C: the channel is a page that a browser shows, and every button
there does what it says.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			dir, err := os.MkdirTemp("", "curfew-demo-")
			if err != nil {
				return fmt.Errorf("make demo directory: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			if !c.Flags().Changed("stay") {
				stay = isTerminal(c.OutOrStdout())
			}
			d := &demo{dir: dir, out: c.OutOrStdout(), pace: pace, stay: stay, decided: make(chan *curfewv1.Decision, 64)}
			return d.run(c.Context(), d.perform)
		},
	}
	c.Flags().DurationVar(&pace, "pace", 200*time.Millisecond, "pause between two acts of the story")
	c.Flags().BoolVar(&stay, "stay", false, "stay until Ctrl-C, so that one can click in the fake Slack (default: on a terminal)")
	return c
}

// demo is one performance.
type demo struct {
	dir     string
	out     io.Writer
	pace    time.Duration
	stay    bool
	okta    *fake.Okta
	google  *fake.Google
	github  *fake.GitHub
	m365    *fake.M365
	slack   *fake.Slack
	team    *team
	decided chan *curfewv1.Decision
}

// run plays something through the real system, made from a configuration file like any other.
func (d *demo) run(ctx context.Context, play func(context.Context, *client) error) error {
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
			config: conf, services: services(), out: io.Discard, log: slog.New(slog.NewTextHandler(log, nil)),
			ready: func(api string) { ready <- api },
		})
	}()
	select {
	case api := <-ready:
		err = play(ctx, &client{address: api, tokenFile: filepath.Join(conf.Data, tokenFile)})
		cancel()
		<-stopped //nolint:errcheck // cancelled: its error is that
		return err
	case err := <-stopped:
		return err
	}
}

// prepare starts the fake vendors and writes the policy, the secrets and the configuration.
func (d *demo) prepare(ctx context.Context) (config.Config, error) {
	const secret, demoApp = demoToken, "99999999-8888-4777-8666-555555555555"
	d.okta = fake.NewOkta(fake.OktaConfig{Token: secret})
	d.google = fake.NewGoogle(fake.GoogleConfig{Subject: "ida@linden-lark.example.com"})
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
	if err := d.staff(ctx); err != nil {
		return config.Config{}, err
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
		"bot":                workspace.BotToken,
		"app":                workspace.AppToken,
		"policy/policy.csv":  string(rows) + "p, " + itself + ", *, okta/*, admin, administer, allow\n",
		"policy/grants.yaml": fmt.Sprintf("roles:\n  role:analyst: {max: 2h, remind_before: 1ms, privileges: [{source: okta, kind: group, resource: %s, resource_name: Exports}]}\n", exportsGroup),
		"google.json":        d.google.Credentials(urls["google"]),
		"curfew.yaml": fmt.Sprintf(`tenant: linden-lark
mode: alert
policy: policy
api: {listen: "127.0.0.1:0"}
telemetry: {listen: "127.0.0.1:0"}
sources:
  okta: {url: %q, token: {file: token}, interval: 100ms}
  google_workspace: {url: %q, credentials: {file: google.json}, subject: ida@linden-lark.example.com, applications: [drive, token], interval: 100ms}
  github: {url: %q, org: linden-lark, token: {file: token}, interval: 100ms}
  m365: {tenant_id: %q, client_id: %q, client_secret: {file: token}, login_url: %[6]q, activity_url: %[6]q, graph_url: %[6]q, feeds: [audit_sharepoint], interval: 100ms}
  slack: {url: %[7]q, plan: enterprise, token: {file: token}, interval: 100ms}
receivers:
  slack: {channel: %[8]q, bot_token: {file: bot}, app_token: {file: app}, api_url: %[9]q}
`, urls["okta"], urls["google"], urls["github"], d.m365.Tenant(), demoApp, urls["m365"], urls["slack"], d.team.channel, d.team.url+"/api/"),
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

// perform plays the story, and then stays as long as it was asked to.
func (d *demo) perform(ctx context.Context, api *client) error {
	if err := d.tell(ctx, api); err != nil {
		return err
	}
	if !d.stay {
		fmt.Fprintf(d.out, "\nThe shop's Slack was at %s\n", d.team.url)
		return nil
	}
	fmt.Fprintf(d.out, "\nThe shop's Slack stays open at %s until Ctrl-C. You are Ida there: click.\n", d.team.url)
	for ctx.Err() == nil {
		changed := d.team.Changed()
		d.team.show(d.out)
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil // asked to end, and ends
}

// on makes the stage: the API and the decisions, as they are made.
func (d *demo) on(ctx context.Context, api *client, play func(context.Context, *scene) error) error {
	conn, err := api.dial()
	if err != nil {
		return err
	}
	defer conn.Close() // nothing is written through it
	watching := make(chan error, 1)
	go func() { watching <- api.watch(ctx, d.decided) }()
	return play(ctx, &scene{demo: d, grants: curfewv1.NewGrantServiceClient(conn), watching: watching})
}

// tell plays the story and shows each decision as the access log gets it.
func (d *demo) tell(ctx context.Context, api *client) error {
	ctx, cancel := context.WithTimeout(ctx, 3*patience+time.Duration(len(morning())+len(meanwhile()))*d.pace)
	defer cancel()
	fmt.Fprint(d.out, `A morning at Linden & Lark, an invented shop. Fake Okta, Google, GitHub, Microsoft and Slack servers on this machine
are read by the real collectors. Each line below is a decision of the access log, or what is said of it in Slack.
`)
	if err := d.on(ctx, api, func(ctx context.Context, s *scene) error { return s.all(ctx) }); err != nil {
		return err
	}
	fmt.Fprint(d.out, `
Ordinary acts in five SaaS passed. Those that were not ordinary were judged by the row that decides, or by there being
none, and told in Slack: a support agent took customers' data, and opened the payouts; an engineer took the payouts; an
app nobody approved took a mailbox. Access that was given ended, by its time and by a click, and was seen to be gone.

Next:
  curfew demo --stay                                                click in the shop's Slack yourself, in a browser
  curfew eval --source okta --policy deploy/example/policy FILE     judge raw events you have, offline
  curfew run --config deploy/example/curfew.yaml                    read your own SaaS (set the tokens first)
`)
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
