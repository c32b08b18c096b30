// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxRole is how long the name of a role may be.
	maxRole = 200
	// maxSeconds is the longest time that can be asked for: the policy has shorter limits.
	maxSeconds = 10_000 * 24 * 3600
	// usage is what can be typed.
	usage = "/curfew request ROLE DURATION REASON: ask for a role for a time, such as: /curfew request role:support 4h ticket 4711\n" +
		"/curfew request: the same by a form\n/curfew help: these lines"
)

// command is what a click asks for, as far as its value says; ok is false where it asks for nothing that is known, or does
// not say of what.
func (c click) command(v value, now time.Time) (cmd *curfewv1.Command, ok bool) {
	at := c.at
	if at.IsZero() {
		at = now
	}
	cmd = &curfewv1.Command{
		Id: c.key(), Kind: kindOf(c.id), Time: timestamppb.New(at), Actor: &curfewv1.CommandActor{System: system, Workspace: c.team, Id: c.user},
		Ref: c.ref(), AlertId: v.Alert, Episode: v.Episode, GrantId: v.Grant, Digest: v.Digest, SilenceId: v.Silence,
	}
	if cmd.Ref == "" {
		cmd.Ref = v.Ref
	}
	if v.Seconds > 0 && v.Seconds <= maxSeconds {
		cmd.Duration = durationpb.New(time.Duration(v.Seconds) * time.Second)
	}
	switch cmd.GetKind() {
	case curfewv1.CommandKind_COMMAND_KIND_UNSPECIFIED:
		return cmd, false
	case curfewv1.CommandKind_COMMAND_KIND_REQUEST:
		return cmd, true
	case curfewv1.CommandKind_COMMAND_KIND_APPROVE, curfewv1.CommandKind_COMMAND_KIND_DENY:
		return cmd, v.Grant != "" || v.Silence != ""
	case curfewv1.CommandKind_COMMAND_KIND_MUTE:
		return cmd, v.Alert != "" && cmd.GetDuration() != nil
	default:
		return cmd, v.Alert != ""
	}
}

// fill completes a command from the fields of a modal, and returns what is wrong with them by their ids.
func (c click) fill(cmd *curfewv1.Command) map[string]string {
	wrong := map[string]string{}
	if text, asked := c.fields[fieldReason]; asked {
		if cmd.Reason = strings.TrimSpace(text); cmd.Reason == "" || utf8.RuneCountInString(cmd.Reason) > maxReason {
			wrong[fieldReason] = "Say why, in at most " + strconv.Itoa(maxReason) + " characters."
		}
	}
	if text, asked := c.fields[fieldRole]; asked {
		if cmd.Role = role(text); cmd.Role == "" {
			wrong[fieldRole] = "Name a role of the policy, such as role:support."
		}
	}
	if text, asked := c.fields[fieldLength]; asked {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds <= 0 || seconds > maxSeconds {
			wrong[fieldLength] = "Choose for how long."
		}
		cmd.Duration = durationpb.New(time.Duration(seconds) * time.Second)
	}
	if c.fields[fieldScope] == scopeResource {
		cmd.Scope = scopeResource
	}
	for _, needed := range needs(cmd.GetKind()) {
		if _, asked := c.fields[needed]; !asked {
			wrong[needed] = "This is missing."
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// needs are the fields without which the modal of a command says too little.
func needs(kind curfewv1.CommandKind) []string {
	switch kind {
	case curfewv1.CommandKind_COMMAND_KIND_MAKE_TEMPORARY, curfewv1.CommandKind_COMMAND_KIND_REQUEST:
		return []string{fieldRole, fieldLength, fieldReason}
	case curfewv1.CommandKind_COMMAND_KIND_EXPECT:
		return []string{fieldScope, fieldLength, fieldReason}
	case curfewv1.CommandKind_COMMAND_KIND_RESOLVE:
		return []string{fieldReason}
	default:
		return nil
	}
}

// request completes a command from what was typed, and returns what is wrong with it.
func request(cmd *curfewv1.Command, text string) (wrong string) {
	name, text := word(text)
	span, reason := word(text)
	d, err := parseLength(span)
	switch cmd.Role = role(name); {
	case cmd.GetRole() == "":
		return "Not asked for: the role's name is too long or is none."
	case err != nil || d <= 0 || d > maxSeconds*time.Second:
		return "Not asked for: say for how long behind the role, such as 4h or 2d."
	case reason == "" || utf8.RuneCountInString(reason) > maxReason:
		return "Not asked for: say why, in at most " + strconv.Itoa(maxReason) + " characters."
	}
	cmd.Duration, cmd.Reason = durationpb.New(d), reason
	return ""
}

// role is a name as a role of the policy, whose "role:" people leave out; "" where it is none.
func role(name string) string {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxRole || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' }) {
		return ""
	}
	if !strings.HasPrefix(name, "role:") {
		name = "role:" + name
	}
	return name
}

// parseLength reads a time span as Go writes it, or in whole days.
func parseLength(text string) (time.Duration, error) {
	if days, found := strings.CutSuffix(text, "d"); found {
		n, err := strconv.ParseUint(days, 10, 13)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

// word is the first word of a text, and the rest without the space around it.
func word(text string) (first, rest string) {
	text = strings.TrimSpace(text)
	i := strings.IndexAny(text, " \t\n")
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimSpace(text[i:])
}

func splitLines(text string) []string { return strings.Split(text, "\n") }

func joinLines(lines []string) string { return strings.Join(lines, "\n") }
