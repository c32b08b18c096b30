// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/yamlfile"
)

// withClasses is the catalogue with a user's classes, written as a YAML list.
func withClasses(t *testing.T, text string) (*catalog.Catalog, error) {
	t.Helper()
	var items []yamlfile.Section
	if err := yamlfile.Decode("classes.yaml", []byte(text), &items); err != nil {
		t.Fatal(err)
	}
	return load(t).WithClasses("classes.yaml", items)
}

func extend(t *testing.T, text string) *catalog.Catalog {
	t.Helper()
	c, err := load(t).Extend("catalog.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheLongerEntryCounts(t *testing.T) {
	c := extend(t, `
sources:
  okta:
    actions:
      - {action: user.session.start, act: read, class: internal}
      - {action: user.session.*, act: read, class: public}
      - {action: user.*, act: delete, class: chd}
      - {action: user.session.impersonation.grant.*, act: export}
      - {action: application.made_up, act: search, class: order, app: true}
  google_workspace:
    actions:
      - {action: download, act: read}
      - {action: drive/made_up, act: share}
`)
	for _, a := range []struct {
		name, source, feed, action string
		act, class                 string
	}{
		{"a name over the catalogue's", "okta", "system_log", "user.session.start", "read", "internal"},
		{"a prefix as long as the catalogue's", "okta", "system_log", "user.session.end", "read", "public"},
		{"the catalogue's longer prefix", "okta", "system_log", "user.session.impersonation.end", "administer", "admin"},
		{"the user's longer prefix", "okta", "system_log", "user.session.impersonation.grant.all", "export", ""},
		{"the catalogue's name over the user's prefix", "okta", "system_log", "user.account.expire_password", "administer", "identity.basic"},
		{"the user's short prefix over nothing", "okta", "system_log", "user.made_up", "delete", "chd"},
		{"what the catalogue does not know", "okta", "system_log", "application.made_up", "search", "order"},
		{"a name without its feed over one with", "google_workspace", "drive", "download", "read", ""},
		{"one with its feed", "google_workspace", "drive", "made_up", "share", ""},
		{"another source's", "slack", "audit", "download", "", ""},
	} {
		got, known := c.Action(a.source, a.feed, a.action)
		if known != (a.act != "") || got.Act != a.act || got.Class != a.class || got.App != (a.action == "application.made_up") {
			t.Errorf("%s: got %+v, %v, want %s of %q", a.name, got, known, a.act, a.class)
		}
	}
	if before, after := load(t), extend(t, ""); !slices.Equal(before.Sources(), after.Sources()) {
		t.Errorf("an empty file: got %v, want %v", after.Sources(), before.Sources())
	}
}

func TestExtendLeavesWhatItExtends(t *testing.T) {
	before := load(t)
	if _, err := before.Extend("catalog.yaml", []byte("sources: {okta: {actions: [{action: user.session.start, act: delete}]}, own_shop: {}}")); err != nil {
		t.Fatal(err)
	}
	if was, _ := before.Action("okta", "system_log", "user.session.start"); was.Act != "login" || slices.Contains(before.Sources(), "own_shop") {
		t.Errorf("got %+v and %v", was, before.Sources())
	}
}

func TestKindsAndScopesOfAUser(t *testing.T) {
	c := extend(t, `
sources:
  okta:
    kinds: {app: secret, made_up: order}
    scopes:
      - {scope: openid, class: order}
      - {scope: okta.*, class: chd}
  own_shop:
    kinds: {basket: behavioural}
    scopes: [{scope: "*", class: order}]
`)
	for _, k := range []struct{ source, kind, want string }{
		{"okta", "app", "secret"}, {"okta", "made_up", "order"}, {"okta", "policy", "admin"}, {"own_shop", "basket", "behavioural"},
		{"own_shop", "app", ""},
	} {
		if got, known := c.Kind(k.source, k.kind); got != k.want || known != (k.want != "") {
			t.Errorf("kind %s of %s: got %q, %v, want %q", k.kind, k.source, got, known, k.want)
		}
	}
	for _, s := range []struct{ source, scope, want string }{
		{"okta", "openid", "order"}, {"okta", "profile", "identity.basic"}, {"okta", "okta.users.read", "pii.hr"},
		{"okta", "okta.users.credentials.manage", "secret"}, {"own_shop", "anything", "order"}, {"github", "made_up_scope", ""},
	} {
		if got, known := c.Scope(s.source, s.scope); got != s.want || known != (s.want != "") {
			t.Errorf("scope %s of %s: got %q, %v, want %q", s.scope, s.source, got, known, s.want)
		}
	}
	if own := slices.DeleteFunc(c.Sources(), func(s string) bool { return slices.Contains(load(t).Sources(), s) }); !slices.Equal(own, []string{"own_shop"}) {
		t.Errorf("the user's own sources: got %v", own)
	}
}

func TestExtendSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "sources: {okta: {action: []}}", `line 1: unknown key "action"; known here: actions, kinds, scopes`},
		{"unknown key of an action", "sources:\n  okta:\n    actions:\n      - {action: a, act: read, clas: order}", `line 4: unknown key "clas"; known here: act, action, app, class`},
		{"no act", "sources: {okta: {actions: [{action: a}]}}", `line 1: action "a" has act ""; an act is one of read search`},
		{"mistyped act", "sources:\n  okta:\n    actions:\n      - {action: a, act: raed}", `line 4: action "a" has act "raed"`},
		{"no name", "sources: {okta: {actions: [{act: read}]}}", "an action needs the vendor's name of it"},
		{"twice", "sources:\n  okta:\n    actions:\n      - {action: a, act: read}\n      - {action: a, act: share}", `line 5: action "a" is there twice`},
		{"class of an action", "sources: {okta: {actions: [{action: a, act: read, class: nope}]}}", `class "nope" is not known; it is neither in the catalogue nor under classes in classes.yaml`},
		{"class of a kind", "sources:\n  okta:\n    kinds:\n      app: order\n      file: nope", `line 5: class "nope" is not known`},
		{"no class of a kind", "sources: {okta: {kinds: {app: }}}", "an entry is empty"},
		{"class of a scope", "sources: {okta: {scopes: [{scope: a, class: nope}]}}", `class "nope" is not known`},
		{"no name of a scope", "sources: {okta: {scopes: [{class: order}]}}", "a scope needs its name"},
		{"Curfew itself", "sources: {curfew: {kinds: {api: public}}}", "Curfew's own API"},
		{"no YAML", "sources: [", "line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t).Extend("catalog.yaml", []byte(c.text))
			if err == nil || !strings.HasPrefix(err.Error(), "read catalog.yaml: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestClassesOfAUser(t *testing.T) {
	c, err := withClasses(t, `
- {id: shop.loyalty, sensitivity: 3, parents: [shop, customer], note: points}
- {id: shop, sensitivity: 1}
- {id: order, sensitivity: 5}
- {id: unclassified, sensitivity: 3}
- {id: finance, parents: [shop]}
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		id          string
		sensitivity int
		above       string
	}{
		{"shop.loyalty", 3, "shop customer personal"}, {"shop", 1, ""}, {"order", 5, "customer personal"}, {"unclassified", 3, ""},
		{"finance", 4, "payment shop"}, {"pii.contact", 4, "customer personal"},
	} {
		got, known := c.Class(want.id)
		if above := strings.Join(c.Above(want.id), " "); !known || got.Sensitivity != want.sensitivity || above != want.above {
			t.Errorf("%s: got %d under %q, want %d under %q", want.id, got.Sensitivity, above, want.sensitivity, want.above)
		}
	}
	if got, _ := c.Class("order"); got.Note == "" {
		t.Error("a note that is left out stays")
	}
	if got, want := len(c.Classes()), len(load(t).Classes())+2; got != want {
		t.Errorf("got %d classes, want %d", got, want)
	}
	if was, _ := load(t).Class("order"); was.Sensitivity != 3 {
		t.Error("the embedded catalogue changed")
	}
}

func TestClassesSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"lowered", "- {id: x, sensitivity: 1}\n- {id: secret, sensitivity: 2}", `line 2: class "secret" is the catalogue's, of sensitivity 5, and cannot be lowered to 2; leave sensitivity out, or give`},
		{"public by what is left out", "- {id: x}", `line 1: class "x" has no sensitivity; write one, from 0 (public) to 5`},
		{"too high", "- {id: x, sensitivity: 6}", "it runs from 0 (public) to 5"},
		{"twice", "- {id: x, sensitivity: 1}\n- {id: x, sensitivity: 1}", `line 2: class "x" is there twice`},
		{"no id", "- {sensitivity: 1}", `class id "" must be`},
		{"an id like a level", "- {id: 'level:low', sensitivity: 1}", `class id "level:low" must be`},
		{"unknown parent", "- {id: x, sensitivity: 1, parents: [nope]}", `line 1: class "nope" is not known`},
		{"its own parent", "- {id: x, sensitivity: 1, parents: [x]}", `class "x" belongs to itself`},
		{"a circle", "- {id: x, sensitivity: 1, parents: [order]}\n- {id: customer, parents: [x]}", "belongs to itself"},
		{"unknown key", "- {id: x, sensitivty: 1}", `line 1: unknown key "sensitivty"; known here: id, note, parents, sensitivity`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := withClasses(t, c.text)
			if err == nil || !strings.HasPrefix(err.Error(), "read classes.yaml: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}
