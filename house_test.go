// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package curfew_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxLines is how long a hand-written file may be: past it, look for the second noun.
const maxLines = 400

// license is how every file begins.
const license = "// SPDX-FileCopyrightText: The Curfew authors\n// SPDX-License-Identifier: Apache-2.0\n"

// attics are names under which anything can be stored and nothing be found.
var attics = []string{"attic", "base", "common", "helper", "helpers", "lib", "manager", "misc", "pkg", "shared", "types", "util", "utils"}

// houseRules are the habits of the tree that a reader of files can check. Each returns what breaks it.
var houseRules = map[string]func([]goFile) []string{
	"package docs":     packageDocs,
	"license":          unlicensed,
	"no init":          initFunctions,
	"file sizes":       longFiles,
	"no attics":        inAttics,
	"no sleep":         sleeps,
	"no skip":          skips,
	"no build tags":    buildTags,
	"no blank imports": blankImports,
}

func TestHouseRules(t *testing.T) {
	files := readTree(t)
	for _, name := range slices.Sorted(maps.Keys(houseRules)) {
		t.Run(name, func(t *testing.T) {
			for _, problem := range houseRules[name](files) {
				t.Error(problem)
			}
		})
	}
}

func TestContractIsLicensed(t *testing.T) {
	for _, name := range tracked(t, ".proto") {
		if !strings.HasPrefix(readText(t, name), license) {
			t.Errorf("%s: does not begin with the two SPDX lines", name)
		}
	}
}

// packageDocs: one doc comment a package, which says what it alone does.
func packageDocs(files []goFile) []string {
	docs := map[string][]goFile{}
	for _, f := range files {
		if f.test || f.generated {
			continue
		}
		if docs[f.dir()] == nil {
			docs[f.dir()] = []goFile{}
		}
		if f.tree.Doc != nil {
			docs[f.dir()] = append(docs[f.dir()], f)
		}
	}
	var problems []string
	for _, dir := range slices.Sorted(maps.Keys(docs)) {
		if len(docs[dir]) != 1 {
			problems = append(problems, fmt.Sprintf("%s: has %d package doc comments, want one", dir, len(docs[dir])))
			continue
		}
		f := docs[dir][0]
		want := "Package " + f.tree.Name.Name + " "
		if f.tree.Name.Name == "main" {
			want = "Command " + path.Base(dir) + " "
		}
		if !strings.HasPrefix(f.tree.Doc.Text(), want) {
			problems = append(problems, fmt.Sprintf("%s: the package doc comment does not begin with %q", f.path, want))
		}
	}
	return problems
}

func unlicensed(files []goFile) []string {
	return each(files, func(f goFile) []string {
		if f.generated || strings.HasPrefix(f.text, license) {
			return nil
		}
		return []string{f.path + ": does not begin with the two SPDX lines"}
	})
}

// initFunctions: what happens at start stands in main, where it can be read.
func initFunctions(files []goFile) []string {
	return each(files, func(f goFile) (problems []string) {
		for _, declared := range f.tree.Decls {
			if function, ok := declared.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.Name == "init" && !f.generated {
				problems = append(problems, fmt.Sprintf("%s:%d: init()", f.path, f.line(function.Pos())))
			}
		}
		return problems
	})
}

func longFiles(files []goFile) []string {
	return each(files, func(f goFile) []string {
		if lines := strings.Count(f.text, "\n"); lines > maxLines && !f.test && !f.generated {
			return []string{fmt.Sprintf("%s: has %d lines, want at most %d", f.path, lines, maxLines)}
		}
		return nil
	})
}

func inAttics(files []goFile) []string {
	return each(files, func(f goFile) []string {
		names := append(strings.Split(strings.TrimSuffix(f.path, ".go"), "/"), f.tree.Name.Name)
		for _, name := range names {
			if slices.Contains(attics, strings.TrimSuffix(name, "_test")) {
				return []string{fmt.Sprintf("%s: %q says nothing of what is in it", f.path, name)}
			}
		}
		return nil
	})
}

// sleeps: a test that sleeps is slow on a good day and fails on a bad one; other code has a context to watch.
func sleeps(files []goFile) []string { return calls(files, "time", "Sleep") }

// skips: what does not run does not count as passed.
func skips(files []goFile) []string {
	var problems []string
	for _, t := range []string{"t", "f", "b", "tb"} {
		for _, skip := range []string{"Skip", "Skipf", "SkipNow"} {
			problems = append(problems, calls(files, t, skip)...)
		}
	}
	return problems
}

// calls returns every use of a name as a selector of another, such as time.Sleep.
func calls(files []goFile, of, name string) []string {
	return each(files, func(f goFile) (problems []string) {
		ast.Inspect(f.tree, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok || selector.Sel.Name != name {
				return true
			}
			if x, ok := selector.X.(*ast.Ident); ok && x.Name == of {
				problems = append(problems, fmt.Sprintf("%s:%d: %s.%s", f.path, f.line(n.Pos()), of, name))
			}
			return true
		})
		return problems
	})
}

