// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// decider answers requests.
type decider func(request) (bool, error)

// peers are the engines of others, each as its documentation would have it set up for speed.
func peers() []engine {
	return []engine{{"casbin", newCasbin, 0, false}, {"opa", newOPA, 0, false}, {"cedar", newCedar, 0, true}}
}

// engine makes deciders.
type engine struct {
	name string
	make func(testing.TB, *policy) decider
	warm int  // how often it is to be asked before it is measured
	slow bool // where somebody holds many rows
}

// modelText is a Casbin model whose matcher puts the cheap comparisons first, which is its best order.
func modelText(more string) string {
	return `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && r.dom == p.dom && keyMatch(r.obj, p.obj) && g(r.sub, p.sub, r.dom)` + more
}

// newCasbin is the plain enforcer with all rows.
func newCasbin(t testing.TB, p *policy) decider {
	m, err := model.NewModelFromString(modelText(""))
	if err != nil {
		t.Fatal(err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		t.Fatal(err)
	}
	rows := make([][]string, len(p.rows))
	for i, r := range p.rows {
		rows[i] = []string{r.role, r.dom, r.prefix + "*", r.act}
	}
	links := make([][]string, len(p.links))
	for i, l := range p.links {
		links[i] = []string{l.holder, l.held, l.dom}
	}
	for _, add := range []func() (bool, error){
		func() (bool, error) { return e.AddPolicies(rows) },
		func() (bool, error) { return e.AddGroupingPolicies(links) },
	} {
		if added, err := add(); err != nil || !added {
			t.Fatalf("add rows: got %v, %v", added, err)
		}
	}
	return func(q request) (bool, error) { return e.Enforce(q.sub, q.dom, q.obj, q.act) }
}

// newFloor is plain Casbin over one row that allows what is asked, with nothing to find out about who holds what: the least
// that a decision by it can cost.
func newFloor(t testing.TB) decider {
	text := strings.Replace(modelText(""), "[role_definition]\ng = _, _, _\n", "", 1)
	m, err := model.NewModelFromString(text)
	if err != nil {
		t.Fatal(err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		t.Fatal(err)
	}
	e.AddFunction("g", func(...any) (any, error) { return true, nil })
	if _, err := e.AddPolicy(roleName(1), shopName(1), prefix(1)+"*", acts()[0]); err != nil {
		t.Fatal(err)
	}
	return func(q request) (bool, error) { return e.Enforce(q.sub, q.dom, q.obj, q.act) }
}

// regoText looks up what is keyed, and lets OPA walk the roles.
const regoText = `package authz

default allow := false

allow if {
	some role in graph.reachable(data.links[input.dom], {input.sub})
	some prefix in data.rows[input.dom][role][input.act]
	startswith(input.obj, prefix)
}
`

// newOPA is a prepared query over rows and links as nested objects, which OPA looks up by key.
func newOPA(t testing.TB, p *policy) decider {
	rows, links := map[string]any{}, map[string]any{}
	for _, r := range p.rows {
		put(rows, r.prefix, r.dom, r.role, r.act)
	}
	for _, l := range p.links {
		put(links, l.held, l.dom, l.holder)
	}
	for _, r := range p.rows {
		put(links, "", r.dom, r.role) // graph.reachable walks to what is a key alone
	}
	query, err := rego.New(
		rego.Query("data.authz.allow"), rego.Module("authz.rego", regoText),
		rego.Store(inmem.NewFromObjectWithOpts(map[string]any{"rows": rows, "links": links}, inmem.OptReturnASTValuesOnRead(true))),
	).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	sub, dom, obj, act := ast.StringTerm("sub"), ast.StringTerm("dom"), ast.StringTerm("obj"), ast.StringTerm("act")
	return func(q request) (bool, error) {
		result, err := query.Eval(ctx, rego.EvalParsedInput(ast.NewObject(
			ast.Item(sub, ast.StringTerm(q.sub)), ast.Item(dom, ast.StringTerm(q.dom)),
			ast.Item(obj, ast.StringTerm(q.obj)), ast.Item(act, ast.StringTerm(q.act)),
		)))
		return result.Allowed(), err
	}
}

// put adds a value to the list under the keys; "" is only the list.
func put(to map[string]any, value string, keys ...string) {
	for _, key := range keys[:len(keys)-1] {
		next, is := to[key].(map[string]any)
		if !is {
			next = map[string]any{}
			to[key] = next
		}
		to = next
	}
	last := keys[len(keys)-1]
	list, is := to[last].([]any)
	if !is {
		list = []any{}
	}
	if value != "" {
		list = append(list, value)
	}
	to[last] = list
}

// newCedar is one permit a row, and links as the parents of entities.
func newCedar(t testing.TB, p *policy) decider {
	role := func(dom, name string) cedar.EntityUID { return cedar.NewEntityUID("Role", cedar.String(dom+"/"+name)) }
	policies := cedar.NewPolicySet()
	for i, r := range p.rows {
		permit := cedarast.Permit().PrincipalIn(role(r.dom, r.role)).ActionEq(cedar.NewEntityUID("Action", cedar.String(r.act))).
			When(cedarast.Context().Access("dom").Equal(cedarast.String(r.dom)).
				And(cedarast.Context().Access("obj").Like(cedar.NewPattern(r.prefix, types.Wildcard{}))))
		if !policies.Add(cedar.PolicyID(fmt.Sprint(i)), cedar.NewPolicyFromAST(permit)) {
			t.Fatal("add policy: it is there")
		}
	}
	parents := map[cedar.EntityUID][]cedar.EntityUID{}
	people := make(map[string]cedar.EntityUID, len(p.people))
	for _, who := range p.people {
		people[who.name] = cedar.NewEntityUID("Person", cedar.String(who.name))
	}
	for _, l := range p.links {
		holder, is := people[l.holder]
		if !is {
			holder = role(l.dom, l.holder)
		}
		parents[holder] = append(parents[holder], role(l.dom, l.held))
	}
	entities := cedar.EntityMap{}
	for holder, held := range parents {
		entities[holder] = cedar.Entity{UID: holder, Parents: cedar.NewEntityUIDSet(held...)}
	}
	resource := cedar.NewEntityUID("Resource", "any")
	return func(q request) (bool, error) {
		decision, diagnostic := cedar.Authorize(policies, entities, cedar.Request{
			Principal: people[q.sub], Action: cedar.NewEntityUID("Action", cedar.String(q.act)), Resource: resource,
			Context: cedar.NewRecord(cedar.RecordMap{"dom": cedar.String(q.dom), "obj": cedar.String(q.obj)}),
		})
		if len(diagnostic.Errors) > 0 {
			return false, fmt.Errorf("authorize: %s", diagnostic.Errors[0].Message)
		}
		return decision == cedar.Allow, nil
	}
}
