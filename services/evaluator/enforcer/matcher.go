// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/util"
	"github.com/casbin/govaluate"
)

// token is one of the matcher, as govaluate reads it.
type token struct {
	kind govaluate.TokenKind
	text string
}

// tokenise reads a matcher, escaped as Casbin does it, with govaluate's own reader, so that it means here what it means to
// Casbin.
func (d *definition) tokenise(matcher string) ([]token, error) {
	// A function's token has the function and not its name, so each of these says its own.
	named := map[string]govaluate.ExpressionFunction{}
	name := func(name string) { named[name] = func(...any) (any, error) { return name, nil } }
	builtin := model.LoadFunctionMap()
	for f := range builtin.GetFunctions() {
		name(f)
	}
	for f := range d.related {
		name(f)
	}
	if d.roles {
		name("g")
	}
	if util.HasEval(d.matcher) {
		name("eval")
	}
	expression, err := govaluate.NewEvaluableExpressionWithFunctions(matcher, named)
	if err != nil {
		return nil, fmt.Errorf("read the matcher: %w", firstLine(err))
	}
	var tokens []token
	for _, t := range expression.Tokens() {
		text := fmt.Sprint(t.Value)
		switch value := t.Value.(type) {
		case rune:
			text = string(value)
		case []string:
			text = strings.Join(value, ".")
		case govaluate.ExpressionFunction:
			said, err := value()
			if err != nil {
				return nil, fmt.Errorf("read the matcher: %w", err)
			}
			text = fmt.Sprint(said)
		}
		tokens = append(tokens, token{t.Kind, text})
	}
	return tokens, d.checkTokens(tokens)
}

// checkTokens refuses what fails, or is left out in silence, when the matcher is run.
func (d *definition) checkTokens(tokens []token) error {
	for i, t := range tokens {
		switch t.kind {
		case govaluate.VARIABLE:
			if _, _, known := d.variable(t); !known {
				return fmt.Errorf("read the matcher: %s is not defined", plain(t.text))
			}
		case govaluate.ACCESSOR:
			return fmt.Errorf("read the matcher: %s: values are texts and have no fields", plain(t.text))
		default:
		}
		// govaluate takes "(a) b" and forgets b.
		if i > 0 && tokens[i-1].kind == govaluate.CLAUSE_CLOSE && slices.Contains([]govaluate.TokenKind{
			govaluate.VARIABLE, govaluate.STRING, govaluate.NUMERIC, govaluate.BOOLEAN, govaluate.TIME, govaluate.PATTERN, govaluate.CLAUSE,
		}, t.kind) {
			return fmt.Errorf("read the matcher: there is no operator between %q and %q, and Casbin would leave out the rest", plain(tokens[i-1].text), plain(t.text))
		}
	}
	for _, c := range calls(tokens) {
		switch _, related := d.related[c.function]; {
		case related && len(c.arguments) != 2:
			return fmt.Errorf("read the matcher: %s takes two arguments", c.function)
		case c.function == "g" && len(c.arguments) != 2 && len(c.arguments) != 3:
			return fmt.Errorf("read the matcher: g takes two or three arguments")
		}
	}
	return nil
}

// variable is what a variable stands for: a request's field, or else a column.
func (d *definition) variable(t token) (f field, column int, known bool) {
	column = -1
	if t.kind != govaluate.VARIABLE {
		return 0, column, false
	}
	if name, is := strings.CutPrefix(t.text, "r_"); is {
		f, known = fieldOf(name)
		return f, column, known && slices.Contains(d.request, f)
	}
	if name, is := strings.CutPrefix(t.text, "p_"); is {
		column = slices.Index(d.columns, name)
	}
	return 0, column, column >= 0
}

// test is how a part compares.
type test uint8

const (
	equal   test = iota // r.A == p.B
	matches             // keyMatch(r.A, p.B)
	relates             // g2(r.A, p.B)
	held                // g(r.sub, p.B), in domains g(r.sub, p.B, r.dom)
)

// part is one part of a conjunction: a row matches only where it passes.
type part struct {
	test    test
	field   field
	column  int
	related func(a, b string) bool
}

