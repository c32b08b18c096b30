// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"fmt"
	"slices"

	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/util"
	"github.com/casbin/govaluate"
)

// reader recognises truth values that are made of any row without an error: comparisons of fields and constants, and
// keyMatch, joined by &&, || and !.
type reader struct {
	tokens []token
	at     int
}

// truth reads one with all its parts, up to what cannot belong to it.
func (r *reader) truth() bool {
	for {
		if !r.single() {
			return false
		}
		if !r.take(govaluate.LOGICALOP) {
			return true
		}
	}
}

// single reads what stands between the operators.
func (r *reader) single() bool {
	negated := r.take(govaluate.PREFIX, "!")
	switch {
	case r.take(govaluate.CLAUSE):
		return r.truth() && r.take(govaluate.CLAUSE_CLOSE)
	case r.take(govaluate.FUNCTION, "keyMatch"):
		return r.take(govaluate.CLAUSE) && r.text() && r.take(govaluate.SEPARATOR) && r.text() && r.take(govaluate.CLAUSE_CLOSE)
	case negated:
		return false
	case r.take(govaluate.BOOLEAN):
		return true
	default:
		return r.comparison()
	}
}

func (r *reader) comparison() bool {
	left := r.at
	if !r.operand() {
		return false
	}
	switch {
	case r.take(govaluate.COMPARATOR, "==", "!="):
		return r.operand()
	case r.take(govaluate.COMPARATOR, "<", "<=", ">", ">="):
		// Of two texts, or it fails.
		return r.isText(left) && r.text()
	case r.take(govaluate.COMPARATOR, "in"):
		return r.list()
	}
	return false
}

// list reads what stands behind in. One field alone in brackets is no list to govaluate.
func (r *reader) list() bool {
	if !r.take(govaluate.CLAUSE) {
		return false
	}
	alone := r.at
	for n := 1; r.operand(); n++ {
		switch {
		case r.take(govaluate.SEPARATOR):
		case r.take(govaluate.CLAUSE_CLOSE):
			return n > 1 || r.tokens[alone].kind != govaluate.VARIABLE
		default:
			return false
		}
	}
	return false
}

// operand reads a field or a constant.
func (r *reader) operand() bool {
	return r.text() || r.take(govaluate.NUMERIC) || r.take(govaluate.TIME) || r.take(govaluate.BOOLEAN)
}

// text reads a field or a constant text.
func (r *reader) text() bool {
	return r.take(govaluate.VARIABLE) || r.take(govaluate.STRING)
}

func (r *reader) isText(at int) bool {
	return r.tokens[at].kind == govaluate.VARIABLE || r.tokens[at].kind == govaluate.STRING
}

// take goes on if the next token is of the kind, and one of the texts if there are any.
func (r *reader) take(kind govaluate.TokenKind, texts ...string) bool {
	if r.at == len(r.tokens) || r.tokens[r.at].kind != kind || len(texts) > 0 && !slices.Contains(texts, r.tokens[r.at].text) {
		return false
	}
	r.at++
	return true
}

// call is one of a function in the matcher.
type call struct {
	function  string
	arguments [][]token
}

// calls are all of them, the outer before the inner.
func calls(tokens []token) []call {
	var all []call
	for i, t := range tokens {
		if t.kind != govaluate.FUNCTION || i+1 == len(tokens) {
			continue
		}
		end := closing(tokens, i+1)
		c := call{function: t.text}
		from := i + 2
		for j := from; j < end; j++ {
			switch tokens[j].kind {
			case govaluate.CLAUSE:
				j = closing(tokens, j)
			case govaluate.SEPARATOR:
				c.arguments = append(c.arguments, tokens[from:j])
				from = j + 1
			default:
			}
		}
		if from < end {
			c.arguments = append(c.arguments, tokens[from:end])
		}
		all = append(all, c)
	}
	return all
}

// checkPatterns tries each row's value as the pattern, or the condition, that the matcher takes it for: Casbin would fail,
// or panic, at the first request that gets as far as a bad one.
func (d *definition) checkPatterns(rows []Row, tokens []token) error {
	builtin := model.LoadFunctionMap()
	functions := builtin.GetFunctions()
	for _, c := range calls(tokens) {
		if c.function == "keyMatch" || len(c.arguments) == 0 || len(c.arguments) > 2 {
			continue // it takes any text, or fails with any
		}
		last := c.arguments[len(c.arguments)-1]
		_, column, _ := d.variable(last[0])
		if len(last) != 1 || column < 0 {
			continue
		}
		tried := map[string]bool{}
		for _, row := range rows {
			value := row.Fields[column]
			if tried[value] {
				continue
			}
			tried[value] = true
			var err error
			if f := functions[c.function]; f != nil && len(c.arguments) == 2 {
				err = try(f, c.function, value)
			} else if c.function == "eval" {
				_, err = d.tokenise(util.EscapeAssertion(value))
			}
			if err != nil {
				return &RowError{fmt.Errorf("%q is nothing that %s can take: %w", value, c.function, firstLine(err)), row.Line}
			}
		}
	}
	return nil
}

// try calls a function of Casbin's with a pattern; some panic.
func try(f govaluate.ExpressionFunction, name, pattern string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	value := ""
	if name == "ipMatch" {
		value = "192.0.2.1"
	}
	_, err = f(value, pattern)
	return err
}
