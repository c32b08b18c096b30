// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// chance makes the choices of a scenario: from a seed, or from the bytes of a fuzzer.
type chance interface {
	below(n int) int
}

type seeded struct{ random *rand.Rand }

func (s seeded) below(n int) int { return s.random.IntN(n) }

type fromBytes struct{ left []byte }

func (b *fromBytes) below(n int) int {
	if len(b.left) == 0 {
		return 0
	}
	next := b.left[0]
	b.left = b.left[1:]
	return int(next) % n
}

// scenario is a policy, who held what when, and a moment to ask about.
type scenario struct {
	model   string
	fields  []string // of the request
	columns []string
	rows    [][]string
	links   []scenarioLink
	inside  [][2]string // class and the class it is in
	roles   int         // arguments of g; 0 = the model has none
	classes bool        // it has g2
	chance  chance
}

// scenarioLink holds over [from, until); -1 is open.
type scenarioLink struct {
	holder, held, dom string
	from, until       int
	uncertain         bool
}

// moments are the times that scenarios play in.
const moments = 6

// maxUncertain bounds the worlds: each uncertain link doubles them.
const maxUncertain = 4

func (s *scenario) pick(from ...string) string { return from[s.chance.below(len(from))] }

func (s *scenario) yes(percent int) bool { return s.chance.below(100) < percent }

func (s *scenario) name() string {
	return s.pick("person:a", "person:a", "person:a", "person:b", "role:a", "role:a", "role:a", "role:b", "role:b", "role:c", "c0", "c9", "c10", "c11", "", "a*")
}

func (s *scenario) act() string { return s.pick("read", "read", "write", "share", "") }

func (s *scenario) dom() string { return s.pick("d1", "d1", "d2", "d12", "") }

// domPattern is a domain as rows and links have it.
func (s *scenario) domPattern() string {
	return s.pick("d1", "d1", "d1", "d2", "d*", "d*", "*", "*", "d*2", "")
}

// allDoms are all that can come up: Casbin has no link for every domain, so the oracle adds one for each.
func allDoms() []string { return []string{"d1", "d2", "d12", "d*", "*", "d*2", ""} }

func (s *scenario) class() string { return s.pick("pii.contact", "order", "pii", "odd", "") }

func (s *scenario) obj() string { return s.pick("/a/1", "/a/2", "/a", "/b", "/a,b", "/a/*", "") }

// value is one for a column of a row.
func (s *scenario) value(column string) string {
	switch column {
	case "sub", "owner":
		return s.name()
	case "dom":
		return s.domPattern()
	case "obj":
		return s.pick("/a/*", "/a/*", "/a/1", "*", "/b", "/a*2", "/a,b", "", "*1")
	case "class":
		return s.pick("pii", "any", "any", "any", "pii.contact", "order", "*", "")
	case "act":
		return s.pick("read", "read", "read", "write", "*", "*", "*", "*d", "s*", "")
	case "eft":
		return s.pick("allow", "allow", "allow", "deny", "deny", "other", "")
	case "priority":
		return s.pick("1", "2", "3", "10", "-1", "02")
	case "pattern":
		return s.pick("^/a", "/a/.*", "1$", "", "/a/:id")
	default: // condition
		return s.pick(`r.sub == "person:a"`, `r.sub != "person:a"`, "true", `p.sub == r.sub`)
	}
}

func newScenario(c chance) *scenario {
	s := &scenario{chance: c, fields: []string{"sub", "dom", "obj", "class", "act"}, columns: []string{"sub", "dom", "obj", "class", "act"}}
	s.shuffle(s.fields)
	s.roles = 2 + s.chance.below(2)
	s.classes = s.yes(50)
	for _, optional := range []struct {
		column string
		often  int
	}{{"eft", 80}, {"priority", 20}, {"owner", 40}, {"pattern", 20}, {"condition", 10}} {
		if s.yes(optional.often) {
			s.columns = append(s.columns, optional.column)
		}
	}
	s.shuffle(s.columns)
	matcher := s.matcher()
	s.trim(matcher)
	s.model = s.modelText(matcher)
	for range 1 + s.chance.below(4)*s.chance.below(9) {
		row := make([]string, len(s.columns))
		for i, column := range s.columns {
			row[i] = s.value(column)
		}
		s.rows = append(s.rows, row)
	}
	if s.yes(10) {
		s.rows = append(s.rows, slices.Clone(s.rows[0]))
	}
	if s.yes(5) {
		s.crowd()
	}
	s.link()
	if s.yes(15) {
		s.chain()
	}
	return s
}

// crowd gives one holder more rows than are looked through one by one.
func (s *scenario) crowd() {
	sub := slices.Index(s.columns, "sub")
	for range 60 {
		row := make([]string, len(s.columns))
		for i, column := range s.columns {
			row[i] = s.value(column)
		}
		if sub >= 0 {
			row[sub] = "role:a"
		}
		s.rows = append(s.rows, row)
	}
}

