// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package judge decides one event: by the policy in force at the event's own time, over the links that held then.
package judge

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/temporal"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

//go:embed standard/model.conf standard/policy.csv
var standard embed.FS

// The files of a policy folder. Only policy.csv must be there.
const (
	modelFile      = "model.conf"
	policyFile     = "policy.csv"
	identitiesFile = "identities.yaml"
	classesFile    = "classes.yaml"
	catalogFile    = "catalog.yaml"
	grantsFile     = "grants.yaml"
	onCallFile     = "oncall.yaml"
)

// Files is the names of the files of a policy folder.
func Files() []string {
	return []string{modelFile, policyFile, identitiesFile, classesFile, catalogFile, grantsFile, onCallFile}
}

// Policy is one whole state of the policy: who may do what to which data, who is who, and which object holds which
// data. It is immutable and safe for concurrent use.
type Policy struct {
	digest     string
	files      map[string][]byte
	catalog    *catalog.Catalog
	identities *identities
	classes    *classes
	enforcer   *enforcer.Enforcer
	rows       []*row                     // p rows, as the enforcer numbers them
	links      map[string][]temporal.Link // g rows by holder, with what is implied
	implied    map[string][]temporal.Link // by kind, for those without g rows
	named      []named
	grants     *grants

	outlining, listing sync.Once
	outlined           *outline // made when it is first asked for
	listed             []string // as above: the sensitive classes
}

// ReadPolicy reads a policy folder. Every error names the file, and the line where there is one.
func ReadPolicy(dir string, cat *catalog.Catalog) (*Policy, error) {
	files, err := ReadFiles(dir)
	if err != nil {
		return nil, err
	}
	return NewPolicy(files, cat)
}

// StandardPolicy is the policy that is in force while none is configured.
func StandardPolicy(cat *catalog.Catalog) (*Policy, error) {
	rows, err := standard.ReadFile("standard/" + policyFile)
	if err != nil {
		return nil, err
	}
	return NewPolicy(map[string][]byte{policyFile: rows}, cat)
}

// ReadFiles reads the files of a policy folder by their names.
func ReadFiles(dir string) (map[string][]byte, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("read policy folder %s: there is no such folder", dir)
	}
	files := map[string][]byte{}
	for _, name := range Files() {
		content, err := readFile(filepath.Join(dir, name))
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

// maxFile bounds a file of a policy, in bytes: 110,000 rows are about 5 MB.
const maxFile = 64 << 20

// readFile reads a file that is one: what a pipe or a device gives has no end.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d bytes; a file of a policy may have %d", name, info.Size(), maxFile)
	}
	content, err := os.ReadFile(name)
	return bytes.TrimPrefix(content, []byte("\ufeff")), err // a byte order mark is no part of the first row
}

// NewPolicy makes a policy of its files, by their names. Every error names the file, and the line where there is one.
func NewPolicy(files map[string][]byte, cat *catalog.Catalog) (*Policy, error) {
	files = maps.Clone(files)
	for name := range files {
		if !slices.Contains(Files(), name) {
			return nil, fmt.Errorf("read policy: it has a file %q, which is none of %s", name, strings.Join(Files(), ", "))
		}
	}
	if _, set := files[modelFile]; !set {
		model, err := standard.ReadFile("standard/" + modelFile)
		if err != nil {
			return nil, err
		}
		files[modelFile] = model
	}
	p := &Policy{files: files, digest: digestFiles(files), implied: map[string][]temporal.Link{}}
	rows, err := readRows(files[policyFile])
	if err != nil {
		return nil, err
	}
	if p.identities, err = readIdentities(files[identitiesFile]); err != nil {
		return nil, err
	}
	if p.classes, err = readClasses(files[classesFile], files[catalogFile], cat); err != nil {
		return nil, err
	}
	p.catalog = p.classes.catalog
	if err := p.readGrants(files[grantsFile], files[onCallFile]); err != nil {
		return nil, err
	}
	return p, p.takeRows(string(files[modelFile]), rows)
}

// Files is the policy's files by name. They must not be changed.
func (p *Policy) Files() map[string][]byte { return p.files }

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
