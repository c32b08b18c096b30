// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/temporal"
)

// Belongs returns whether an account that a decision knew nobody for, "unknown:<source>/<id>", is somebody's by what is
// known now of a time. One that a token stands for is found by the e-mails and accounts of identities.yaml alone.
func (j *Judge) Belongs(at time.Time) func(subject string) bool {
	policy, _ := j.Policies(at)
	var tokens map[string]bool // "<source>/<token>", or "<token>" of an e-mail, which is the same anywhere
	return func(subject string) bool {
		name := strings.TrimPrefix(subject, "unknown:")
		source, id, _ := strings.Cut(name, "/")
		if !strings.HasPrefix(id, "~") {
			a := account{source: source, id: id, person: true}
			return policy.identities.owner(a, temporal.Nanos(at), j.Known).person != ""
		}
		if tokens == nil {
			tokens = map[string]bool{}
			for email := range policy.identities.emails {
				tokens[j.token(email)] = true
			}
			for stated := range policy.identities.accounts {
				source, id, _ := strings.Cut(stated, "/")
				tokens[source+"/"+j.token(id)] = true
			}
		}
		return tokens[id] || tokens[name]
	}
}
