// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"testing"
)

func disown(ctx context.Context, t *testing.T, o *office)  {}
func confirm(ctx context.Context, t *testing.T, o *office) {}
func expect(ctx context.Context, t *testing.T, o *office)  {}
func mute(ctx context.Context, t *testing.T, o *office)    {}
