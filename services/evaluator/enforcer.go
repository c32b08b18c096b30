// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxHops is how far a role reaches through roles, as in Casbin's own role manager.
const maxHops = 10

// enforcer asks Casbin. Roles and class parents are answered by us (the model's g sections are taken out and g and g2
// registered as functions): Casbin's role manager knows no time, keeps a memo without bound for each subject it has
// seen, and gives a subject the role it is named like. It is safe for concurrent use.
type enforcer struct {
	all        *casbin.Enforcer      // holds every row
	few        chan *casbin.Enforcer // each holds the rows picked for one request
	build      func(rows [][]string) (*casbin.Enforcer, error)
	candidates *candidates // nil: every row is tried
	none       bool        // the decision where no row matches
	request    []string    // the model's request tokens, in order
	classed    bool        // the request has a class
	rows       map[string]row
	roles      roles
}

// request is one question to the policy.
type request struct {
	sub, dom, obj, class, act string
}

// field is the value of a request token of the model.
func (q request) field(name string) string {
	switch name {
	case "sub":
		return q.sub
	case "dom":
		return q.dom
	case "obj":
		return q.obj
	case "class":
		return q.class
	default:
		return q.act
	}
}

// roles is who holds what by the g rows.
type roles struct {
	rows map[string][]row           // by holder
	held map[string]map[string]bool // everything a holder of g rows, or a kind's implied role, holds
	list map[string][]string        // the same, sorted
}

func newRoles(rows []row) roles {
	r := roles{rows: map[string][]row{}, held: map[string]map[string]bool{}, list: map[string][]string{}}
	for _, g := range rows {
		if g.kind == "g" {
			r.rows[g.fields[0]] = append(r.rows[g.fields[0]], g)
		}
	}
	for holder := range r.rows {
		r.held[holder] = r.all(holder)
	}
	for _, kind := range []string{"person", "app", "service", "unknown"} {
		role := "role:" + kind
		r.held[role] = r.all(role)
		r.held[role][role] = true
	}
	for holder, held := range r.held {
		r.list[holder] = slices.Sorted(maps.Keys(held))
	}
	return r
}

// everything is the subject and all that it holds, each once.
func (r roles) everything(subject string) []string {
	held, known := r.list[subject]
	if !known {
		by, _ := implied(subject)
		held = r.list[by]
	}
	all := make([]string, 0, len(held)+1)
	all = append(all, held...)
	if !slices.Contains(all, subject) {
		all = append(all, subject)
	}
	return all
}

func (r roles) all(holder string) map[string]bool {
	all := map[string]bool{}
	r.walk(holder, func(link *curfewv1.Link, _ []*curfewv1.Link) bool {
		all[link.GetHeld()] = true
		return true
	})
	return all
}

