// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/casbin/v2/model"
)

// field is one of a request.
type field uint8

const (
	sub field = iota
	dom
	obj
	class
	act
)

// fieldOf is the field of a name as a model writes it.
func fieldOf(name string) (field, bool) {
	i := slices.Index([]string{"sub", "dom", "obj", "class", "act"}, name)
	return field(max(i, 0)), i >= 0
}

// value is the request's, for a field.
func (q *Request) value(f field) string {
	switch f {
	case sub:
		return q.Sub
	case dom:
		return q.Dom
	case obj:
		return q.Obj
	case class:
		return q.Class
	default:
		return q.Act
	}
}

// definition is what a model says.
type definition struct {
	request  []field
	columns  []string
	matcher  string // as Casbin escapes it
	classed  bool
	roles    bool // it defines g
	domains  bool // which takes a domain
	patterns bool // and a link's may be a pattern
	related  map[string]func(a, b string) bool
}

// readModel returns the model without rows and without its g section: Casbin's role manager knows no time, and its own
// timed roles fail open.
func readModel(text string, related map[string]func(a, b string) bool) (model.Model, definition, error) {
	d := definition{related: map[string]func(a, b string) bool{}}
	m, err := model.NewModelFromString(text)
	if err != nil {
		return nil, d, fmt.Errorf("read the model: %w", firstLine(err))
	}
	for _, section := range []string{"r", "p", "e", "m"} {
		if len(m[section]) != 1 {
			return nil, d, fmt.Errorf("read the model: it has %d %s definitions; one is what an event is judged by", len(m[section]), section)
		}
	}
	for _, token := range m["r"]["r"].Tokens {
		f, known := fieldOf(strings.TrimPrefix(token, "r_"))
		if !known {
			return nil, d, fmt.Errorf("read the model: request field %q is not one of sub, dom, obj, class, act", strings.TrimPrefix(token, "r_"))
		}
		d.request = append(d.request, f)
		d.classed = d.classed || f == class
	}
	for _, token := range m["p"]["p"].Tokens {
		column := strings.TrimPrefix(token, "p_")
		if slices.Contains(d.columns, column) {
			return nil, d, fmt.Errorf("read the model: the policy definition has %q twice", column)
		}
		d.columns = append(d.columns, column)
	}
	switch effect := m["e"]["e"].Value; effect {
	case constant.AllowOverrideEffect, constant.DenyOverrideEffect, constant.AllowAndDenyEffect, constant.PriorityEffect:
	case constant.SubjectPriorityEffect:
		return nil, d, errors.New("read the model: effect subjectPriority would order the rows anew at each moment; use priority, or deny overrides")
	default:
		return nil, d, fmt.Errorf("read the model: %q is not an effect of Casbin", effect)
	}
	if err := d.takeRoles(m["g"], related); err != nil {
		return nil, d, err
	}
	delete(m, "g")
	d.matcher = m["m"]["m"].Value
	d.patterns = d.domains && strings.Contains(d.matcher, "keyMatch(r_dom, p_dom)")
	return m, d, nil
}

// takeRoles reads the role definitions.
func (d *definition) takeRoles(definitions model.AssertionMap, related map[string]func(a, b string) bool) error {
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		g := definitions[name]
		arguments := len(g.Tokens)
		switch {
		case len(g.ParamsTokens) > 0:
			return fmt.Errorf("read the model: %s is a conditional role definition; Casbin's fail open, write links with from and until instead", name)
		case strings.Count(g.Value, "_") != arguments || arguments < 2 || arguments > 3 || name != "g" && arguments != 2:
			return fmt.Errorf("read the model: %s = %s: g takes two or three arguments, other role definitions two", name, g.Value)
		case name == "g":
			d.roles, d.domains = true, arguments == 3
		case related[name] == nil:
			return fmt.Errorf("read the model: role definition %q is not supported; there are g%s", name, names(related))
		default:
			d.related[name] = related[name]
		}
	}
	return nil
}

func names(related map[string]func(a, b string) bool) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(related)) {
		text += ", " + name
	}
	return text
}

// checkRows refuses what Casbin would find out, or misread, at the first request that comes so far.
func (d *definition) checkRows(rows []Row, tokens []token) error {
	if len(rows) == 0 {
		return errors.New("read the rows: there is no p row, and Casbin would allow what it is asked with empty texts")
	}
	priority := slices.Index(d.columns, constant.PriorityIndex)
	for _, row := range rows {
		if len(row.Fields) != len(d.columns) {
			return &RowError{fmt.Errorf("a p row has %d fields (%s), this one has %d", len(d.columns), strings.Join(d.columns, ", "), len(row.Fields)), row.Line}
		}
		if priority >= 0 {
			if _, err := strconv.Atoi(row.Fields[priority]); err != nil {
				return &RowError{fmt.Errorf("priority %q is no number, and Casbin would sort the rows by chance", row.Fields[priority]), row.Line}
			}
		}
	}
	return d.checkPatterns(rows, tokens)
}

// arrange puts the rows into Casbin's order.
func (d *definition) arrange(m model.Model, rows []Row) (arranged [][]string, order []int, err error) {
	arranged = make([][]string, len(rows))
	for i, row := range rows {
		arranged[i] = row.Fields
	}
	column := slices.Index(d.columns, constant.PriorityIndex)
	if column < 0 {
		return arranged, nil, nil
	}
	priorities := make([]int, len(rows))
	order = make([]int, len(rows))
	for i, row := range rows {
		if priorities[i], err = strconv.Atoi(row.Fields[column]); err != nil {
			return nil, nil, &RowError{err, row.Line}
		}
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return priorities[a] - priorities[b] })
	// Casbin sorts; that we can tell where each row went is checked, not believed.
	p := m["p"]["p"]
	p.Policy = arranged
	err = m.SortPoliciesByPriority()
	p.Policy, p.PolicyMap = nil, map[string]int{}
	if err != nil {
		return nil, nil, fmt.Errorf("sort the rows by priority: %w", err)
	}
	for place, i := range order {
		if &arranged[place][0] != &rows[i].Fields[0] {
			return nil, nil, errors.New("sort the rows by priority: Casbin's order is not the one expected")
		}
	}
	return arranged, order, nil
}

// firstLine is an error without the stack that Casbin puts behind a panic.
func firstLine(err error) error {
	if line, _, more := strings.Cut(err.Error(), "\n"); more {
		return errors.New(line)
	}
	return err
}
