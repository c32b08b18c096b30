// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package curfew_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// modulePath is what our own imports begin with.
const modulePath = "github.com/curfewhq/curfew/"

// wall forbids imports. Patterns are over folders of this repository and over the paths of outside packages: "*" is one
// part, "..." at the end any rest, and "$1" in except what the first "*" of from stood for.
type wall struct {
	from   []string // who is walled in
	unless []string // and who of them is not
	to     []string // what must not be imported
	except []string // and what of it may be
	tests  bool     // test files are walled in too
	why    string
}

// testKits are packages that exist for tests.
var testKits = []string{
	"internal/bus/bustest/...", "internal/state/statetest/...", "internal/grant/granttest/...",
	"internal/clock/clocktest/...",
	"services/collector/sourcetest/...", "services/notifier/receivertest/...", "internal/fake/...",
}

// contract is what a plug-in talks in.
var contract = []string{"proto/...", "google.golang.org/protobuf/...", "internal/event/..."}

// walls is which way imports may go.
var walls = []wall{
	{
		from: []string{"..."}, to: []string{"cmd/..."}, tests: true,
		why: "nothing imports cmd: what others need belongs in a package of its own",
	},
	{
		from: []string{"services/...", "internal/..."}, to: []string{"deploy/..."}, tests: true,
		why: "what is shipped to be looked at is no library; cmd alone embeds it, for the demo",
	},
	{
		from: []string{"internal/..."}, to: []string{"services/..."}, tests: true,
		why: "cmd -> services -> internal -> proto: internal knows no service",
	},
	{
		from: []string{"proto/..."}, to: []string{"internal/...", "services/...", "deploy/..."}, tests: true,
		why: "the contract is a module of its own, so that a client pulls grpc and protobuf and nothing more",
	},
	{
		from: []string{"services/*/..."}, to: []string{"services/..."}, except: []string{"services/$1/..."}, tests: true,
		why: "services never call or import each other: they meet on the bus",
	},
	{
		from: []string{"services/collector/source/*/..."}, to: []string{"..."},
		except: append([]string{
			"services/collector/source/$1/...", "internal/config/...", "internal/catalog/...", "internal/vendorhttp/...", "internal/yamlfile/...",
			"golang.org/x/oauth2/...", "golang.org/x/time/...",
		}, contract...),
		why: "a source takes and returns messages of the contract and brings its own Config: no bus, no service, no other plug-in",
	},
	{
		from: []string{"services/notifier/receiver/*/..."}, to: []string{"..."},
		except: append([]string{
			"services/notifier/receiver/$1/...", "internal/config/...", "internal/yamlfile/...", "internal/card/...", "internal/delivery/...",
			"internal/ocsf/...", "internal/vendorhttp/...", "github.com/slack-go/...", "github.com/wneessen/...",
		}, contract...),
		why: "a receiver takes messages of the contract and brings its own Config: no bus, no service, no other plug-in",
	},
	{
		from: []string{"services/evaluator/detection/..."}, to: []string{"..."},
		except: append([]string{"services/evaluator/detection/...", "internal/catalog/..."}, contract...),
		why:    "a detection is a question to an event and its decision: no bus, no service",
	},
	{
		from: []string{"services/*/*/*/..."}, to: []string{"internal/bus/...", "internal/state/..."}, tests: true,
		why: "a plug-in is tried without a bus as well",
	},
	{
		from: []string{"..."}, unless: testKits, to: testKits[:len(testKits)-1],
		why: "a test kit serves tests alone",
	},
	{
		from: []string{"..."}, unless: append([]string{"cmd/curfew"}, testKits...), to: []string{"internal/fake/..."},
		why: "the fake vendors serve tests, and in cmd/curfew the demo",
	},
}

// home is where an outside package is used. One home makes a move to another package, or to its next major version, a
// change of one folder. An outside package without a home is refused.
type home struct {
	of    string
	in    []string
	tests []string // besides, in test files
	why   string
}

var everywhere = []string{"..."}

