// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestExitCodes(t *testing.T) {
	denied := status.Error(codes.PermissionDenied, "the policy does not let you")
	for _, c := range []struct {
		name string
		in   error
		code int
		says string
	}{
		{"done", nil, exitDone, ""},
		{"no", errNo, exitNo, ""},
		{"usage", usageError{errors.New("wrong")}, exitUsage, "curfew: wrong\n"},
		{"denied", denied, exitNo, "curfew: the policy does not let you\n"},
		{"denied, wrapped", fmt.Errorf("list: %w", denied), exitNo, "curfew: the policy does not let you\n"},
		{"who calls is not known", status.Error(codes.Unauthenticated, "no token"), exitFailed, "curfew: no token\n"},
		{"failed", errors.New("broken"), exitFailed, "curfew: broken\n"},
		{"hostile", status.Error(codes.FailedPrecondition, "resolved: a\x1b[31mRED\x1b]0;title\a\u202e\ncurfew: all is well"), exitFailed,
			"curfew: resolved: a\uFFFD[31mRED\uFFFD]0;title\uFFFD\uFFFD\n  curfew: all is well\n"},
		{"hostile usage", usageError{errors.New("--x \x1b[2J")}, exitUsage, "curfew: --x \uFFFD[2J\n"},
	} {
		var errs bytes.Buffer
		if code := exitCode(t.Context(), c.in, &errs); code != c.code || errs.String() != c.says {
			t.Errorf("%s: got %d, %q, want %d, %q", c.name, code, errs.String(), c.code, c.says)
		}
	}
}
