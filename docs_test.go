// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package curfew_test

import (
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
)

// What a document lists is what the code has, neither more nor less.
func TestDocumentsListWhatThereIs(t *testing.T) {
	architecture, operations, sources := readText(t, "docs/architecture.md"), readText(t, "docs/operations.md"), readText(t, "docs/sources.md")
	for _, c := range []struct {
		what       string
		documented []string
		there      []string
	}{
		{
			"streams in docs/architecture.md",
			all(architecture, "(?m)^\\| `([A-Z]+)` \\| `[a-z]+\\.<"),
			all(readText(t, "internal/bus/streams.go"), `\{name: "([A-Z]+)", root:`),
		},
		{
			"subjects in docs/architecture.md",
			all(architecture, "(?m)^\\| `[A-Z]+` \\| `([a-z]+)\\.<"),
			all(readText(t, "internal/bus/streams.go"), `\{name: "[A-Z]+", root: "([a-z]+)"`),
		},
		{
			"detections in docs/architecture.md",
			all(after(architecture, "## Detections"), "(?m)^\\| `([a-z_]+)` \\|"),
			detections(t),
		},
		{
			"packages in docs/architecture.md",
			all(after(architecture, "## What each package alone does"), "(?m)^\\| `([a-z0-9/*]+)` \\|"),
			packages(t),
		},
		{
			"sources in docs/sources.md",
			all(sources, `(?m)^## ([a-z0-9_]+)$`),
			append(all(readText(t, "services/collector/sources.go"), `"([a-z0-9_]+)":\s+\{\s*decode:`), "curfew"),
		},
		{
			"metrics in docs/operations.md",
			all(operations, "(?m)^\\| `curfew_([a-z_]+)` \\|"),
			all(readText(t, "internal/telemetry/telemetry.go"), `(?:counter|gauge)\("([a-z_]+)"`),
		},
		{
			"configuration keys in docs/operations.md",
			all(after(operations, "## Configuration"), "(?m)^\\| `([a-z._]+)` \\|"),
			keys(reflect.TypeFor[config.Config](), ""),
		},
		{
			"commands in docs/operations.md",
			all(operations, "(?m)^\\| `curfew ([a-z ]+)` \\|"),
			commands(t, built(t)),
		},
	} {
		slices.Sort(c.documented)
		slices.Sort(c.there)
		if len(c.there) == 0 || !slices.Equal(c.documented, c.there) {
			t.Errorf("%s: got %q, the code has %q", c.what, c.documented, c.there)
		}
	}
}

// Each source's section names each key of its configuration.
func TestSourceKeysAreDocumented(t *testing.T) {
	sources := readText(t, "docs/sources.md")
	for _, f := range readTree(t) {
		folder, inside := strings.CutPrefix(f.dir(), "services/collector/source/")
		if !inside || f.test {
			continue
		}
		section := ""
		for _, name := range all(sources, `(?m)^## ([a-z0-9_]+)$`) {
			if strings.ReplaceAll(name, "_", "") == folder {
				section = after(sources, "\n## "+name+"\n")
			}
		}
		for _, key := range all(f.text, "`yaml:\"([a-z_]+)\"`") {
			if !strings.Contains(section, "`"+key+"`") {
				t.Errorf("docs/sources.md: the section of %s does not name the key %q", folder, key)
			}
		}
	}
}

// Each receiver's row names each key of its configuration, and there is no row without a receiver.
func TestReceiverKeysAreDocumented(t *testing.T) {
	alerts, there := readText(t, "docs/alerts.md"), map[string]bool{}
	for _, f := range readTree(t) {
		folder, inside := strings.CutPrefix(f.dir(), "services/notifier/receiver/")
		if !inside || f.test {
			continue
		}
		there[folder] = true
		row := all(alerts, "(?m)^\\| `"+folder+"` \\| (.*)$")
		for _, key := range all(f.text, "`yaml:\"([a-z_]+)\"`") {
			if len(row) != 1 || !strings.Contains(row[0], "`"+key+"`") {
				t.Errorf("docs/alerts.md: the row of %s does not name the key %q", folder, key)
			}
		}
	}
	_, table, _ := strings.Cut(alerts, "| type | keys |")
	table, _, _ = strings.Cut(table, "\n\n")
	if got, want := all(table, "(?m)^\\| `([a-z]+)` \\|"), slices.Sorted(maps.Keys(there)); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("docs/alerts.md: got rows for %q, want %q", got, want)
	}
}