// buildTags: one tree, of which everything is built and tested everywhere.
func buildTags(files []goFile) []string {
	return each(files, func(f goFile) (problems []string) {
		for _, group := range f.tree.Comments {
			for _, comment := range group.List {
				if strings.HasPrefix(comment.Text, "//go:build") || strings.HasPrefix(comment.Text, "// +build") {
					problems = append(problems, fmt.Sprintf("%s:%d: build tag", f.path, f.line(comment.Pos())))
				}
			}
		}
		return problems
	})
}

// blankImports: what a package does stands in a call and not in that it was imported.
func blankImports(files []goFile) []string {
	return each(files, func(f goFile) (problems []string) {
		for _, i := range f.imports() {
			if i.name == "_" && !f.test && !f.generated {
				problems = append(problems, fmt.Sprintf("%s:%d: blank import of %s", f.path, i.line, i.path))
			}
		}
		return problems
	})
}

func each(files []goFile, check func(goFile) []string) []string {
	var problems []string
	for _, f := range files {
		problems = append(problems, check(f)...)
	}
	return problems
}

// A plug-in is one folder and one line in an explicit list.
func TestPluginsAreListed(t *testing.T) {
	files := readTree(t)
	for _, c := range []struct{ list, folder string }{
		{"services/collector/sources.go", "services/collector/source"},
		{"services/notifier/receivers.go", "services/notifier/receiver"},
	} {
		for _, problem := range unlisted(files, c.list, c.folder) {
			t.Error(problem)
		}
	}
	for _, problem := range unasked(files) {
		t.Error(problem)
	}
}

// unlisted compares the folders of plug-ins with the map literal of the file that lists them: one entry a folder, whose
// key is the folder's name but for "_" and whose value uses its package.
func unlisted(files []goFile, list, folder string) []string {
	folders := map[string]bool{}
	entries := map[string]int{}
	for _, f := range files {
		if name, inside := strings.CutPrefix(f.dir(), folder+"/"); inside && !strings.Contains(name, "/") {
			folders[name] = true
		}
		if f.path == list {
			ast.Inspect(f.tree, func(n ast.Node) bool {
				if entry, ok := n.(*ast.KeyValueExpr); ok {
					if key, ok := entry.Key.(*ast.BasicLit); ok && key.Kind == token.STRING {
						name, _ := strconv.Unquote(key.Value) // parsed, so it is one
						if name = strings.ReplaceAll(name, "_", ""); uses(entry.Value, name) {
							entries[name]++
						}
					}
				}
				return true
			})
		}
	}
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		if entries[name] != 1 {
			problems = append(problems, fmt.Sprintf("%s/%s: has %d entries in %s, want one, named like the folder and made by its package", folder, name, entries[name], list))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if !folders[name] {
			problems = append(problems, fmt.Sprintf("%s: lists %q, and there is no folder %s/%s", list, name, folder, name))
		}
	}
	return problems
}

// uses is whether an expression names something of a package.
func uses(expression ast.Node, name string) (found bool) {
	ast.Inspect(expression, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && x.Name == name {
				found = true
			}
		}
		return true
	})
	return found
}

// declaresConst is whether a file has a constant of that text.
func declaresConst(f goFile, text string) bool {
	for _, declared := range f.tree.Decls {
		general, ok := declared.(*ast.GenDecl)
		if !ok || general.Tok != token.CONST {
			continue
		}
		for _, spec := range general.Specs {
			if values, ok := spec.(*ast.ValueSpec); ok {
				for _, value := range values.Values {
					if literal, ok := value.(*ast.BasicLit); ok && literal.Value == strconv.Quote(text) {
						return true
					}
				}
			}
		}
	}
	return false
}

// unasked compares the files of detections with All: file, id and variable are one word in two casings.
func unasked(files []goFile) []string {
	const folder, list = "services/evaluator/detection", "services/evaluator/detection/detection.go"
	asked := map[string]bool{}
	var problems []string
	for _, f := range files {
		if f.path != list {
			continue
		}
		for _, declared := range f.tree.Decls {
			if function, ok := declared.(*ast.FuncDecl); ok && function.Name.Name == "All" {
				ast.Inspect(function.Body, func(n ast.Node) bool {
					if literal, ok := n.(*ast.CompositeLit); ok {
						for _, element := range literal.Elts {
							if variable, ok := element.(*ast.Ident); ok {
								asked[variable.Name] = true
							}
						}
					}
					return true
				})
			}
		}
	}
	for _, f := range files {
		if f.dir() != folder || f.test || f.path == list {
			continue
		}
		id := strings.TrimSuffix(path.Base(f.path), ".go")
		variable := camel(id)
		if declaresConst(f, id) {
			continue // it is no question to each event: who asks it calls it by name
		}
		if !asked[variable] {
			problems = append(problems, fmt.Sprintf("%s: All has no %s", f.path, variable))
		}
		if !strings.Contains(f.text, fmt.Sprintf("%q", id)) {
			problems = append(problems, fmt.Sprintf("%s: does not hold the id %q", f.path, id))
		}
		delete(asked, variable)
	}
	for _, variable := range slices.Sorted(maps.Keys(asked)) {
		problems = append(problems, fmt.Sprintf("%s: All lists %s, which has no file of its name", list, variable))
	}
	return problems
}