// readMatcher takes the matcher apart. Why is empty where rows can be picked by the parts; then a row that fails one
// cannot match, whatever the others say. Residual is whether there are parts that only Casbin tests: of these it is known
// that they cannot fail, so that leaving out rows hides no error.
func (d *definition) readMatcher(tokens []token) (parts []part, residual bool, why string) {
	for _, conjunct := range conjuncts(tokens) {
		if p, understood := d.readPart(conjunct); understood {
			parts = append(parts, p)
			continue
		}
		if r := (reader{tokens: conjunct}); !r.truth() || r.at != len(conjunct) {
			return nil, false, fmt.Sprintf("every row is tried at each request, because of this part of the matcher: %s", show(conjunct))
		}
		residual = true
	}
	if !slices.ContainsFunc(parts, func(p part) bool { return p.test == held }) {
		call := "g(r.sub, p.sub)"
		if d.domains {
			call = "g(r.sub, p.sub, r.dom)"
		}
		return nil, false, "every row is tried at each request, because the matcher does not ask " + call + " of each row"
	}
	return parts, residual, ""
}

// conjuncts are the parts of which all must be true.
func conjuncts(tokens []token) [][]token {
	for len(tokens) > 2 && tokens[0].kind == govaluate.CLAUSE && closing(tokens, 0) == len(tokens)-1 {
		tokens = tokens[1 : len(tokens)-1]
	}
	var parts [][]token
	from := 0
	for i := 0; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case t.kind == govaluate.CLAUSE:
			i = closing(tokens, i)
		case t.kind == govaluate.LOGICALOP && t.text == "&&":
			parts = append(parts, conjuncts(tokens[from:i])...)
			from = i + 1
		case t.kind == govaluate.LOGICALOP, t.kind == govaluate.TERNARY, t.kind == govaluate.SEPARATOR:
			return [][]token{tokens}
		}
	}
	if from == 0 {
		return [][]token{tokens}
	}
	return append(parts, conjuncts(tokens[from:])...)
}

// closing is where the bracket is closed that is opened at i; the end where it is not.
func closing(tokens []token, i int) int {
	depth := 0
	for ; i < len(tokens); i++ {
		switch tokens[i].kind {
		case govaluate.CLAUSE:
			depth++
		case govaluate.CLAUSE_CLOSE:
			if depth--; depth == 0 {
				return i
			}
		default:
		}
	}
	return len(tokens)
}

// readPart understands a comparison of a request's field with a row's.
func (d *definition) readPart(tokens []token) (part, bool) {
	if len(tokens) == 3 && tokens[1].kind == govaluate.COMPARATOR && tokens[1].text == "==" {
		p, understood := d.compare(equal, tokens[0], tokens[2])
		if !understood {
			p, understood = d.compare(equal, tokens[2], tokens[0])
		}
		return p, understood
	}
	if len(tokens) < 2 || tokens[0].kind != govaluate.FUNCTION || closing(tokens, 1) != len(tokens)-1 {
		return part{}, false
	}
	call := calls(tokens)[0]
	for _, argument := range call.arguments {
		if len(argument) != 1 {
			return part{}, false
		}
	}
	if len(call.arguments) < 2 {
		return part{}, false
	}
	a, b := call.arguments[0][0], call.arguments[1][0]
	switch related := d.related[call.function]; {
	case related != nil:
		p, understood := d.compare(relates, a, b)
		p.related = related
		return p, understood
	case call.function == "keyMatch" && len(call.arguments) == 2:
		return d.compare(matches, a, b)
	case call.function == "g":
		p, understood := d.compare(held, a, b)
		switch {
		case p.field != sub, d.domains != (len(call.arguments) == 3):
			return p, false
		case d.domains:
			f, column, known := d.variable(call.arguments[2][0])
			return p, understood && known && column < 0 && f == dom
		}
		return p, understood
	}
	return part{}, false
}

// compare is the part that tests a request's field against a row's.
func (d *definition) compare(by test, request, row token) (part, bool) {
	f, none, known := d.variable(request)
	_, column, alsoKnown := d.variable(row)
	return part{test: by, field: f, column: column}, known && alsoKnown && none < 0 && column >= 0
}

// show is tokens as the model's file writes them, or nearly.
func show(tokens []token) string {
	var text strings.Builder
	for i, t := range tokens {
		word := plain(t.text)
		if t.kind == govaluate.STRING {
			word = "'" + t.text + "'"
		}
		tight := t.kind == govaluate.CLAUSE_CLOSE || t.kind == govaluate.SEPARATOR
		if i > 0 {
			before := tokens[i-1].kind
			tight = tight || before == govaluate.CLAUSE || before == govaluate.FUNCTION || before == govaluate.PREFIX
		}
		if i > 0 && !tight {
			text.WriteByte(' ')
		}
		text.WriteString(word)
	}
	return text.String()
}

// plain is a name of the matcher as the model's file writes it.
func plain(name string) string {
	for _, section := range []string{"r", "p"} {
		if rest, is := strings.CutPrefix(name, section+"_"); is {
			return section + "." + rest
		}
	}
	return name
}
