// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"errors"
	"fmt"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
)

// oracle is plain Casbin: the model with its own g, every row, and as g rows the links that hold at one moment.
type oracle struct {
	scenario *scenario
	casbin   *casbin.Enforcer
}

// newOracle is Casbin at a moment in one world: a world says of each link that is uncertain then whether it held, by bits.
func newOracle(t testing.TB, s *scenario, moment int, world uint) *oracle {
	t.Helper()
	m, err := model.NewModelFromString(s.model)
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{scenario: s}
	if o.casbin, err = casbin.NewEnforcer(m, files{s, moment, world}); err != nil {
		t.Fatalf("%v\n%s", err, s)
	}
	return o
}

// holdsAt is whether a link may hold at a moment.
func (l scenarioLink) holdsAt(moment int) bool {
	return l.from <= moment && (l.until == -1 || moment < l.until)
}

// files hands a scenario to Casbin.
type files struct {
	*scenario
	moment int
	world  uint
}

// LoadPolicy is what Casbin's adapters do, but that they drop rows that look alike when joined by commas.
func (f files) LoadPolicy(m model.Model) error {
	for _, row := range f.rows {
		if err := m.AddPolicy("p", "p", row); err != nil {
			return err
		}
	}
	if f.roles == 0 {
		return nil
	}
	bit := 0
	for _, l := range f.links {
		if !l.holdsAt(f.moment) {
			continue
		}
		if l.uncertain {
			if bit++; f.world>>(bit-1)&1 == 0 {
				continue
			}
		}
		rows := [][]string{{l.holder, l.held}}
		if f.roles == 3 {
			rows = nil
			doms := []string{l.dom}
			if l.dom == "" {
				doms = allDoms()
			}
			for _, dom := range doms {
				rows = append(rows, []string{l.holder, l.held, dom})
			}
		}
		for _, row := range rows {
			if err := m.AddPolicy("g", "g", row); err != nil {
				return err
			}
		}
	}
	if !f.classes {
		return nil
	}
	for _, pair := range f.inside {
		if err := m.AddPolicy("g", "g2", pair[:]); err != nil {
			return err
		}
	}
	return nil
}

func (files) SavePolicy(model.Model) error                              { return errors.ErrUnsupported }
func (files) AddPolicy(string, string, []string) error                  { return errors.ErrUnsupported }
func (files) RemovePolicy(string, string, []string) error               { return errors.ErrUnsupported }
func (files) RemoveFilteredPolicy(string, string, int, ...string) error { return errors.ErrUnsupported }

// ask returns Casbin's answer, and which of the scenario's rows decided: -1 for none.
func (o *oracle) ask(q Request) (allowed bool, row int, err error) {
	values := make([]any, len(o.scenario.fields))
	for i, name := range o.scenario.fields {
		values[i] = map[string]string{"sub": q.Sub, "dom": q.Dom, "obj": q.Obj, "class": q.Class, "act": q.Act}[name]
	}
	allowed, explained, err := o.casbin.EnforceEx(values...)
	if err != nil || len(explained) == 0 {
		return allowed, -1, err
	}
	for i := range o.scenario.rows {
		if &o.scenario.rows[i][0] == &explained[0] {
			return allowed, i, nil
		}
	}
	return false, -1, fmt.Errorf("row %q is none of the scenario's", explained)
}

// String is a scenario to read.
func (s *scenario) String() string {
	text := s.model
	for i, row := range s.rows {
		text += fmt.Sprintf("row %d %q\n", i, row)
	}
	for _, l := range s.links {
		text += fmt.Sprintf("%q holds %q in %q over [%d, %d), uncertain: %v\n", l.holder, l.held, l.dom, l.from, l.until, l.uncertain)
	}
	return text + fmt.Sprintf("classes %q\n", s.inside)
}
