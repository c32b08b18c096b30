// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// unapprovedApp finds third-party apps that were given access to data which the policy does not let them have.
var unapprovedApp = Detection{
	ID:       "unapproved_app",
	Title:    "A third-party app took access that nobody approved",
	Controls: []string{"NIST AC-20", "NIST CM-11", "NIST SA-9"},
	Match: func(in Input, f *curfewv1.Finding) bool {
		d := in.Decision
		if d.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION || !isConsent(d) {
			return false
		}
		app := in.Event.GetApp()
		name := app.GetName()
		if name == "" {
			name = app.GetId()
		}
		f.Severity = severity(in)
		f.Title = fmt.Sprintf("The app %q was given access to %s by %s; nobody approved it", name, strings.Join(d.GetClasses(), ", "), who(in.Event))
		f.Reason = "This is a violation: " + d.GetReason() + "."
		if len(app.GetScopes()) > 0 {
			f.Reason += " It took the scopes " + strings.Join(app.GetScopes(), ", ") + "."
		}
		f.NextSteps = []string{
			fmt.Sprintf("Ask %s what the app is for, and look up who makes it.", who(in.Event)),
			fmt.Sprintf("If it is to stay, approve it in policy.csv, a row for each class: p, %s, *, *, CLASS, consent, allow (CLASS: %s)", d.GetSubject(), strings.Join(d.GetClasses(), ", ")),
			fmt.Sprintf("If not, take its access away in %s: end the app's tokens, then look that they are gone.", d.GetSource()),
		}
		return true
	},
}
