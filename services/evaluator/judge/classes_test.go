// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
)

// judgeBy judges by a policy of files that allows everybody what is not sensitive, as if it had always been in force.
func judgeBy(t *testing.T, files ...string) *Judge {
	t.Helper()
	policy, err := makePolicy(t, append([]string{policyFile, "p, role:anyone, *, *, level:low, *, allow\n"}, files...)...)
	if err != nil {
		t.Fatal(err)
	}
	return &Judge{Tenant: "main", Pseudonyms: []byte("key"), Policies: func(time.Time) (*Policy, time.Time) { return policy, time.Time{} }}
}

func TestAUsersCatalogueDecides(t *testing.T) {
	at := driveEvent("", "", "").GetTime()
	e := &curfewv1.Event{
		Source: "slack", Feed: "audit", Time: at, Received: at, Action: "basket_opened", Actor: &curfewv1.Actor{Id: "U1"},
		Resource: &curfewv1.Resource{Kind: "basket", Path: "basket/1", Name: "Ann's"},
	}
	const actions = "sources: {slack: {actions: [{action: basket_*, act: read}]}}"
	for _, c := range []struct {
		name    string
		files   []string
		verdict curfewv1.Verdict
		classes string
	}{
		{"an action nobody knows", nil, curfewv1.Verdict_VERDICT_UNKNOWN, "unclassified"},
		{"an action of the user's", []string{catalogFile, actions}, curfewv1.Verdict_VERDICT_ALLOWED, "unclassified"},
		{"a kind of the user's", []string{catalogFile, "sources: {slack: {actions: [{action: basket_*, act: read}], kinds: {basket: order}}}"}, curfewv1.Verdict_VERDICT_VIOLATION, "order"},
		{"a class of the user's", []string{catalogFile, "sources: {slack: {actions: [{action: basket_*, act: read}], kinds: {basket: shop}}}", classesFile, "classes: [{id: shop, sensitivity: 1}]"}, curfewv1.Verdict_VERDICT_ALLOWED, "shop"},
		{"an object before its kind", []string{catalogFile, actions, classesFile, `resources: [{object: "slack/basket/*", class: chd}]`}, curfewv1.Verdict_VERDICT_VIOLATION, "chd"},
		{"what nobody knows made sensitive", []string{catalogFile, actions, classesFile, "classes: [{id: unclassified, sensitivity: 3}]"}, curfewv1.Verdict_VERDICT_VIOLATION, "unclassified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := judgeBy(t, c.files...).Decide(e)
			if d.GetVerdict() != c.verdict || strings.Join(d.GetClasses(), " ") != c.classes {
				t.Errorf("got %v of %v because %q, want %v of %s", d.GetVerdict(), d.GetClasses(), d.GetReason(), c.verdict, c.classes)
			}
		})
	}
}

func TestGaps(t *testing.T) {
	kind := func(name string) []detection.Gap { return []detection.Gap{{What: "kind", Name: name}} }
	for _, c := range []struct {
		name   string
		event  *curfewv1.Event
		files  []string
		want   []detection.Gap
		decide string // classes of the decision
	}{
		{"a kind that is known", driveEvent("", "view", "read"), nil, nil, "content.files"},
		{"one that is not", &curfewv1.Event{Source: "google_workspace", Feed: "drive", Action: "view", Resource: &curfewv1.Resource{Kind: "basket", Path: "basket/1"}}, nil, kind("basket"), "unclassified"},
		{"one that the user knows", &curfewv1.Event{Source: "google_workspace", Feed: "drive", Action: "view", Resource: &curfewv1.Resource{Kind: "basket"}}, []string{catalogFile, "sources: {google_workspace: {kinds: {basket: order}}}"}, nil, "order"},
		{"one that the user leaves open for an object", &curfewv1.Event{Source: "google_workspace", Feed: "drive", Action: "view", Resource: &curfewv1.Resource{Kind: "basket", Path: "basket/1"}}, []string{classesFile, `resources: [{object: "*/basket/*", class: unclassified}]`}, nil, "unclassified"},
		{"one that the catalogue leaves open", &curfewv1.Event{Source: "m365", Feed: "audit_general", Action: "x", Resource: &curfewv1.Resource{Kind: "report"}}, nil, kind("report"), "unclassified"},
		{"of a source that nobody knows", &curfewv1.Event{Source: "own", Feed: "log", Action: "x", Resource: &curfewv1.Resource{Kind: "basket"}}, nil, kind("basket"), "unclassified"},
		{"an action that says", &curfewv1.Event{Source: "github", Feed: "audit_log", Action: "git.clone", Resource: &curfewv1.Resource{Kind: "basket"}}, nil, nil, "code"},
		{"an action that leaves it open", &curfewv1.Event{Source: "okta", Feed: "system_log", Action: "workflows.user.table.view", Resource: &curfewv1.Resource{Kind: "app"}}, nil, []detection.Gap{{What: "action", Name: "workflows.user.table.view"}}, "unclassified"},
		{"no resource", &curfewv1.Event{Source: "google_workspace", Feed: "drive", Action: "view"}, nil, []detection.Gap{{What: "action", Name: "view"}}, "unclassified"},
		{"scopes of an app", &curfewv1.Event{Source: "google_workspace", Feed: "token", Action: "authorize", Resource: &curfewv1.Resource{Kind: "app"}, App: &curfewv1.App{Id: "1", Scopes: []string{"https://mail.google.com/", "made.up", "made.up.too"}}}, nil,
			[]detection.Gap{{What: "scope", Name: "made.up"}, {What: "scope", Name: "made.up.too"}}, "content.mail unclassified"},
		{"a scope and nothing else", &curfewv1.Event{Source: "google_workspace", Feed: "token", Action: "authorize", App: &curfewv1.App{Id: "1", Scopes: []string{"made.up"}}}, nil,
			[]detection.Gap{{What: "scope", Name: "made.up"}}, "unclassified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeBy(t, c.files...)
			if got := j.Gaps(c.event); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if got := strings.Join(j.Decide(c.event).GetClasses(), " "); got != c.decide {
				t.Errorf("classes: got %s, want %s", got, c.decide)
			}
		})
	}
}

func TestClassesAndCatalogSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, file, content, want string }{
		{"a lowered class", classesFile, "classes:\n  - {id: secret, sensitivity: 0}\n", `read classes.yaml: line 2: class "secret" is the catalogue's, of sensitivity 5`},
		{"an unknown class of a resource", classesFile, "resources:\n  - {object: x, class: order}\n  - {object: y, class: nope}\n", `read classes.yaml: line 3: class "nope" is not known`},
		{"object and name", classesFile, "resources: [{object: x, name: y, class: order}]\n", "line 1: a resource needs either object or name"},
		{"a mistyped key of a resource", classesFile, "resources:\n  - {objct: x, class: order}\n", `line 2: unknown key "objct"; known here: class, name, object`},
		{"an unknown class of a kind", catalogFile, "sources:\n  okta:\n    kinds: {app: nope}\n", `read catalog.yaml: line 3: class "nope" is not known`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := makePolicy(t, policyFile, "p, role:anyone, *, *, level:low, *, allow\n", c.file, c.content)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}