var homes = []home{
	{of: "github.com/nats-io/...", in: []string{"internal/bus/..."}, why: "the bus is the one place that speaks NATS"},
	{of: "github.com/casbin/...", in: []string{"services/evaluator/enforcer"}, why: "the evaluator alone decides"},
	{of: "github.com/redis/...", in: []string{"internal/state/..."}, why: "derived state is one small interface"},
	{of: "github.com/alicebob/miniredis/...", tests: []string{"internal/state/...", "services/notifier", "cmd/..."}, why: "a Redis for tests on a bare machine"},
	{of: "go.yaml.in/...", in: []string{"internal/yamlfile/..."}, why: "one strict reader: unknown keys are refused everywhere or nowhere"},
	{of: "github.com/spf13/cobra", in: []string{"cmd/..."}, why: "the command line is cmd's"},
	{of: "github.com/prometheus/...", in: []string{"internal/telemetry/..."}, why: "every metric stands in one place"},
	{of: "google.golang.org/grpc/...", in: []string{"proto/...", "services/evaluator", "cmd/..."}, why: "the evaluator serves the API, cmd calls it"},
	{of: "github.com/coreos/go-oidc/...", in: []string{"services/evaluator"}, why: "callers prove themselves where the API is"},
	{of: "github.com/slack-go/...", in: []string{"services/notifier/receiver/slack"}, tests: []string{"internal/fake/workspace"}, why: "Slack's Web API and Socket Mode are spoken where alerts go there"},
	{of: "github.com/gorilla/websocket", in: []string{"internal/fake/workspace"}, why: "the fake Slack serves Socket Mode"},
	{of: "github.com/wneessen/...", in: []string{"services/notifier/receiver/email"}, why: "mail is written and sent in one place"},
	{of: "golang.org/x/sys/...", in: []string{"internal/clock"}, why: "the clock that nobody sets is the kernel's"},
	{of: "golang.org/x/oauth2/...", in: []string{"services/collector/source/...", "internal/vendorhttp"}, why: "sources alone hold SaaS credentials"},
	{of: "golang.org/x/time/...", in: []string{"services/collector/..."}, why: "a source keeps to its vendor's rate by itself, and nobody's webhooks fill the log"},
	{of: "golang.org/x/sync/...", in: []string{"services/...", "cmd/..."}, why: "what runs several loops waits for them all"},
	{of: "google.golang.org/protobuf/...", in: everywhere, why: "the generated message is the domain type"},
	{of: "github.com/google/go-cmp/...", in: []string{"services/collector/sourcetest"}, tests: everywhere, why: "tests say what differs"},
	{of: "github.com/rogpeppe/go-internal/...", tests: everywhere, why: "scripts drive the binary, archives hold cases"},
	{of: "go.uber.org/goleak", tests: everywhere, why: "tests leave no goroutine behind"},
}

func TestWalls(t *testing.T) {
	for _, problem := range crossed(readTree(t)) {
		t.Error(problem)
	}
}

func TestHomes(t *testing.T) {
	files := readTree(t)
	// A module of its own, in which peers stand beside the product.
	files = slices.DeleteFunc(files, func(f goFile) bool { return fits([]string{"bench/..."}, f.dir(), nil) })
	for _, problem := range homeless(files) {
		t.Error(problem)
	}
}

// crossed returns each import that crosses a wall.
func crossed(files []goFile) []string {
	var problems []string
	for _, f := range files {
		for _, w := range walls {
			if f.test && !w.tests || fits(w.unless, f.dir(), nil) {
				continue
			}
			for _, from := range w.from {
				parts, walled := match(from, f.dir())
				if !walled {
					continue
				}
				for _, i := range f.imports() {
					if fits(w.to, i.path, nil) && !fits(w.except, i.path, parts) && !i.standard {
						problems = append(problems, fmt.Sprintf("%s:%d: imports %s: %s", f.path, i.line, i.path, w.why))
					}
				}
			}
		}
	}
	return problems
}

