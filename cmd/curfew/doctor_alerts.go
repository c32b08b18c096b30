// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
	"github.com/curfewhq/curfew/services/notifier"
)

// examineReceivers is whether each receiver can be opened and, where it can say so, takes what it is handed.
func examineReceivers(ctx context.Context, conf config.Config, path string) []*curfewv1.Check {
	sections := receiverSections(conf)
	names := slices.Sorted(maps.Keys(sections))
	checks := make([]*curfewv1.Check, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { checks[i] = examineReceiver(ctx, name, sections[name], path) })
	}
	all.Wait()
	return checks
}

func examineReceiver(ctx context.Context, name string, section yamlfile.Section, path string) *curfewv1.Check {
	subject := "receiver " + name
	receiver, err := openReceiver(name, section, io.Discard)
	if err != nil {
		return verdict(subject, "", "correct it; curfew run does not start with it", err)
	}
	checker, can := receiver.(notifier.Checker)
	if !can {
		return verdict(subject, "configured; to try it: "+tryIt(path, name), "", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	return verdict(subject, "it answers as it should; to hand it a test: "+tryIt(path, name), "correct what it names, then try it: "+tryIt(path, name), checker.Check(ctx))
}

// examineAlerts is which findings reach people.
func examineAlerts(conf config.Config) []*curfewv1.Check {
	one := func(subject, key string, mode config.Mode) *curfewv1.Check {
		if mode == config.Alert {
			return verdict(subject, key+" is alert", "", nil)
		}
		return off(subject, key+" is observe: everything is recorded, nobody is alerted", "set "+key+": alert")
	}
	checks := []*curfewv1.Check{one("alerts", "mode", conf.Mode)}
	for _, name := range slices.Sorted(maps.Keys(conf.Sources)) {
		if mode := conf.ModeOf(name); mode != conf.Mode {
			checks = append(checks, one("alerts of "+name, "sources."+name+".mode", mode))
		}
	}
	if err := checkDetections(conf.Alerts); err != nil {
		checks = append(checks, verdict("detections of alerts", "", "correct it; curfew run does not start with it", err))
	}
	return append(checks, examineHeartbeat(conf.Alerts.Heartbeat))
}

// examineHeartbeat is whether anybody outside is told that all is well. It asks nobody: who is asked would take it for a beat.
func examineHeartbeat(beat config.Heartbeat) *curfewv1.Check {
	const subject, key = "heartbeat", "alerts.heartbeat.url"
	if !beat.URL.IsSet() {
		return off(subject, key+" is not set: nobody outside hears of it where curfew stops", "name the address of a dead man's switch there, with {file: PATH} or {env: NAME}")
	}
	address, err := beat.URL.Value()
	if err == nil {
		if u, wrong := url.Parse(strings.TrimSpace(address)); wrong != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			err = errors.New("it holds no URL") // which is a secret
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", key, err)
	}
	return verdict(subject, key+" is set; asked every minute while all is well", "correct it: until then nothing is sent there", err)
}

// examineClasses is whether each data class that a route names is one of the policy: what it judges has no other. A policy that
// was applied since may know more.
func examineClasses(conf config.Config, policy *judge.Policy) []*curfewv1.Check {
	var checks []*curfewv1.Check
	known := policy.Classes()
	for _, route := range conf.Alerts.Routes {
		for _, class := range route.Classes {
			if !slices.Contains(known, class) {
				checks = append(checks, &curfewv1.Check{
					Subject: "class " + class, Why: fmt.Sprintf("route %q names it, and the policy has no such class: no alert has it", route.Name),
					How: "correct it; there are " + strings.Join(known, ", "),
				})
			}
		}
	}
	return checks
}

// tryIt is the command that hands a test to a receiver of the configuration at path, "" = there is none.
func tryIt(path, name string) string {
	command := "curfew alert test"
	if path != "" {
		command += " --config " + shellWord(path)
	}
	return command + " --receiver " + shellWord(name)
}

// shellWord is text as one word to a shell.
func shellWord(text string) string {
	safe := func(r rune) bool {
		return r > 127 || unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+,:@%", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
