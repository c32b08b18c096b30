// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// UnclassifiedKind is the id of the findings that Unclassified makes.
const UnclassifiedKind = "unclassified_kind"

// Gap is a thing of a source of which nobody has said what data it is about.
type Gap struct {
	// What it is: "kind" of a resource, "scope" or "action"; "rest" for all that there are besides.
	What string
	// Name is the vendor's name of it.
	Name string
}

// Unclassified is the finding that nobody has said what data a thing is about: in is the first event seen of it. The same
// thing of a source gives the same id, whatever the event. It names nobody: it is about the source and not about whoever
// came first.
func Unclassified(in Input, gap Gap) *curfewv1.Finding {
	e, d := in.Event, in.Decision
	f := &curfewv1.Finding{
		Format: 1, Tenant: e.GetTenant(), Detection: UnclassifiedKind, Time: e.GetTime(), Severity: curfewv1.Severity_SEVERITY_LOW,
		Id: strings.TrimPrefix(event.ContentKey(UnclassifiedKind, e.GetTenant(), e.GetSource(), gap.What, gap.Name), "sha256-"),
		Event: &curfewv1.Event{
			Id: e.GetId(), Tenant: e.GetTenant(), Source: e.GetSource(), Feed: e.GetFeed(), Time: e.GetTime(), Received: e.GetReceived(),
			Action: d.GetAction(), Act: d.GetAct(), Resource: &curfewv1.Resource{Kind: e.GetResource().GetKind()},
		},
		Decision: d, Controls: []string{"NIST RA-2", "ISO 27001 A.5.12"},
	}
	f.Title, f.NextSteps = gap.ask(e, d)
	f.Reason = fmt.Sprintf("The first one seen is %s (%s). It was judged as unclassified, which is neither public nor known to be sensitive, and so are all others until somebody says more. This is told once.",
		d.GetObject(), d.GetAction())
	f.NextSteps = append(f.NextSteps, "CLASS is a class of the catalogue, such as internal or pii.contact, or one that you add under classes in classes.yaml.")
	return f
}

// ask is what is not known of a gap, and where to say it.
func (g Gap) ask(e *curfewv1.Event, d *curfewv1.Decision) (title string, steps []string) {
	const say = "Say it in catalog.yaml of the policy folder: sources: {%s: {%s}}"
	source, name := e.GetSource(), scalar(g.Name)
	switch g.What {
	case "kind":
		prefix, _, _ := strings.Cut(e.GetResource().GetPath(), "/")
		return fmt.Sprintf("Nobody has said what data the kind %s of %s holds", name, source), []string{
			fmt.Sprintf(say, source, "kinds: {"+name+": CLASS}"),
			fmt.Sprintf("Or say it of some, in classes.yaml: resources: [{object: %q, class: CLASS}]", source+"/"+prefix+"/ID"),
		}
	case "scope":
		return fmt.Sprintf("Nobody has said what data the scope %s of %s opens", name, source), []string{
			fmt.Sprintf(say, source, "scopes: [{scope: "+name+", class: CLASS}]"),
		}
	case "action":
		act := d.GetAct()
		if act == "" {
			act = "ACT"
		}
		return fmt.Sprintf("Nobody has said what data the action %s of %s touches", name, source), []string{
			fmt.Sprintf(say, source, "actions: [{action: "+name+", act: "+act+", class: CLASS}]"),
		}
	default:
		return "Nobody has said what data very many things of " + source + " hold; no more of them are named", []string{
			"Look which they are: the decisions about them have the class unclassified: curfew log query --source " + source,
			fmt.Sprintf(say, source, "kinds: {KIND: CLASS}"),
		}
	}
}

// scalar is a name as YAML takes it, short enough to be read.
func scalar(name string) string {
	if runes := []rune(name); len(runes) > 100 {
		name = string(runes[:100]) + "…"
	}
	if name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789_.") == "" && strings.Trim(name, "0123456789_.") != "" {
		return name
	}
	return strconv.Quote(name)
}