// homeless returns each import of an outside package that is not at home there.
func homeless(files []goFile) []string {
	var problems []string
	for _, f := range files {
		for _, i := range f.imports() {
			if i.standard || i.own {
				continue
			}
			at := slices.IndexFunc(homes, func(h home) bool { return fits([]string{h.of}, i.path, nil) })
			if at < 0 {
				problems = append(problems, fmt.Sprintf("%s:%d: imports %s, which has no home: give it one in arch_test.go, with the reason", f.path, i.line, i.path))
				continue
			}
			if h := homes[at]; !fits(h.in, f.dir(), nil) && (!f.test || !fits(h.tests, f.dir(), nil)) {
				problems = append(problems, fmt.Sprintf("%s:%d: imports %s, which is at home in %s: %s", f.path, i.line, i.path, strings.Join(append(h.in, h.tests...), ", "), h.why))
			}
		}
	}
	return problems
}

// fits is whether name matches one of the patterns, in which "$1" stands for the first of parts.
func fits(patterns []string, name string, parts []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		for i, part := range parts {
			pattern = strings.ReplaceAll(pattern, "$"+strconv.Itoa(i+1), part)
		}
		_, ok := match(pattern, name)
		return ok
	})
}

// match is whether name matches the pattern, and what each "*" of it stood for.
func match(pattern, name string) (parts []string, ok bool) {
	names := strings.Split(name, "/")
	for i, want := range strings.Split(pattern, "/") {
		switch {
		case want == "...":
			return parts, true
		case i >= len(names):
			return nil, false
		case want == "*":
			parts = append(parts, names[i])
		case want != names[i]:
			return nil, false
		}
		if i == strings.Count(pattern, "/") && len(names) > i+1 {
			return nil, false
		}
	}
	return parts, true
}

// goFile is one file of Go.
type goFile struct {
	path      string // from the root, with slashes
	text      string
	tree      *ast.File
	positions *token.FileSet
	test      bool
	generated bool
}

func (f goFile) dir() string { return path.Dir(f.path) }

func (f goFile) line(p token.Pos) int { return f.positions.Position(p).Line }

// imported is one import.
type imported struct {
	name     string // "_" for a blank one
	path     string // our own from the root, others whole
	line     int
	own      bool
	standard bool
}

func (f goFile) imports() []imported {
	all := make([]imported, 0, len(f.tree.Imports))
	for _, spec := range f.tree.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the compiler says so
		}
		i := imported{line: f.line(spec.Pos())}
		i.path, i.own = strings.CutPrefix(name, modulePath)
		first, _, _ := strings.Cut(name, "/")
		i.standard = !strings.Contains(first, ".")
		if spec.Name != nil {
			i.name = spec.Name.Name
		}
		all = append(all, i)
	}
	return all
}

