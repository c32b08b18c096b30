// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"slices"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Rank is where a level stands among those of its kind, the higher the more, whatever word GitHub has for it; below 0 where
// nobody can tell, as of a role that an organisation made.
func (s *Source) Rank(kind, level string) int {
	return slices.Index(ranks, (&holding{privilege: &curfewv1.Privilege{Kind: kind}}).level(level))
}
