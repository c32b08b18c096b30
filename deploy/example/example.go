// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package example is the example policy, embedded so that the demo runs it from the binary alone.
package example

import "embed"

// Policy is the folder "policy": the policy of Linden & Lark, an invented shop.
//
//go:embed policy
var Policy embed.FS
