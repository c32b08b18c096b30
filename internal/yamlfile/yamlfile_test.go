// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package yamlfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/yamlfile"
)

type file struct {
	Name  string                      `yaml:"name"`
	List  []struct{ A, B int }        `yaml:"list"`
	Map   map[string]struct{ X bool } `yaml:"map"`
	Parts map[string]yamlfile.Section `yaml:"parts"`
	After time.Duration               `yaml:"after"`
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"sound", "name: x\nlist: [{a: 1, b: 2}]\nmap: {k: {x: true}}\n", ""},
		{"empty", "", ""},
		{"only comments", "# nothing\n", ""},
		{"unknown key", "name: x\nnmae: y\n", `read f.yaml: line 2: unknown key "nmae"; known here: after, list, map, name, parts`},
		{"unknown key in a list", "list:\n  - {a: 1}\n  - {c: 1}\n", `line 3: unknown key "c"; known here: a, b`},
		{"unknown key in a map", "map: {k: {y: 1}}\n", `unknown key "y"; known here: x`},
		{"key twice", "name: x\nname: y\n", `"name" already defined at line 1`},
		{"wrong type", "list: {a: b}\n", "cannot unmarshal !!map into"},
		{"not YAML", "name: [\n", "read f.yaml: line"},
		{"two documents", "name: x\n---\nname: y\n", "a second YAML document"},
		{"a list for a length", "after: [1h]\n", "is no length of time"},
		{"alias", "map: {k: &k {x: true}, l: *k}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var into file
			err := yamlfile.Decode("f.yaml", []byte(c.text), &into)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestLengths(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration // negative = refused
	}{
		{"15m", 15 * time.Minute}, {"1h30m", 90 * time.Minute}, {"7d", 7 * 24 * time.Hour}, {"\"1d\"", 24 * time.Hour}, {"0", 0}, {"", 0},
		{"10", -1}, {"1.5d", -1}, {"d", -1}, {"99999d", -1}, {"soon", -1}, {"true", -1},
		{"&a 2d\nmap: {}", 48 * time.Hour},
	} {
		var into file
		err := yamlfile.Decode("f.yaml", []byte("after: "+c.in+"\n"), &into)
		if c.want < 0 && (err == nil || !strings.Contains(err.Error(), "line 1: \""+c.in+"\" is no length of time; write it with its unit")) {
			t.Errorf("%s: got %v, %v, want a refusal that names it", c.in, into.After, err)
		}
		if c.want >= 0 && (err != nil || into.After != c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.in, into.After, err, c.want)
		}
	}
}

func TestSections(t *testing.T) {
	var into file
	if err := yamlfile.Decode("f.yaml", []byte("parts:\n  okta: {url: x, interval: 5s}\n  none:\n"), &into); err != nil {
		t.Fatal(err)
	}
	section := into.Parts["okta"].Named("f.yaml")
	var ours struct{ Interval time.Duration }
	rest, err := section.Split(&ours)
	if err != nil || ours.Interval != 5*time.Second {
		t.Fatalf("got %v, %v", ours, err)
	}
	var theirs struct{ URL string }
	if err := rest.Decode(&theirs); err != nil || theirs.URL != "x" {
		t.Fatalf("got %v, %v", theirs, err)
	}
	var wrong struct{ Address string }
	if err := rest.Decode(&wrong); err == nil || !strings.Contains(err.Error(), `read f.yaml: line 2: unknown key "url"`) {
		t.Errorf("got %v", err)
	}
	for _, empty := range []yamlfile.Section{into.Parts["none"], {}} {
		if rest, err := empty.Split(&ours); err != nil || rest.Decode(&theirs) != nil || empty.Line() > 3 {
			t.Errorf("an empty section: got %v", err)
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := yamlfile.Read(path, new(file)); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: got %v", err)
	}
	if err := os.WriteFile(path, []byte("name: x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var into file
	if err := yamlfile.Read(path, &into); err != nil || into.Name != "x" {
		t.Errorf("got %+v, %v", into, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range []string{"name: x", "list: [{a: 1}]", "parts: {a: {b: c}}", "&a [*a]", "? {a: b}", "<<: {name: x}"} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		var into file
		if yamlfile.Decode("f.yaml", []byte(text), &into) == nil {
			for _, section := range into.Parts {
				var any file
				_ = section.Decode(&any) // must not panic
			}
		}
	})
}
