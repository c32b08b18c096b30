// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// deed is what people do in Slack.
type deed struct {
	name string
	is   func(context.Context, *testing.T, *office)
}

// inSlack has people do something, one after another, through the whole system: by the page of the fake Slack.
func inSlack(t *testing.T, deeds ...deed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	d := &demo{dir: t.TempDir(), out: t.Output(), decided: make(chan *curfewv1.Decision, 1024)}
	if err := d.run(ctx, func(ctx context.Context, api *client) error {
		return d.on(ctx, api, func(ctx context.Context, s *scene) error {
			conn, err := api.dial()
			if err != nil {
				return err
			}
			defer conn.Close()
			o := &office{scene: s, api: api, alerts: curfewv1.NewAlertServiceClient(conn)}
			for _, one := range deeds {
				t.Run(one.name, func(t *testing.T) { one.is(ctx, t, o) })
			}
			return nil
		})
	}); err != nil {
		t.Error(err)
	}
}

// office is the shop at work.
type office struct {
	*scene
	api    *client
	alerts curfewv1.AlertServiceClient
}

// await returns once something is so, and fails after a time that no working system needs.
func (o *office) await(ctx context.Context, t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := o.until(ctx, what, func() (bool, error) { return is(), nil }); err != nil {
		t.Fatal(err)
	}
}

// id is somebody's account in Slack.
func (o *office) id(login string) string {
	return o.team.people[slices.IndexFunc(o.team.people, func(u workspace.User) bool { return u.Name == login })].ID
}

// as is somebody at the page.
func (o *office) as(t *testing.T, login string) browser { return browser{t, o.team, o.id(login)} }

// happens makes something happen at a vendor.
func (o *office) happens(h happening) {
	o.n++
	h(o.demo, time.Now(), o.n)
}

// see returns the newest message of a channel, or of the direct messages of a user, that says all of that, once it is there.
func (o *office) see(ctx context.Context, t *testing.T, in string, says ...string) (seen workspace.Message) {
	t.Helper()
	o.await(ctx, t, "a message that says "+strings.Join(says, ", "), func() bool { return newest(o.team.Messages(in), &seen, says) })
	return seen
}

// hear returns the newest reply to a message that says all of that, once it is there.
func (o *office) hear(ctx context.Context, t *testing.T, in, ts string, says ...string) (seen workspace.Message) {
	t.Helper()
	o.await(ctx, t, "a reply that says "+strings.Join(says, ", "), func() bool { return newest(o.team.Replies(in, ts), &seen, says) })
	return seen
}

// isTold returns once somebody alone was shown as many messages that say all of that.
func (o *office) isTold(ctx context.Context, t *testing.T, user string, times int, says ...string) {
	t.Helper()
	o.await(ctx, t, user+" is told "+strings.Join(says, ", "), func() bool {
		n := 0
		for _, e := range o.team.Ephemerals(user) {
			if all(e.Text+string(e.Blocks), says) {
				n++
			}
		}
		return n >= times
	})
}

func newest(list []workspace.Message, seen *workspace.Message, says []string) bool {
	for _, m := range slices.Backward(list) {
		if all(m.Text+string(m.Blocks), says) {
			*seen = m
			return true
		}
	}
	return false
}

func all(text string, says []string) bool {
	return !slices.ContainsFunc(says, func(part string) bool { return !strings.Contains(text, part) })
}

// press clicks a button of a message, in the channel or a direct conversation.
func (b browser) press(ctx context.Context, m workspace.Message, action string) {
	b.t.Helper()
	b.post(ctx, "/_click", url.Values{"in": {m.Channel}, "ts": {m.TS}, "action": {action}})
}

// choose clicks on what a menu of a message calls so.
func (b browser) choose(ctx context.Context, m workspace.Message, label string) {
	b.t.Helper()
	var blocks []struct {
		Elements []struct {
			Options []struct {
				Text  struct{ Text string }
				Value string
			}
		}
	}
	// Elements of other blocks have other forms.
	_ = json.Unmarshal(m.Blocks, &blocks)
	for _, block := range blocks {
		for _, e := range block.Elements {
			for _, option := range e.Options {
				if option.Text.Text == label {
					b.post(ctx, "/_click", url.Values{"in": {m.Channel}, "ts": {m.TS}, "action": {"more"}, "option": {option.Value}})
					return
				}
			}
		}
	}
	b.t.Fatalf("no menu has %q: %s", label, m.Blocks)
}

// alert is what people are told of somebody's access to a file, as it stands.
func (o *office) alert(ctx context.Context, t *testing.T, login, file string) *curfewv1.Alert {
	t.Helper()
	answer, err := o.alerts.ListAlerts(ctx, &curfewv1.ListAlertsRequest{Entity: "person:" + login, Resolved: true})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(answer.GetAlerts(), func(a *curfewv1.Alert) bool { return strings.Contains(a.GetFinding().GetTitle(), file) })
	if i < 0 {
		t.Fatalf("no alert is about %s's %s: %v", login, file, answer.GetAlerts())
	}
	return answer.GetAlerts()[i]
}

// says is what the command line prints.
func (o *office) says(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(ctx, append(args, "--address", o.api.address, "--token-file", o.api.tokenFile), strings.NewReader(""), &out, &errs); code != exitDone {
		t.Fatalf("curfew %s: got %d: %s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}
