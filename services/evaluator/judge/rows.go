// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

// row is one row of policy.csv.
type row struct {
	kind   string // "p" or "g"
	fields []string
	line   int
	shown  atomic.Pointer[curfewv1.Row]
}

func (r *row) text() string { return r.kind + ", " + strings.Join(r.fields, ", ") }

// message is the row as records show it. It must not be changed.
func (r *row) message() *curfewv1.Row {
	if shown := r.shown.Load(); shown != nil {
		return shown
	}
	shown := &curfewv1.Row{Text: r.text(), File: policyFile, Line: uint32(r.line)}
	r.shown.Store(shown)
	return shown
}

// named is the groups, roles and scopes of one source's inventory that the policy speaks of.
type named struct {
	source, kind string
	names        []string
}

// kinds of names that inventories decide on, and the inventory.
var inventoried = map[string]string{"group": "memberships", "privilege": "roles", "scope": "apps"}

// subjectKinds are the kinds of those whose acts are judged, kindRoles the role that each of a kind holds.
var (
	subjectKinds = []string{"person", "app", "service", "unknown"}
	kindRoles    = map[string]string{"person": "role:person", "app": "role:app", "service": "role:service", "unknown": "role:unknown"}
)

// readRows reads policy.csv. Casbin's own reader loses the line numbers, and drops a row whose fields, joined by commas,
// read like another's: here both are refused.
func readRows(content []byte) ([]*row, error) {
	reader := csv.NewReader(bytes.NewReader(content))
	reader.Comment, reader.FieldsPerRecord, reader.TrimLeadingSpace = '#', -1, true
	lines := bytes.Count(content, []byte{'\n'})
	rows := make([]*row, 0, lines)
	seen := make(map[string]int, lines)
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
		r := &row{kind: fields[0], fields: fields[1:], line: line}
		if r.kind != "p" && r.kind != "g" {
			return nil, fmt.Errorf("read %s: line %d: row begins with %q; a row is \"p, ...\" (who may do what) or \"g, ...\" (who holds which role)", policyFile, line, r.kind)
		}
		text := r.text()
		if first, twice := seen[text]; twice {
			return nil, fmt.Errorf("read %s: line %d: the row stands on line %d already; delete one", policyFile, line, first)
		}
		seen[text] = line
		rows = append(rows, r)
	}
}

// takeRows makes the enforcer of the p rows and links of the g rows.
func (p *Policy) takeRows(model string, rows []*row) error {
	asked := make([]enforcer.Row, 0, len(rows))
	for _, r := range rows {
		if r.kind == "p" {
			p.rows = append(p.rows, r)
			asked = append(asked, enforcer.Row{Fields: r.fields, Line: r.line})
		}
	}
	if len(asked) == 0 {
		return fmt.Errorf("read %s: it has no p row, so it would allow nothing at all; see `deploy/example/policy`", policyFile)
	}
	var err error
	p.enforcer, err = enforcer.New(model, asked, map[string]func(a, b string) bool{"g2": p.classes.within})
	var wrong *enforcer.RowError
	if errors.As(err, &wrong) {
		return fmt.Errorf("read %s: %w", policyFile, err)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", modelFile, err)
	}
	p.links = make(map[string][]temporal.Link, len(rows)-len(asked))
	for _, r := range rows {
		if err := p.checkRow(r); err != nil {
			return fmt.Errorf("read %s: line %d: %w", policyFile, r.line, err)
		}
		if r.kind != "g" {
			continue
		}
		l, err := p.readLink(r)
		if err != nil {
			return fmt.Errorf("read %s: line %d: %w", policyFile, r.line, err)
		}
		links := p.links[r.fields[0]]
		if links == nil {
			links = make([]temporal.Link, 0, 2) // most hold one thing, and what their kind implies
		}
		p.links[r.fields[0]] = append(links, l)
	}
	for holder, links := range p.links {
		if l, ok := implied(holder); ok {
			p.links[holder] = append(links, l)
		}
	}
	for _, kind := range subjectKinds {
		everyone, _ := implied(kind + ":")
		p.implied[kind] = []temporal.Link{everyone}
		if role := "role:" + kind; p.links[role] == nil {
			anyone, _ := implied(role)
			p.links[role] = []temporal.Link{anyone}
		}
	}
	p.name(rows)
	return nil
}

// implied is the link to the role that every subject of a kind holds without a row.
func implied(holder string) (l temporal.Link, ok bool) {
	l = temporal.Link{From: temporal.Start, Until: temporal.End, Known: temporal.Start, Origin: "implied"}
	kind, id, _ := strings.Cut(holder, ":")
	switch role, subject := kindRoles[kind]; {
	case subject:
		l.Held = role
	case kind == "role" && kindRoles[id] != "":
		l.Held = "role:anyone"
	default:
		return l, false
	}
	return l, true
}

// Links is what a holder holds by the policy: its g rows, and what its kind implies.
func (p *Policy) Links(holder string) []temporal.Link {
	if links, stated := p.links[holder]; stated {
		return links
	}
	kind, _, _ := strings.Cut(holder, ":")
	return p.implied[kind]
}