func parseGo(t *testing.T, name, text string) goFile {
	t.Helper()
	positions := token.NewFileSet()
	tree, err := parser.ParseFile(positions, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return goFile{
		path: name, text: text, tree: tree, positions: positions,
		test: strings.HasSuffix(name, "_test.go"), generated: strings.HasSuffix(name, ".pb.go"),
	}
}

// readTree reads every Go file of both modules. It reads them itself: the cache of test results sees what a test reads,
// and does not see what `go list` would read for it.
func readTree(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	for _, name := range tracked(t, ".go") {
		files = append(files, parseGo(t, name, readText(t, name)))
	}
	if len(files) < 50 {
		t.Fatalf("got %d files, want the whole tree", len(files))
	}
	return files
}

// tracked is every file with that ending which is ours, by its path from the root.
func tracked(t *testing.T, ending string) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != "." && strings.HasPrefix(entry.Name(), ".")
		if entry.IsDir() && (hidden || slices.Contains([]string{"bin", "dist", "data", "testdata", "curfew-data"}, entry.Name())) {
			return fs.SkipDir
		}
		if !entry.IsDir() && strings.HasSuffix(name, ending) {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readText(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
		parts         []string
	}{
		{"...", "cmd/curfew", true, nil},
		{"internal/bus", "internal/bus", true, nil},
		{"internal/bus", "internal/bus/bustest", false, nil},
		{"internal/bus/...", "internal/bus", true, nil},
		{"internal/bus/...", "internal/bus/bustest", true, nil},
		{"internal/bus/...", "internal/business", false, nil},
		{"services/*/...", "services/collector/source/okta", true, []string{"collector"}},
		{"services/*/...", "services", false, nil},
		{"services/*/*/*/...", "services/collector/source/okta", true, []string{"collector", "source", "okta"}},
		{"services/*/*/*/...", "services/collector", false, nil},
		{"github.com/spf13/cobra", "github.com/spf13/cobra/doc", false, nil},
	} {
		parts, got := match(c.pattern, c.name)
		if got != c.want || got && !slices.Equal(parts, c.parts) {
			t.Errorf("match %s with %s: got %v %v, want %v %v", c.name, c.pattern, got, parts, c.want, c.parts)
		}
	}
}

// Each wall and each home stops what it is there to stop.
func TestWallsBite(t *testing.T) {
	for _, c := range []struct{ file, imports, want string }{
		{"internal/fake/x.go", "cmd/curfew", "nothing imports cmd"},
		{"services/notifier/x_test.go", "deploy/example", "no library"},
		{"internal/bus/x.go", "services/collector", "internal knows no service"},
		{"internal/bus/x_test.go", "services/collector", "internal knows no service"},
		{"proto/curfew/v1/x.go", "internal/event", "a module of its own"},
		{"services/notifier/x.go", "services/evaluator", "they meet on the bus"},
		{"services/notifier/x_test.go", "services/evaluator/detection", "they meet on the bus"},
		{"services/collector/source/okta/x.go", "internal/bus", "no bus"},
		{"services/collector/source/okta/x_test.go", "internal/bus", "without a bus as well"},
		{"services/collector/source/okta/x.go", "services/collector/source/github", "no other plug-in"},
		{"services/collector/source/okta/x.go", "services/collector", "no service"},
		{"services/collector/source/okta/x.go", "internal/telemetry", "no service"},
		{"services/notifier/receiver/slack/x.go", "internal/state", "no bus"},
		{"services/evaluator/detection/x.go", "services/evaluator", "no service"},
		{"services/collector/x.go", "internal/bus/bustest", "serves tests alone"},
		{"services/collector/x.go", "internal/fake", "the demo"},
	} {
		file := parseGo(t, c.file, fmt.Sprintf("package x\nimport %q\n", modulePath+c.imports))
		got := crossed([]goFile{file})
		if !slices.ContainsFunc(got, func(problem string) bool {
			return strings.HasPrefix(problem, c.file+":2: imports "+c.imports) && strings.Contains(problem, c.want)
		}) {
			t.Errorf("%s imports %s: got %q, want a problem that says %q", c.file, c.imports, got, c.want)
		}
	}
	for _, c := range []struct{ file, imports, want string }{
		{"services/collector/x.go", "github.com/nats-io/nats.go", "speaks NATS"},
		{"cmd/curfew/x_test.go", "github.com/nats-io/nats-server/v2/server", "speaks NATS"},
		{"services/evaluator/detection/x.go", "github.com/casbin/casbin/v2", "alone decides"},
		{"internal/config/x.go", "go.yaml.in/yaml/v3", "one strict reader"},
		{"services/collector/x.go", "google.golang.org/grpc/status", "serves the API"},
		{"internal/state/x.go", "github.com/alicebob/miniredis/v2", "bare machine"},
		{"internal/event/x.go", "github.com/google/go-cmp/cmp", "tests say"},
		{"internal/event/x_test.go", "github.com/stretchr/testify/assert", "has no home"},
	} {
		file := parseGo(t, c.file, fmt.Sprintf("package x\nimport %q\n", c.imports))
		if got := homeless([]goFile{file}); len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s imports %s: got %q, want one problem that says %q", c.file, c.imports, got, c.want)
		}
	}
	good := []goFile{
		parseGo(t, "services/collector/source/okta/x.go", `package okta
import (
	"net/http"
	"google.golang.org/protobuf/types/known/timestamppb"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)`),
		parseGo(t, "services/collector/source/okta/x_test.go", `package okta
import (
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)`),
		parseGo(t, "cmd/curfew/demo.go", `package main
import (
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/services/evaluator"
)`),
	}
	if got := append(crossed(good), homeless(good)...); len(got) > 0 {
		t.Errorf("got %q, want no problem", got)
	}
}
