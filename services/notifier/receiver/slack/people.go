// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"time"
)

const (
	// believed is how long an account is taken for what it was: somebody who left clicks no longer than that.
	believed = time.Minute
	// maxPeople bounds how many accounts are remembered.
	maxPeople = 10_000
)

// judged is what an account was found to be.
type judged struct {
	at time.Time
	no string
}

// judge returns why an account may ask for nothing, in words for its person; "" = it may ask. An error says that it is not
// known, and whoever it is may not ask.
func (r *Receiver) judge(ctx context.Context, self identity, c click) (no string, err error) {
	switch {
	case c.team != self.team || c.home != "" && c.home != self.team:
		return "Refused: your account is of another workspace than this app is for.", nil
	case c.user == self.user:
		return "Refused: a bot may not ask for anything.", nil
	}
	now := r.now()
	r.mu.Lock()
	known, found := r.people[c.user]
	r.mu.Unlock()
	if found && now.Sub(known.at) < believed && !now.Before(known.at) {
		return known.no, nil
	}
	if no, err = r.ask(ctx, self, c.user); err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.people) >= maxPeople {
		clear(r.people)
	}
	r.people[c.user] = judged{now, no}
	return no, nil
}

// ask is what Slack says of an account.
func (r *Receiver) ask(ctx context.Context, self identity, user string) (no string, err error) {
	web, err := r.web()
	if err != nil {
		return "", err
	}
	u, err := web.GetUserInfoContext(ctx, user)
	switch {
	case err != nil:
		return "", r.failed("ask who clicked", err)
	case u.ID != user:
		return "", errOtherAnswer
	case u.Deleted:
		return "Refused: your account is deactivated.", nil
	case u.IsBot || u.IsWorkflowBot || u.IsConnectorBot:
		return "Refused: a bot may not ask for anything.", nil
	case u.IsStranger || u.TeamID != self.team:
		return "Refused: your account is of another workspace than this app is for.", nil
	case u.IsRestricted || u.IsUltraRestricted || u.IsInvitedUser:
		return "Refused: a guest may not ask for anything here.", nil
	}
	return "", nil
}