// Each command line of a document is one that the binary takes.
func TestDocumentedCommandLines(t *testing.T) {
	curfew, count := built(t), 0
	for _, name := range tracked(t, ".md") {
		for _, b := range blocks(readText(t, name)) {
			for _, line := range b.lines {
				words := strings.Fields(line)
				if len(b.words) == 0 || b.words[0] != "sh" || len(words) == 0 || path.Base(words[0]) != "curfew" {
					continue
				}
				count++
				command := exec.CommandContext(t.Context(), curfew, append(words[1:], "--help")...)
				if output, err := command.CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %v\n%s", name, line, err, output)
				}
			}
		}
	}
	if count < 5 {
		t.Errorf("got %d command lines, want those of the README at least", count)
	}
}

// A link inside the repository leads somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, name := range tracked(t, ".md") {
		for _, link := range all(readText(t, name), `\]\(([^)#\s]+)(?:#[^)]*)?\)`) {
			if strings.Contains(link, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), link)); err != nil {
				t.Errorf("%s: links to %s: %v", name, link, err)
			}
		}
	}
}

// Every decision has its number once, and says what was rejected.
func TestDecisionsAreWhole(t *testing.T) {
	entries, err := os.ReadDir("docs/decisions")
	if err != nil {
		t.Fatal(err)
	}
	for i, entry := range entries {
		number := all(entry.Name(), `^(\d{4})-[a-z0-9-]+\.md$`)
		if len(number) != 1 || strings.TrimLeft(number[0], "0") != strconv.Itoa(i+1) {
			t.Errorf("%s: want a name like %04d-what-was-decided.md", entry.Name(), i+1)
		}
		text := readText(t, "docs/decisions/"+entry.Name())
		if !strings.HasPrefix(text, "# "+strconv.Itoa(i+1)+". ") {
			t.Errorf("%s: does not begin with # %d. and a title", entry.Name(), i+1)
		}
		for _, part := range []string{"**Context.**", "**Decision.**", "**Consequences.**", "**Rejected.**"} {
			if strings.Count(text, part) != 1 {
				t.Errorf("%s: has no %s, or several", entry.Name(), part)
			}
		}
	}
}

// The configurations that ship are ones that are taken.
func TestShippedConfigurations(t *testing.T) {
	for _, name := range []string{"deploy/example/curfew.yaml", "deploy/compose.curfew.yaml"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "policy"), 0o700); err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, "curfew.yaml")
		if err := os.WriteFile(copied, []byte(readText(t, name)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Read(copied); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// all is what the group of a pattern matched, each time.
func all(text, pattern string) []string {
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// after is the section of a document that begins with a heading.
func after(text, heading string) string {
	_, section, _ := strings.Cut(text, heading)
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

// detections is the file of each detection.
func detections(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, f := range readTree(t) {
		if id := strings.TrimSuffix(path.Base(f.path), ".go"); f.dir() == "services/evaluator/detection" && !f.test && id != "detection" {
			ids = append(ids, id)
		}
	}
	return ids
}

// packages is every package that is not for tests or benchmarks alone; plug-ins as one.
func packages(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	for _, f := range readTree(t) {
		dir := f.dir()
		kit := fits(testKits, dir, nil) && dir != "internal/fake"
		if f.test || kit || strings.HasPrefix(dir, "deploy/") || dir == "internal/benchdoc" || fits([]string{"bench/..."}, dir, nil) {
			continue
		}
		if parts, plugin := match("services/*/*/*", dir); plugin {
			dir = "services/" + parts[0] + "/" + parts[1] + "/*"
		}
		found[dir] = true
	}
	return slices.Collect(maps.Keys(found))
}

// keys is every key of a configuration, as "nats.url".
func keys(of reflect.Type, prefix string) []string {
	var names []string
	for i := range of.NumField() {
		field := of.Field(i)
		name := prefix + field.Tag.Get("yaml")
		if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[config.Secret]() {
			names = append(names, keys(field.Type, name+".")...)
			continue
		}
		names = append(names, name)
	}
	return names
}

// built builds the binary and returns where it is.
func built(t *testing.T) string {
	t.Helper()
	watch(t)
	output, err := exec.CommandContext(t.Context(), "make", "build").CombinedOutput()
	if err != nil {
		t.Fatalf("make build: %v\n%s", err, output)
	}
	return "bin/curfew"
}

// commands is every command that does something, as its help lists it.
func commands(t *testing.T, curfew string, group ...string) []string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), curfew, append(group, "--help")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", group, err, output)
	}
	_, list, _ := strings.Cut(string(output), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var names []string
	for _, name := range all(list, `(?m)^  ([a-z]+) `) {
		if name == "help" || name == "completion" {
			continue
		}
		if inner := commands(t, curfew, append(slices.Clone(group), name)...); len(inner) > 0 {
			names = append(names, inner...)
			continue
		}
		names = append(names, strings.Join(append(slices.Clone(group), name), " "))
	}
	return names
}
