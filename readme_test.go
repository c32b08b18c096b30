// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package curfew_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is a fenced block of a document: the words behind its fence and its lines.
type block struct {
	words []string
	lines []string
}

// blocks takes a document's fenced blocks out of it.
func blocks(text string) []block {
	var all []block
	var open *block
	for line := range strings.SplitSeq(text, "\n") {
		words, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open != nil:
			all, open = append(all, *open), nil
		case fence:
			open = &block{words: strings.Fields(words)}
		case open != nil:
			open.lines = append(open.lines, line)
		}
	}
	return all
}

// The README's commands do what it says: a block "sh run" is run, "exit=N" is its exit code, and each line of the block
// "text output" behind it is among what it printed.
func TestReadmeCommands(t *testing.T) {
	watch(t)
	ran, printed := 0, ""
	for _, b := range blocks(readText(t, "README.md")) {
		switch {
		case len(b.words) > 1 && b.words[0] == "sh" && b.words[1] == "run":
			exit := 0
			if len(b.words) > 2 {
				if _, err := fmt.Sscanf(b.words[2], "exit=%d", &exit); err != nil {
					t.Fatalf("block %v: %v", b.words, err)
				}
			}
			command := exec.CommandContext(t.Context(), "sh", "-e", "-c", strings.Join(b.lines, "\n"))
			output, err := command.CombinedOutput()
			if command.ProcessState.ExitCode() != exit {
				t.Fatalf("%v: got %v, want exit code %d\n%s", b.lines, err, exit, output)
			}
			ran, printed = ran+1, string(output)
		case slices.Equal(b.words, []string{"text", "output"}):
			for _, line := range b.lines {
				if !slices.Contains(strings.Split(printed, "\n"), line) {
					t.Errorf("the README shows %q; it is not among what was printed:\n%s", line, printed)
				}
			}
		}
	}
	if ran != 2 {
		t.Errorf("got %d blocks that were run, want the demo and eval", ran)
	}
}

// watch makes the result of this test depend on what the commands read: the cache of test results does not see it.
func watch(t *testing.T) {
	t.Helper()
	for _, ending := range []string{".go", ".mod", ".sum", ".yaml", ".csv", ".conf", ".jsonl"} {
		for _, name := range tracked(t, ending) {
			readText(t, name)
		}
	}
}

// The README's test command is the one that the Makefile and CI run. It is not run here: this test is part of it.
func TestReadmeTestCommand(t *testing.T) {
	if !slices.ContainsFunc(blocks(readText(t, "README.md")), func(b block) bool { return slices.Equal(b.lines, []string{"make test"}) }) {
		t.Error("the README has no block with make test alone")
	}
	makefile := readText(t, "Makefile")
	if !regexp.MustCompile(`(?m)^PACKAGES := \./\.\.\. \./proto/\.\.\.\n`).MatchString(makefile) ||
		!regexp.MustCompile(`(?m)^test: ##.*\n\tgo test \$\(PACKAGES\)\n\n`).MatchString(makefile) {
		t.Error("make test is not go test over both modules and nothing else")
	}
	if !regexp.MustCompile(`(?m)^make test\nmake check\n`).MatchString(readText(t, ".ci/run")) {
		t.Error(".ci/run does not run make test and make check")
	}
}
