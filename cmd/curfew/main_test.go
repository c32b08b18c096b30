// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// asCurfew makes this test binary the real program, for tests that must kill a process.
const asCurfew = "CURFEW_TEST_AS_CURFEW"

func TestMain(m *testing.M) {
	if os.Getenv(asCurfew) != "" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"curfew": main})
}

// The scripts drive the real binary from end to end.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true})
}
