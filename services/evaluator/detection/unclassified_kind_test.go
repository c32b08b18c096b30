// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
)

// canvas is somebody's act on a kind that nobody knows.
func canvas(id string) detection.Input {
	return detection.Input{
		Event: &curfewv1.Event{
			Id: "slack:" + id, Tenant: "shop", Source: "slack", Raw: []byte("{}"),
			Actor:    &curfewv1.Actor{Email: "ann@example.com", Name: "Ann"},
			Resource: &curfewv1.Resource{Kind: "canvas", Path: "canvas/" + id, Name: "Ann's prices"},
			Context:  &curfewv1.Context{Ip: "192.0.2.7"},
		},
		Decision: &curfewv1.Decision{Subject: "person:ann", Object: "slack/canvas/~0123", Act: "read", Action: "canvas_opened", Classes: []string{"unclassified"}},
	}
}

func TestUnclassified(t *testing.T) {
	for _, c := range []struct {
		gap         detection.Gap
		title, step string
	}{
		{detection.Gap{What: "kind", Name: "canvas"}, "the kind canvas of slack holds", "sources: {slack: {kinds: {canvas: CLASS}}}"},
		{detection.Gap{What: "kind", Name: "no: yes"}, `the kind "no: yes" of slack`, `{kinds: {"no: yes": CLASS}}`},
		{detection.Gap{What: "kind", Name: "3"}, `the kind "3" of slack`, `{kinds: {"3": CLASS}}`},
		{detection.Gap{What: "scope", Name: "files:all"}, `the scope "files:all" of slack opens`, `scopes: [{scope: "files:all", class: CLASS}]`},
		{detection.Gap{What: "action", Name: "canvas_opened"}, "the action canvas_opened of slack touches", "actions: [{action: canvas_opened, act: read, class: CLASS}]"},
		{detection.Gap{What: "rest"}, "very many things of slack", "curfew log query --source slack"},
	} {
		f := detection.Unclassified(canvas("1"), c.gap)
		if !strings.Contains(f.GetTitle(), c.title) || !strings.Contains(strings.Join(f.GetNextSteps(), "\n"), c.step) {
			t.Errorf("%v: got %q and %q, want %q and %q", c.gap, f.GetTitle(), f.GetNextSteps(), c.title, c.step)
		}
		if !strings.Contains(f.GetReason(), "slack/canvas/~0123") || f.GetSeverity() != curfewv1.Severity_SEVERITY_LOW {
			t.Errorf("%v: got %v because %q", c.gap, f.GetSeverity(), f.GetReason())
		}
	}
}

func TestUnclassifiedIsAboutTheKindAndNobody(t *testing.T) {
	kind := detection.Gap{What: "kind", Name: "canvas"}
	first, second := detection.Unclassified(canvas("1"), kind), detection.Unclassified(canvas("2"), kind)
	if first.GetId() != second.GetId() || first.GetId() == "" {
		t.Errorf("got ids %s and %s, want one for the kind", first.GetId(), second.GetId())
	}
	ids := map[string]bool{first.GetId(): true}
	for _, gap := range []detection.Gap{{What: "kind", Name: "list"}, {What: "scope", Name: "canvas"}, {What: "rest"}} {
		ids[detection.Unclassified(canvas("1"), gap).GetId()] = true
	}
	elsewhere := canvas("1")
	elsewhere.Event = proto.CloneOf(elsewhere.Event)
	elsewhere.Event.Source = "github"
	ids[detection.Unclassified(elsewhere, kind).GetId()] = true
	if len(ids) != 5 {
		t.Errorf("got %d ids for five things", len(ids))
	}
	if text := first.String(); strings.Contains(text, "Ann") || strings.Contains(text, "ann@") || strings.Contains(text, "192.0.2.7") {
		t.Errorf("the finding names whoever came first: %s", text)
	}
	if first.GetEvent().GetSource() != "slack" {
		t.Error("findings are listed by source")
	}
}
