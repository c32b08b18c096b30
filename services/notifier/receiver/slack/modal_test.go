// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Whoever proposes that something is expected reads what else that covers, and for how long.
func TestExpectedSaysWhatItCovers(t *testing.T) {
	const all, one = `"value":"class"`, `"value":"resource"`
	for _, c := range []struct {
		name   string
		change func(*curfewv1.Alert)
		old    bool // the button is of an older version
		has    []string
		hasNot string
	}{
		{"one object", func(a *curfewv1.Alert) { a.Object = "m365/drive/item/7" }, false, []string{
			"every alert of unauthorized_access about person:ida and data pii.contact, on any object of any source, is expected from now until the time you choose is over, 90 days at most.",
			"Only on m365/drive/item/7", all, one,
		}, "Only on the object"},
		{"several objects", nil, false, []string{"every alert of unauthorized_access about person:ida", all}, one},
		{"any data", func(a *curfewv1.Alert) { a.DataClass = "" }, false, []string{"about person:ida and any data"}, "data pii"},
		{"a long name", func(a *curfewv1.Alert) {
			a.Object, a.Entity = strings.Repeat("<", 1500), "person:"+strings.Repeat("&", 299)
		}, false, []string{"every alert of this detection", all, one}, "Only on \\u0026lt;"},
		{"an older button", nil, true, []string{"every alert of this detection about the same person or app and data, on any object of any source", all, one}, "person:ida"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := alert(c.change)
			var v value
			for _, e := range buttons(a, card.Of(a).Actions) {
				if b, is := e.(*slack.ButtonBlockElement); is && b.ActionID == idExpect {
					v, _ = readValue(b.Value)
				}
			}
			if v.Alert == "" {
				t.Fatal("there is no button")
			}
			if c.old {
				v.Says, v.Object = "", ""
			}
			view, ok := modal(idExpect, v, "")
			if !ok {
				t.Fatal("there is no form")
			}
			raw, err := json.Marshal(view)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.has {
				if !strings.Contains(string(raw), want) {
					t.Errorf("got %s\nwant %q", raw, want)
				}
			}
			if strings.Contains(string(raw), c.hasNot) {
				t.Errorf("got %s\nwant no %q", raw, c.hasNot)
			}
		})
	}
}
