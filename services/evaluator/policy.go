// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

//go:embed standard/model.conf standard/policy.csv
var standard embed.FS

// The files of a policy folder. Only policy.csv must be there.
const (
	modelFile      = "model.conf"
	policyFile     = "policy.csv"
	identitiesFile = "identities.yaml"
	classesFile    = "classes.yaml"
)

// Policy is one whole state of the policy: who may do what to which data, who is who, and which object holds which
// data. It is immutable and safe for concurrent use.
type Policy struct {
	digest     string
	files      map[string][]byte
	catalog    *catalog.Catalog
	identities *identities
	classes    *classes
	enforcer   *enforcer
	rows       []row
}

// row is one row of policy.csv.
type row struct {
	kind   string // "p" or "g"
	fields []string
	line   int
}

func (r row) text() string { return r.kind + ", " + strings.Join(r.fields, ", ") }

func (r row) message() *curfewv1.Row {
	return &curfewv1.Row{Text: r.text(), File: policyFile, Line: uint32(r.line)}
}

// ReadPolicy reads a policy folder. Every error names the file, and the line where there is one.
func ReadPolicy(dir string, cat *catalog.Catalog) (*Policy, error) {
	files, err := readPolicyFiles(dir)
	if err != nil {
		return nil, err
	}
	return newPolicy(files, cat)
}

// StandardPolicy is the policy that is in force while none is configured.
func StandardPolicy(cat *catalog.Catalog) (*Policy, error) {
	rows, err := standard.ReadFile("standard/" + policyFile)
	if err != nil {
		return nil, err
	}
	return newPolicy(map[string][]byte{policyFile: rows}, cat)
}

func readPolicyFiles(dir string) (map[string][]byte, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("read policy folder %s: there is no such folder", dir)
	}
	files := map[string][]byte{}
	for _, name := range []string{modelFile, policyFile, identitiesFile, classesFile} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) && name != policyFile {
			continue
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read policy folder %s: there is no %s in it; `deploy/example/policy` is one to start from", dir, policyFile)
		}
		if err != nil {
			return nil, fmt.Errorf("read policy folder: %w", err)
		}
		files[name] = content
	}
	return files, nil
}

// newPolicy makes a policy of its files.
func newPolicy(files map[string][]byte, cat *catalog.Catalog) (*Policy, error) {
	files = maps.Clone(files)
	if _, set := files[modelFile]; !set {
		model, err := standard.ReadFile("standard/" + modelFile)
		if err != nil {
			return nil, err
		}
		files[modelFile] = model
	}
	p := &Policy{files: files, digest: digestFiles(files), catalog: cat}
	var err error
	if p.rows, err = readRows(files[policyFile]); err != nil {
		return nil, err
	}
	if p.identities, err = readIdentities(files[identitiesFile]); err != nil {
		return nil, err
	}
	if p.classes, err = readClasses(files[classesFile], cat); err != nil {
		return nil, err
	}
	if err := p.checkRows(); err != nil {
		return nil, err
	}
	p.enforcer, err = newEnforcer(string(files[modelFile]), p.rows, p.classes)
	return p, err
}

// Digest is the hex SHA-256 over the names and contents of the policy's files.
func (p *Policy) Digest() string { return p.digest }

func digestFiles(files map[string][]byte) string {
	hash := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(hash, "%d:%s,%d:", len(name), name, len(files[name]))
		hash.Write(files[name])
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// readRows reads policy.csv. Casbin's own reader loses the line numbers, and drops a row whose fields, joined by commas,
// read like another's: here both are refused.
func readRows(content []byte) ([]row, error) {
	reader := csv.NewReader(bytes.NewReader(content))
	reader.Comment, reader.FieldsPerRecord, reader.TrimLeadingSpace = '#', -1, true
	var rows []row
	seen := map[string]int{}
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", policyFile, err)
		}
		line, _ := reader.FieldPos(0)
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
			if strings.Contains(fields[i], ",") {
				return nil, fmt.Errorf("read %s: line %d: field %q holds a comma, which Casbin cannot tell from two fields; write %%2C", policyFile, line, fields[i])
			}
		}
		r := row{kind: fields[0], fields: fields[1:], line: line}
		if r.kind != "p" && r.kind != "g" {
			return nil, fmt.Errorf("read %s: line %d: row begins with %q; a row is \"p, ...\" (who may do what) or \"g, ...\" (who holds which role)", policyFile, line, r.kind)
		}
		if first, twice := seen[r.text()]; twice {
			return nil, fmt.Errorf("read %s: line %d: the row stands on line %d already; delete one", policyFile, line, first)
		}
		seen[r.text()] = line
		rows = append(rows, r)
	}
}

// checkRows holds the subjects of every row to the typed names: a person named like a role must not hold it.
func (p *Policy) checkRows() error {
	any := false
	for _, r := range p.rows {
		any = any || r.kind == "p"
		subjects := r.fields
		if r.kind == "p" && len(subjects) > 0 {
			subjects = subjects[:1]
		}
		if r.kind == "g" && len(subjects) > 2 {
			subjects = subjects[:2]
		}
		for i, subject := range subjects {
			if !isTyped(subject) {
				return fmt.Errorf("read %s: line %d: %q has no type; write person:, app:, service:, unknown: or role: in front (everybody is role:anyone)", policyFile, r.line, subject)
			}
			if r.kind == "g" && i == 1 && !strings.HasPrefix(subject, "role:") {
				return fmt.Errorf("read %s: line %d: %q is no role; the second field of a g row begins with \"role:\"", policyFile, r.line, subject)
			}
			if id, person := strings.CutPrefix(subject, "person:"); person && p.identities.stated && !p.identities.knows(id) {
				return fmt.Errorf("read %s: line %d: nobody in %s has the id %q", policyFile, r.line, identitiesFile, id)
			}
		}
		if r.kind == "g" && len(r.fields) != 2 {
			return fmt.Errorf("read %s: line %d: a g row has two fields, who and which role; this one has %d", policyFile, r.line, len(r.fields))
		}
	}
	if !any {
		return fmt.Errorf("read %s: it has no p row, so it would allow nothing at all; see `deploy/example/policy`", policyFile)
	}
	return nil
}

func isTyped(subject string) bool {
	kind, name, found := strings.Cut(subject, ":")
	return found && name != "" && slices.Contains([]string{"person", "app", "service", "unknown", "role"}, kind)
}
