// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package enforcer asks Casbin who may do what by a model and its rows, over the rows that can matter, while who holds
// which role at the moment is answered by its caller.
package enforcer

import (
	"fmt"
	"runtime"

	"github.com/casbin/casbin/v2/model"

	"github.com/curfewhq/curfew/internal/temporal"
)

// Row is a p row.
type Row struct {
	// Fields are its values in the order of the model's policy definition.
	Fields []string
	// Line is where it stands in its file, for errors.
	Line int
}

// RowError is what is wrong with one row.
type RowError struct {
	Err  error
	Line int
}

// Error names the line.
func (e *RowError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap is what is wrong.
func (e *RowError) Unwrap() error { return e.Err }

// Request is one question: may sub do act to obj, which is of that class, in dom? What the model's request does not have
// is ignored. Values are texts and nothing else, also where they look like JSON.
type Request struct {
	Sub, Dom, Obj, Class, Act string
}

// Links answers what a name holds at the request's moment, in a Casbin domain ("" for models whose g has two arguments).
// It is never nil, and the same name and domain get the same answer as long as one request is decided.
type Links interface {
	Hold(name, dom string) *temporal.Holding
}

// Answer is what Casbin says over the things certainly held.
type Answer struct {
	Allowed bool
	// Row is the index, in what New was given, of the row that decided; -1 where none did.
	Row int
	// Open is empty where the answer is the same whichever uncertain links hold. Otherwise it has some rows that would turn
	// it; -1 is for no row in particular: none decides then, or Casbin fails, or there are too many ways to try.
	Open []int
}

// Enforcer is a model with its rows. It is immutable and safe for concurrent use: a changed policy is a new Enforcer, since
// Casbin's removal of a row changes the order of the others.
type Enforcer struct {
	definition
	rows  [][]string // in Casbin's order
	order []int      // what New was given, by place in rows; nil = as it was given
	index *index     // nil: every row is tried
	why   string     // and why
	memo  *memo      // nil: Casbin is asked each time
	none  bool       // the answer where no row matches
	blank model.Model
	idle  chan *scratch
}

// New reads a model and its rows, which stand in the order of their file and must not be changed afterwards. Related are
// the role definitions besides g, each a pure function that is safe for concurrent use. An error says what of the model is
// wrong, or is a RowError. Casbin would take some of what is refused here, and decide what nobody meant.
func New(modelText string, rows []Row, related map[string]func(a, b string) bool) (*Enforcer, error) {
	m, d, err := readModel(modelText, related)
	if err != nil {
		return nil, err
	}
	tokens, err := d.tokenise(d.matcher)
	if err != nil {
		return nil, err
	}
	if err := d.checkRows(rows, tokens); err != nil {
		return nil, err
	}
	e := &Enforcer{definition: d, blank: m, idle: make(chan *scratch, 2*runtime.GOMAXPROCS(0))}
	if e.rows, e.order, err = d.arrange(m, rows); err != nil {
		return nil, err
	}
	parts, residual, why := d.readMatcher(tokens)
	if e.why = why; why != "" {
		return e, nil
	}
	e.index = newIndex(e.rows, parts)
	if !residual {
		e.memo = newMemo(len(rows))
	}
	// Asked about somebody who holds nothing, Casbin shows what the effect makes of no match.
	none, err := e.ask(question{}, []int32{0})
	if err != nil {
		return nil, fmt.Errorf("try the matcher: %w", err)
	}
	e.none = none.allowed
	return e, nil
}

// Columns are the names of the policy definition: sub, dom ...
func (e *Enforcer) Columns() []string { return e.columns }

// Classed is whether the model's request has a class.
func (e *Enforcer) Classed() bool { return e.classed }

// Domains is whether the model's g takes a domain.
func (e *Enforcer) Domains() bool { return e.domains }

// PatternDomains is whether Casbin takes a link's domain as a pattern of keyMatch; Links must do the same. It does so for
// models with domains whose matcher says keyMatch(r.dom, p.dom).
func (e *Enforcer) PatternDomains() bool { return e.patterns }

// Indexed is whether the rows that can matter are picked by an index, and if not, a sentence that says why.
func (e *Enforcer) Indexed() (indexed bool, why string) { return e.index != nil, e.why }

// given is the index, in what New was given, of the row at a place.
func (e *Enforcer) given(place int32) int {
	if e.order == nil || place < 0 {
		return int(place)
	}
	return e.order[place]
}
