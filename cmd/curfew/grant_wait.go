// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// lookEvery is how often a grant is looked at that is waited for.
const lookEvery = time.Second

// enough is what a grant is waited for to be, and whether it has come to an answer and that is yes.
type enough struct {
	word string
	is   func(*curfewv1.Grant) (done, yes bool)
}

// untilHeld waits for a grant that is in force.
func untilHeld() enough { return enough{"held", isHeld} }

// untilGone waits for a grant of which nothing is left. One that a person has to end may be so for days: that is a no.
func untilGone() enough { return enough{"gone", isGone} }

func isHeld(g *curfewv1.Grant) (done, yes bool) {
	held := g.GetState() == curfewv1.GrantState_GRANT_STATE_ACTIVE
	return held || grant.IsOver(g) || grant.IsEnding(g), held
}

func isGone(g *curfewv1.Grant) (done, yes bool) {
	ranOut := g.GetEndedAt() != nil && len(g.GetPrivileges()) == 0
	return grant.IsOver(g) || ranOut || g.GetState() == curfewv1.GrantState_GRANT_STATE_STUCK, grant.IsOver(g) || ranOut
}

// waited looks at a grant until there is an answer, where that is wished; errNo where the answer is no. On a terminal one
// line says how it stands.
func waited(c *cobra.Command, d desk, wish bool, until enough, g *curfewv1.Grant, err error) ([]*curfewv1.Grant, error) {
	if err != nil || !wish {
		return one(g, err)
	}
	if done, _ := until.is(g); !done { // said at once, so that an interruption does not lose it
		fmt.Fprintf(c.ErrOrStderr(), "grant %s: waiting until it is %s; it is %s\n", plain(g.GetId()), until.word, stateWord(g.GetState()))
	}
	watched := isTerminal(c.ErrOrStderr())
	said := ""
	defer func() {
		if said != "" {
			fmt.Fprint(c.ErrOrStderr(), "\r\x1b[K")
		}
	}()
	for {
		done, yes := until.is(g)
		switch {
		case done && yes:
			return one(g, nil)
		case done:
			return one(g, errNo)
		}
		if watched {
			said = "waiting: " + plain(grantSentence(g, time.Now()))
			fmt.Fprintf(c.ErrOrStderr(), "\r\x1b[K%.150s", said)
		}
		select {
		case <-c.Context().Done():
			return nil, c.Context().Err()
		case <-time.After(lookEvery):
		}
		answer, err := d.grants.GetGrant(c.Context(), &curfewv1.GetGrantRequest{Id: g.GetId()})
		if err != nil {
			return nil, err
		}
		g = answer.GetGrant()
	}
}

// waitedAll is waited until each of some grants is gone. Where that cannot be said of one, those looked at so far are there.
func waitedAll(c *cobra.Command, d desk, wish bool, grants []*curfewv1.Grant, err error) ([]*curfewv1.Grant, error) {
	if err != nil {
		return nil, err
	}
	var no error
	for i, g := range grants {
		shown, err := waited(c, d, wish, untilGone(), g, nil)
		if err != nil && !errors.Is(err, errNo) {
			return grants, err
		}
		grants[i], no = shown[0], errors.Join(no, err)
	}
	return grants, no
}