// camel is snake_case as a variable.
func camel(snake string) string {
	parts := strings.Split(snake, "_")
	for i := 1; i < len(parts); i++ {
		if parts[i] != "" {
			parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
		}
	}
	return strings.Join(parts, "")
}

// Each rule stops what it is there to stop.
func TestHouseRulesBite(t *testing.T) {
	for _, c := range []struct {
		rule, file, text, want string
	}{
		{"package docs", "internal/x/x.go", "package x", "has 0 package doc comments"},
		{"package docs", "internal/x/x.go", "// Well, x.\npackage x", `"Package x "`},
		{"package docs", "cmd/x/main.go", "// Package main is x.\npackage main", `"Command x "`},
		{"license", "internal/x/x.go", "// Copyright somebody\n\npackage x", "SPDX"},
		{"license", "internal/x/x_test.go", "package x", "SPDX"},
		{"no init", "internal/x/x.go", "package x\nfunc init() {}", "x.go:2"},
		{"file sizes", "internal/x/x.go", "package x\n" + strings.Repeat("\n", maxLines), "401 lines"},
		{"no attics", "internal/util/x.go", "package util", `"util"`},
		{"no attics", "internal/x/helpers.go", "package x", `"helpers"`},
		{"no attics", "internal/x/helpers_test.go", "package x", `"helpers_test"`},
		{"no sleep", "internal/x/x_test.go", "package x\nimport \"time\"\nfunc f() {\n\ttime.Sleep(1)\n}", "x_test.go:4"},
		{"no skip", "internal/x/x_test.go", "package x\nimport \"testing\"\nfunc TestX(t *testing.T) {\n\tt.Skip()\n}", "x_test.go:4"},
		{"no build tags", "internal/x/x.go", "//go:build integration\n\npackage x", "x.go:1"},
		{"no blank imports", "internal/x/x.go", "package x\nimport _ \"embed\"", "embed"},
	} {
		got := houseRules[c.rule]([]goFile{parseGo(t, c.file, c.text)})
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s of %s: got %q, want one problem that says %q", c.rule, c.file, got, c.want)
		}
	}
	good := []goFile{
		parseGo(t, "internal/x/x.go", license+"\n// Package x is an example.\npackage x\n"),
		parseGo(t, "internal/x/y.go", license+"\npackage x\n\ntype t struct{}\n\nfunc (t) init() {}\n"),
		parseGo(t, "internal/x/x_test.go", license+"\npackage x_test\n\nimport _ \"embed\"\n"+strings.Repeat("\n", maxLines)),
		parseGo(t, "proto/x/x.pb.go", "package x\nfunc init() {}\n"+strings.Repeat("\n", maxLines)),
	}
	for name, rule := range houseRules {
		if got := rule(good); len(got) > 0 {
			t.Errorf("%s: got %q, want no problem", name, got)
		}
	}
}

func TestListsBite(t *testing.T) {
	const list = "services/collector/sources.go"
	sources := func(entry string) goFile {
		return parseGo(t, list, "package collector\nvar all = map[string]plugin{"+entry+"}")
	}
	zoom := parseGo(t, "services/collector/source/zoom/zoom.go", "package zoom")
	for _, c := range []struct{ entry, want string }{
		{``, "has 0 entries"},
		{`"zoom": {decode: okta.Decode}`, "has 0 entries"},
		{`"zoom": {decode: zoom.Decode}, "zo_om": {decode: zoom.Decode}`, "has 2 entries"},
		{`"zoom": {decode: zoom.Decode}, "gone": {decode: gone.Decode}`, "no folder"},
	} {
		got := unlisted([]goFile{sources(c.entry), zoom}, list, "services/collector/source")
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s: got %q, want one problem that says %q", c.entry, got, c.want)
		}
	}
	if got := unlisted([]goFile{sources(`"zo_om": {decode: zoom.Decode}`), zoom}, list, "services/collector/source"); len(got) > 0 {
		t.Errorf("got %q, want no problem", got)
	}

	const folder = "services/evaluator/detection/"
	all := parseGo(t, folder+"detection.go", "package detection\nfunc All() []Detection { return []Detection{oddHour} }")
	for _, c := range []struct {
		file, text string
		want       []string
	}{
		{"odd_hour.go", `var oddHour = Detection{ID: "odd_hour"}`, nil},
		{"seen_late.go", `const SeenLate = "seen_late"`, []string{"no file of its name"}},
		{"odd_hour.go", `var oddHour = Detection{ID: "other"}`, []string{"does not hold the id"}},
		{"new_country.go", `var newCountry = Detection{ID: "new_country"}`, []string{"All has no newCountry", "no file of its name"}},
	} {
		got := unasked([]goFile{all, parseGo(t, folder+c.file, "package detection\n"+c.text)})
		if !slices.EqualFunc(got, c.want, strings.Contains) {
			t.Errorf("%s %s: got %q, want %q", c.file, c.text, got, c.want)
		}
	}
}