func (s *scenario) shuffle(texts []string) {
	for i := len(texts) - 1; i > 0; i-- {
		j := s.chance.below(i + 1)
		texts[i], texts[j] = texts[j], texts[i]
	}
}

// trim leaves out, now and then, what the matcher does not name.
func (s *scenario) trim(matcher string) {
	if strings.Contains(matcher, "eval(") {
		return // rows name more
	}
	unnamed := func(section string) func(string) bool {
		return func(name string) bool { return !strings.Contains(matcher, section+"."+name) && s.yes(50) }
	}
	s.fields = slices.DeleteFunc(s.fields, unnamed("r"))
	s.columns = slices.DeleteFunc(s.columns, func(name string) bool { return name != "eft" && name != "priority" && unnamed("p")(name) })
	if len(s.fields) == 0 {
		s.fields = []string{"act"}
	}
	if len(s.columns) == 0 {
		s.columns = []string{"sub"}
	}
}

func (s *scenario) modelText(matcher string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "[request_definition]\nr = %s\n[policy_definition]\np = %s\n", strings.Join(s.fields, ", "), strings.Join(s.columns, ", "))
	if s.roles > 0 {
		fmt.Fprintf(&text, "[role_definition]\ng = _%s\n", strings.Repeat(", _", s.roles-1))
		if s.classes {
			text.WriteString("g2 = _, _\n")
		}
	}
	effect := s.pick("some(where (p.eft == allow))", "!some(where (p.eft == deny))",
		"some(where (p.eft == allow)) && !some(where (p.eft == deny))", "priority(p.eft) || deny")
	fmt.Fprintf(&text, "[policy_effect]\ne = %s\n[matchers]\nm = %s\n", effect, matcher)
	return text.String()
}

// g is a call of it, now and then with another number of arguments than the model says.
func (s *scenario) g(a, b string) string {
	if (s.roles == 3) != s.yes(3) {
		return fmt.Sprintf("g(%s, %s, %s)", a, b, s.pick("r.dom", "r.dom", "r.dom", "r.dom", "r.dom", "r.dom", "r.dom", "r.dom", "p.dom", `"d1"`))
	}
	return fmt.Sprintf("g(%s, %s)", a, b)
}

// matcher is one of any shape, most often a conjunction that asks g of each row.
func (s *scenario) matcher() string {
	parts := []string{s.g("r.sub", "p.sub")}
	for _, field := range []string{"dom", "obj", "class", "act"} {
		if !s.yes(75) {
			continue
		}
		switch {
		case field == "class" && s.classes:
			parts = append(parts, "g2(r.class, p.class)")
		case field == "obj" || s.yes(50):
			parts = append(parts, fmt.Sprintf("keyMatch(r.%s, p.%s)", field, field))
		default:
			parts = append(parts, s.pick("r."+field+" == p."+field, "p."+field+" == r."+field))
		}
	}
	for _, more := range []struct {
		often int
		part  func() string
	}{
		{20, s.residual},
		{5, s.residual},
		{12, func() string { return s.g("r.sub", "p.owner") }},
		{3, func() string { return s.g("r.obj", "p.obj") }},
		{4, func() string { return "r.sub == p.sub" }},
		{4, func() string { return s.pick("keyMatch(r.dom, p.obj)", "r.act == p.class", `keyMatch(r.act, p.act)`) }},
		{25, s.opaque},
	} {
		if s.yes(more.often) {
			parts = append(parts, more.part())
		}
	}
	if s.yes(8) {
		parts = slices.Delete(parts, 0, 1)
	}
	matcher := s.join(parts)
	// The model may lack a column.
	for optional, instead := range map[string]string{"eft": "p.act", "owner": "p.sub", "pattern": `"^/a"`, "condition": `"r.sub == p.sub"`} {
		if !slices.Contains(s.columns, optional) {
			matcher = strings.ReplaceAll(matcher, "p."+optional, instead)
		}
	}
	if s.yes(4) {
		s.roles = 0
		return s.pick(`r.act == "read"`, "r.sub == p.sub", "r.sub == p.sub && keyMatch(r.obj, p.obj)")
	}
	return matcher
}

// join makes one matcher of the parts, in some order and bracketing.
func (s *scenario) join(parts []string) string {
	s.shuffle(parts)
	if len(parts) == 0 {
		return "r.act == p.act"
	}
	if len(parts) > 2 && s.yes(20) {
		cut := 1 + s.chance.below(len(parts)-1)
		left, right := "("+strings.Join(parts[:cut], " && ")+")", strings.Join(parts[cut:], " && ")
		if s.yes(30) {
			return left + " || " + right
		}
		return left + " && (" + right + ")"
	}
	return strings.Join(parts, " && ")
}

// residual is a part that cannot fail and is not one of those an index knows.
func (s *scenario) residual() string {
	return s.pick(
		`(r.act == p.act || p.act == "*")`, `r.act != "write"`, `r.obj != p.obj`, `p.eft != "other"`, `r.act in ("read", "write")`,
		`r.act in ("read")`, `!(r.dom == "d2")`, `!keyMatch(r.obj, "/b*")`, `r.dom < p.dom`, `(r.act == "read" && !(p.dom == "d2") || keyMatch(r.obj, p.obj))`,
		`r.act in (p.act, "read", 7)`, `true`, `r.act != 1`, `keyMatch("d1", p.dom)`, `(r.act == p.act || r.obj == p.obj && p.class != "any")`,
	)
}

