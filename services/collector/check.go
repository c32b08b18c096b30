// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"fmt"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Check asks the vendor what a source may do, and changes nothing. There is at least one answer; none is more than a line.
func (c Configured) Check(ctx context.Context) (checks []*curfewv1.Check) {
	checker, ok := c.Source.(Checker)
	if !ok {
		return []*curfewv1.Check{{Subject: "poll", Why: "this source cannot say without doing it"}}
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			checks = []*curfewv1.Check{{Subject: "poll", Why: event.Clean(fmt.Sprint("the check broke off: ", panicked))}}
		}
	}()
	checks = checker.Check(ctx)
	for _, check := range checks {
		check.Why = strings.ReplaceAll(check.GetWhy(), context.DeadlineExceeded.Error(), "no answer in time")
		check.Why, check.How, check.Needs = event.Clean(check.GetWhy()), event.Clean(check.GetHow()), event.Clean(check.GetNeeds())
	}
	return checks
}
