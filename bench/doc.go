// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package bench sets what a decision of Curfew costs beside what one of its peers costs, and says how many alerts a peer brings
// to Slack. It is a module of its own, so that the product needs none of them; `make bench` runs it.
package bench