// opaque is a part for which every row must be tried.
func (s *scenario) opaque() string {
	if s.yes(20) { // and it can fail
		return s.pick(`(r.act == "read" || r.act < 5)`, `(r.act == "read" || !r.dom == "d2")`, `!p.dom == "d2"`, `(p.act == "*" || r.act in (p.act))`, "r.act != p.dom - 1")
	}
	return s.pick(
		"!"+s.g("r.sub", `"role:b"`), "!"+s.g("r.sub", "p.owner"), s.g("r.obj", "p.obj"), "regexMatch(r.obj, p.pattern)", "keyMatch2(r.obj, p.pattern)",
		"eval(p.condition)", "("+s.g("r.sub", "p.owner")+` || r.sub == "person:b")`, "("+s.g("r.sub", `"role:a"`)+" || "+s.g("r.sub", `"role:c"`)+")",
		"("+s.g("r.sub", "p.sub")+" == true)", s.g("p.sub", "r.sub"), "r.act =~ '^r'", s.g("r.sub", "p.owner")+" != "+s.g("r.sub", `"role:c"`),
	)
}

// link makes up who holds what. In some scenarios, a quarter, links may be uncertain.
func (s *scenario) link() {
	uncertain := maxUncertain
	often := 45
	if s.yes(30) {
		uncertain, often = 1+s.chance.below(maxUncertain), 10
		if sub := slices.Index(s.columns, "sub"); sub >= 0 {
			row := s.rows[s.chance.below(len(s.rows))]
			s.links = append(s.links, scenarioLink{holder: "person:a", held: row[sub], from: -1, until: -1, uncertain: true})
		}
	}
	add := func(holder, held string) {
		l := scenarioLink{holder: holder, held: held, from: -1, until: -1}
		if s.roles == 3 && s.yes(60) {
			l.dom = s.domPattern()
		}
		if s.yes(often) {
			l.from = s.chance.below(moments)
		}
		if s.yes(often) {
			l.until = s.chance.below(moments + 1)
		}
		if uncertain < maxUncertain && s.yes(60) {
			l.uncertain = true
			uncertain++
		}
		s.links = append(s.links, l)
	}
	for range s.chance.below(12) {
		a, b := s.name(), s.name()
		add(a, b)
		if s.yes(20) {
			add(a, b) // once more, at other times
		}
	}
	for _, pair := range [][2]string{{"pii.contact", "pii"}, {"pii", "any"}, {"order", "any"}, {"odd", "odd"}} {
		if s.yes(80) {
			s.inside = append(s.inside, pair)
		}
	}
}

// chain lets person:a hold one thing through another: Casbin goes ten steps, up to c9.
func (s *scenario) chain() {
	s.links = append(s.links, scenarioLink{holder: "person:a", held: "c0", from: -1, until: -1})
	for i := range 13 {
		s.links = append(s.links, scenarioLink{holder: fmt.Sprintf("c%d", i), held: fmt.Sprintf("c%d", i+1), from: -1, until: -1})
	}
	if sub := slices.Index(s.columns, "sub"); sub >= 0 {
		for _, end := range []string{"c9", "c10"} {
			row := slices.Clone(s.rows[s.chance.below(len(s.rows))])
			row[sub] = end
			s.rows = append(s.rows, row)
		}
	}
}

// request is one question, often about what some row speaks of.
func (s *scenario) request() Request {
	q := Request{Sub: s.name(), Dom: s.dom(), Obj: s.obj(), Class: s.class(), Act: s.act()}
	if s.yes(15) {
		return q
	}
	row := s.rows[s.chance.below(len(s.rows))]
	for i, column := range s.columns {
		value := strings.Replace(row[i], "*", s.pick("", "1", "2"), 1)
		switch column {
		case "sub":
			q.Sub = s.holder(row[i])
		case "dom":
			q.Dom = value
			if !slices.Contains(allDoms(), value) {
				q.Dom = "d1"
			}
		case "obj":
			q.Obj = value
		case "class":
			if q.Class = row[i]; s.classes {
				q.Class = s.pick("pii.contact", "order", row[i])
			}
		case "act":
			q.Act = s.pick(value, row[i])
		}
	}
	return q
}

// holder is somebody who may hold what a row names.
func (s *scenario) holder(named string) string {
	if strings.HasPrefix(named, "c") && s.yes(50) {
		return "person:a"
	}
	for range 1 + s.chance.below(3) {
		var holders []string
		for _, l := range s.links {
			if l.held == named {
				holders = append(holders, l.holder)
			}
		}
		if len(holders) == 0 {
			return named
		}
		named = holders[s.chance.below(len(holders))]
	}
	return named
}