func newEnforcer(modelText string, rows []row, classes *classes) (*enforcer, error) {
	m, err := model.NewModelFromString(modelText)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", modelFile, err)
	}
	e := &enforcer{rows: map[string]row{}, roles: newRoles(rows)}
	if err := e.takeRequest(m); err != nil {
		return nil, err
	}
	if strings.Contains(m["e"]["e"].Value, "subjectPriority") {
		return nil, fmt.Errorf("read %s: effect subjectPriority is not supported; use priority or deny overrides", modelFile)
	}
	arity := len(m["p"]["p"].Tokens)
	for _, r := range rows {
		if r.kind == "g" {
			continue
		}
		if len(r.fields) != arity {
			return nil, fmt.Errorf("read %s: line %d: a p row has %d fields (%s), this one has %d", policyFile, r.line, arity, fieldNames(m), len(r.fields))
		}
		if err := m.AddPolicy("p", "p", r.fields); err != nil {
			return nil, fmt.Errorf("read %s: line %d: %w", policyFile, r.line, err)
		}
		e.rows[strings.Join(r.fields, ",")] = r
	}
	if err := m.SortPoliciesByPriority(); err != nil {
		return nil, fmt.Errorf("sort %s by priority: %w", policyFile, err)
	}
	for name := range m["g"] {
		if name != "g" && name != "g2" {
			return nil, fmt.Errorf("read %s: role definition %q is not supported; g is who holds which role, g2 which class belongs to which", modelFile, name)
		}
	}
	delete(m, "g")
	build := func(rows [][]string) (*casbin.Enforcer, error) {
		own := m.Copy()
		own["p"]["p"].Policy = rows
		c, err := casbin.NewEnforcer(own)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", modelFile, err)
		}
		c.AddFunction("g", pairFunction("g", e.roles.holds))
		c.AddFunction("g2", pairFunction("g2", classes.within))
		return c, nil
	}
	if e.all, err = build(m["p"]["p"].Policy); err != nil {
		return nil, err
	}
	// A matcher that cannot be compiled is found here and not at the first event. A row that nothing matches shows what
	// the effect makes of no match.
	nothing := slices.Repeat([]string{"role:\x00"}, arity)
	bare, err := build([][]string{nothing})
	if err != nil {
		return nil, err
	}
	nobody := request{sub: "unknown:", dom: "-", obj: "-", class: catalog.Unclassified, act: "read"}
	if _, _, err := e.askAll(nobody); err != nil {
		return nil, fmt.Errorf("read %s: %w", modelFile, err)
	}
	if e.none, _, err = bare.EnforceEx(e.values(nobody)...); err != nil {
		return nil, fmt.Errorf("read %s: %w", modelFile, err)
	}
	e.candidates = newCandidates(m["m"]["m"].Value, m["p"]["p"].Tokens, m["p"]["p"].Policy, e.roles, classes)
	if err := e.checkFields(m["p"]["p"].Tokens, rows, classes); err != nil {
		return nil, err
	}
	e.build, e.few = build, make(chan *casbin.Enforcer, 2*runtime.GOMAXPROCS(0))
	return e, nil
}

// checkFields refuses what a row cannot mean: a mistyped deny would otherwise load, and deny nothing.
func (e *enforcer) checkFields(columns []string, rows []row, classes *classes) error {
	for _, r := range rows {
		if r.kind != "p" {
			continue
		}
		for i, value := range r.fields {
			known, what := true, ""
			switch columns[i] {
			case "p_eft":
				known, what = value == "allow" || value == "deny", "effect; it is allow or deny"
			case "p_act":
				known = value == "*" || slices.Contains(catalog.Acts(), value)
				what = "act; there are " + strings.Join(catalog.Acts(), " ") + " and *"
			case "p_class":
				_, known = classes.byID[value]
				known = known || value == "*" || value == "level:low" || value == "level:high"
				what = "class; it is neither in the catalogue nor in " + classesFile
			}
			if !known {
				return fmt.Errorf("read %s: line %d: %q is no %s", policyFile, r.line, value, what)
			}
		}
		if e.candidates == nil {
			continue
		}
		for _, test := range e.candidates.tests {
			if star := strings.IndexByte(r.fields[test.column], '*'); test.prefix && star >= 0 && star != len(r.fields[test.column])-1 {
				return fmt.Errorf("read %s: line %d: %q: Casbin's keyMatch takes everything behind a * for granted, so it can only stand at the end", policyFile, r.line, r.fields[test.column])
			}
		}
	}
	return nil
}

// takeRequest learns the order of the model's request.
func (e *enforcer) takeRequest(m model.Model) error {
	for _, section := range []string{"r", "p", "e", "m"} {
		if m[section][section] == nil {
			return fmt.Errorf("read %s: it has no %s definition", modelFile, section)
		}
	}
	for _, token := range m["r"]["r"].Tokens {
		name := strings.TrimPrefix(token, "r_")
		if !slices.Contains([]string{"sub", "dom", "obj", "class", "act"}, name) {
			return fmt.Errorf("read %s: request field %q is not one of sub, dom, obj, class, act", modelFile, name)
		}
		e.request = append(e.request, name)
		e.classed = e.classed || name == "class"
	}
	return nil
}

func fieldNames(m model.Model) string {
	names := make([]string, 0, len(m["p"]["p"].Tokens))
	for _, token := range m["p"]["p"].Tokens {
		names = append(names, strings.TrimPrefix(token, "p_"))
	}
	return strings.Join(names, ", ")
}

// pairFunction makes a relation between two names a function of Casbin's matcher language.
func pairFunction(name string, related func(a, b string) bool) func(...any) (any, error) {
	return func(arguments ...any) (any, error) {
		if len(arguments) != 2 {
			return false, fmt.Errorf("%s takes two names, the matcher gives %d", name, len(arguments))
		}
		a, aText := arguments[0].(string)
		b, bText := arguments[1].(string)
		if !aText || !bText {
			return false, fmt.Errorf("%s takes two names", name)
		}
		return related(a, b), nil
	}
}

