// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const (
	// shownAccounts is how many accounts that belong to nobody known doctor lists.
	shownAccounts = 20
	// counting bounds what the API may take to look through its decisions.
	counting = 30 * time.Second
)

// examineAccounts lists who acted in the last seven days and belongs to nobody known. The curfew that runs knows; where
// none answers that is said, and is no fault.
func examineAccounts(ctx context.Context, conf config.Config) []*curfewv1.Check {
	accounts, err := askUnplaced(ctx, conf)
	if err != nil {
		return []*curfewv1.Check{{
			Subject: "people behind accounts", Why: "not looked at, as the curfew that runs has to be asked: " + sayError(err),
			How: "start curfew run with this configuration, and ask again",
		}}
	}
	if len(accounts) == 0 {
		return []*curfewv1.Check{verdict("people behind accounts", "all who acted in the last seven days are known", "", nil)}
	}
	count := fmt.Sprintf("%d accounts", len(accounts))
	switch len(accounts) {
	case 1:
		count = "1 account"
	case evaluator.MaxUnplaced:
		count = "at least " + count
	}
	checks := []*curfewv1.Check{{
		Subject: count, Why: "acted in the last seven days and belong to nobody known, so the policy judges them as unknown; the most active first",
		How: fmt.Sprintf("write each under its person in %s: accounts: {SOURCE: [ID]}; where ~ stands for a name, findings have it: curfew finding list -o json --person ACCOUNT",
			filepath.Join(cmp.Or(conf.Policy, "the policy folder"), "identities.yaml")),
	}}
	for _, a := range accounts[:min(shownAccounts, len(accounts))] {
		decisions := fmt.Sprintf("%d acts, the last at ", a.GetDecisions())
		if a.GetDecisions() == 1 {
			decisions = "1 act, at "
		}
		checks = append(checks, &curfewv1.Check{Subject: a.GetSubject(), Why: decisions + clock(a.GetLast())})
	}
	if more := len(accounts) - shownAccounts; more > 0 {
		checks = append(checks, &curfewv1.Check{Subject: fmt.Sprintf("and %d more", more), Why: "less active than these"})
	}
	return checks
}

// askUnplaced asks the API that the configuration names, with the token of its data directory or the one that the
// environment names.
func askUnplaced(ctx context.Context, conf config.Config) ([]*curfewv1.UnplacedAccount, error) {
	ctx, cancel := context.WithTimeout(ctx, counting)
	defer cancel()
	path := filepath.Join(conf.Data, tokenFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		path = cmp.Or(os.Getenv("CURFEW_TOKEN_FILE"), path)
	}
	if _, err := readToken(path); err != nil {
		return nil, err
	}
	api := &client{address: conf.API.Listen, tokenFile: path, ca: os.Getenv("CURFEW_TLS_CA")}
	conn, err := api.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close() // nothing is written through it
	answer, err := curfewv1.NewPolicyServiceClient(conn).ListUnplaced(ctx, &curfewv1.ListUnplacedRequest{})
	return answer.GetAccounts(), err
}

// examineGroups is whether each source whose groups, roles or apps the policy names is asked for them.
func examineGroups(conf config.Config, policy *judge.Policy) []*curfewv1.Check {
	var checks []*curfewv1.Check
	policy.Inventories(func(source, kind string) {
		subject := fmt.Sprintf("%s of %s", kind, source)
		configured, there := conf.Sources[source]
		if !there {
			checks = append(checks, verdict(subject, "", "take them out of policy.csv, or configure the source", fmt.Errorf("the policy names some, and %s is not configured: nobody is known to hold them", source)))
			return
		}
		var keys sourceKeys
		if _, err := configured.Section.Split(&keys); err == nil && keys.Inventory == "off" {
			checks = append(checks, verdict(subject, "", "take inventory: off out of the source", fmt.Errorf("the policy names some, and the inventory of %s is off: nobody is known to hold them", source)))
		}
	})
	return checks
}