// checkRow refuses what a row cannot mean: a person named like a role must not hold it, and a mistyped deny would load
// and deny nothing.
func (p *Policy) checkRow(r *row) error {
	if r.kind == "g" {
		return p.checkSubject(r.fields[0])
	}
	for i, column := range p.enforcer.Columns() {
		value := r.fields[i]
		known, what := true, ""
		switch column {
		case "sub":
			if err := p.checkSubject(value); err != nil {
				return err
			}
		case "eft":
			known, what = value == "allow" || value == "deny", "effect; it is allow or deny"
		case "act":
			known = value == "*" || slices.Contains(catalog.Acts(), value)
			what = "act; there are " + strings.Join(catalog.Acts(), " ") + " and *"
		case "class":
			_, known = p.classes.byID[value]
			known = known || value == "*" || value == "level:low" || value == "level:high"
			what = "class; it is neither in the catalogue nor in " + classesFile
		case "obj", "dom":
			indexed, _ := p.enforcer.Indexed()
			if star := strings.IndexByte(value, '*'); indexed && star >= 0 && star != len(value)-1 {
				return fmt.Errorf("%q: Casbin's keyMatch takes everything behind a * for granted, so it can only stand at the end", value)
			}
		}
		if !known {
			return fmt.Errorf("%q is no %s", value, what)
		}
	}
	return nil
}

func (p *Policy) checkSubject(subject string) error {
	if !IsTyped(subject) {
		return fmt.Errorf("%q has no type; write person:, app:, service:, unknown:, role:, group:, privilege: or scope: in front (everybody is role:anyone)", subject)
	}
	if id, person := strings.CutPrefix(subject, "person:"); person && p.identities.given && !p.identities.knows(id) {
		return fmt.Errorf("nobody in %s has the id %q", identitiesFile, id)
	}
	return nil
}

// readLink reads a g row: who, which role, the domain where the model has one, and from when until when if not always.
func (p *Policy) readLink(r *row) (temporal.Link, error) {
	var none temporal.Link
	fields, want := 2, "two fields, who and which role"
	if p.enforcer.Domains() {
		fields, want = 3, "three fields, who, which role and the domain"
	}
	if len(r.fields) != fields && len(r.fields) != fields+2 {
		return none, fmt.Errorf("a g row has %s, and from when until when if it is not for ever; this one has %d", want, len(r.fields))
	}
	if !strings.HasPrefix(r.fields[1], "role:") {
		return none, fmt.Errorf("%q is no role; the second field of a g row begins with \"role:\"", r.fields[1])
	}
	l := temporal.Link{
		Held: r.fields[1], From: temporal.Start, Until: temporal.End, Known: temporal.Start, Origin: policyFile + ":" + strconv.Itoa(r.line),
	}
	if p.enforcer.Domains() {
		l.Dom = r.fields[2]
		switch star := strings.IndexByte(l.Dom, '*'); {
		case !p.enforcer.PatternDomains() || star < 0:
		case l.Dom == "*":
			l.Dom = "" // every one
		default:
			return none, fmt.Errorf("domain %q: Casbin takes it for a pattern; write one domain, or * for every one", l.Dom)
		}
	}
	if len(r.fields) == fields {
		return l, nil
	}
	for i, bound := range []*int64{&l.From, &l.Until} {
		text := r.fields[fields+i]
		if text == "_" {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return none, fmt.Errorf("%q is no time; write 2026-11-02T09:00:00Z, or _ for no bound", text)
		}
		*bound = temporal.Nanos(at)
	}
	if l.From >= l.Until {
		return none, fmt.Errorf("the row ends at %s and begins at %s", r.fields[fields+1], r.fields[fields])
	}
	return l, nil
}

// name gathers what of inventories the rows speak of.
func (p *Policy) name(rows []*row) {
	column := slices.Index(p.enforcer.Columns(), "sub")
	seen := map[string]bool{}
	for _, r := range rows {
		name := r.fields[0]
		if r.kind == "p" {
			if column < 0 {
				continue
			}
			name = r.fields[column]
		}
		kind, id, _ := strings.Cut(name, ":")
		source, _, _ := strings.Cut(id, "/")
		if inventoried[kind] == "" || seen[name] {
			continue
		}
		seen[name] = true
		at := slices.IndexFunc(p.named, func(n named) bool { return n.source == source && n.kind == inventoried[kind] })
		if at < 0 {
			at = len(p.named)
			p.named = append(p.named, named{source: source, kind: inventoried[kind]})
		}
		p.named[at].names = append(p.named[at].names, name)
	}
}

// IsTyped is whether a name says what kind of thing it is: "person:ann", "role:staff" ...
func IsTyped(name string) bool {
	kind, id, found := strings.Cut(name, ":")
	return found && id != "" && (slices.Contains(subjectKinds, kind) || kind == "role" || inventoried[kind] != "")
}