// enforce returns Casbin's decision and the row that decided; nil where none did.
func (e *enforcer) enforce(q request) (allowed bool, decided *curfewv1.Row, err error) {
	if e.candidates == nil {
		return e.askAll(q)
	}
	var few [8][]string
	rows := e.candidates.pick(q, e.roles.everything(q.sub), few[:0])
	if len(rows) == 0 {
		return e.none, nil, nil
	}
	var c *casbin.Enforcer
	select {
	case c = <-e.few:
	default:
		if c, err = e.build(nil); err != nil {
			return false, nil, err
		}
	}
	c.GetModel()["p"]["p"].Policy = rows
	allowed, decided, err = e.ask(c, q)
	select {
	case e.few <- c:
	default:
	}
	return allowed, decided, err
}

// askAll is enforce over every row.
func (e *enforcer) askAll(q request) (allowed bool, decided *curfewv1.Row, err error) {
	return e.ask(e.all, q)
}

func (e *enforcer) values(q request) []any {
	values := make([]any, len(e.request))
	for i, name := range e.request {
		values[i] = q.field(name)
	}
	return values
}

func (e *enforcer) ask(c *casbin.Enforcer, q request) (allowed bool, decided *curfewv1.Row, err error) {
	allowed, explanation, err := c.EnforceEx(e.values(q)...)
	if err != nil {
		return false, nil, fmt.Errorf("ask Casbin: %w", err)
	}
	if len(explanation) == 0 {
		return allowed, nil, nil
	}
	r, known := e.rows[strings.Join(explanation, ",")]
	if !known {
		return false, nil, errors.New("ask Casbin: it was decided by a row that is not in the policy")
	}
	return allowed, r.message(), nil
}

// implied is the role that every subject of a kind holds without a row.
func implied(holder string) (role string, implied bool) {
	if holder == "role:anyone" {
		return "", false
	}
	for _, kind := range []string{"person", "app", "service", "unknown"} {
		if strings.HasPrefix(holder, kind+":") {
			return "role:" + kind, true
		}
		if holder == "role:"+kind {
			return "role:anyone", true
		}
	}
	return "", false
}

// holds is whether a subject holds a role, itself or through other roles.
func (r roles) holds(subject, role string) bool {
	if subject == role {
		return true
	}
	if held, known := r.held[subject]; known {
		return held[role]
	}
	by, _ := implied(subject)
	return r.held[by][role]
}

// path is the shortest way from subject to role, or nil. An empty way is never returned.
func (r roles) path(subject, role string) []*curfewv1.Link {
	var found []*curfewv1.Link
	r.walk(subject, func(link *curfewv1.Link, way []*curfewv1.Link) bool {
		if link.GetHeld() == role {
			found = append(slices.Clone(way), link)
		}
		return found == nil
	})
	return found
}

// walk visits every link that subject's roles hang on, nearest first, with the way to it, until visit returns false.
func (r roles) walk(subject string, visit func(link *curfewv1.Link, way []*curfewv1.Link) bool) {
	type step struct {
		holder string
		way    []*curfewv1.Link
	}
	seen := map[string]bool{subject: true}
	queue := []step{{holder: subject}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if len(at.way) == maxHops {
			continue
		}
		for _, link := range r.links(at.holder) {
			if seen[link.GetHeld()] {
				continue
			}
			seen[link.GetHeld()] = true
			if !visit(link, at.way) {
				return
			}
			queue = append(queue, step{link.GetHeld(), append(slices.Clone(at.way), link)})
		}
	}
}

// links is what a holder holds directly.
func (r roles) links(holder string) []*curfewv1.Link {
	var links []*curfewv1.Link
	for _, g := range r.rows[holder] {
		links = append(links, &curfewv1.Link{Holder: holder, Held: g.fields[1], Origin: fmt.Sprintf("%s:%d", policyFile, g.line)})
	}
	if role, ok := implied(holder); ok {
		links = append(links, &curfewv1.Link{Holder: holder, Held: role, Origin: "implied"})
	}
	return links
}
