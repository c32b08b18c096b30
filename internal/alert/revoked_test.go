// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package alert

import (
	"fmt"
	"testing"
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// What became of a grant is said once, and a command is known, however much is done on an alert.
func TestWhatBecameOfAGrantIsSaidOnce(t *testing.T) {
	now := time.Now()
	a := Add(nil, &curfewv1.Finding{Id: "f", Tenant: "main", Detection: "d", Decision: &curfewv1.Decision{Subject: "person:ida"}}, now)
	a = Did(a, "click-revoke")
	var grants []string
	for i := range maxRevoked {
		grants = append(grants, fmt.Sprint("g", i))
	}
	a = Revoked(a, "person:bob", "revoked", grants, now)
	for _, g := range grants {
		a = Gone(a, g, g+" is gone", now)
	}
	for i := range 13 {
		a = Did(a, fmt.Sprint("c", i))
	}
	if again := Unseen(a); len(again) > 0 {
		t.Errorf("it was said of each what became of it, and is to be said again of %v", again)
	}
}

// Who was asked and has not answered can answer when the alert was opened again, and can be asked about that as well.
func TestAQuestionOutlivesItsEpisode(t *testing.T) {
	now := time.Now()
	f := &curfewv1.Finding{Id: "f", Tenant: "main", Detection: "d", Decision: &curfewv1.Decision{Subject: "person:ida"}}
	a := Resolve(Ask(Add(nil, f, now), "person:bob", now), "person:bob", "surely ida", now)
	a = Add(a, &curfewv1.Finding{Id: "g", Tenant: "main", Detection: "d", Decision: f.Decision}, now.Add(time.Minute))
	if a.GetEpisode() != 2 || Answer(a, curfewv1.QuestionAnswer_QUESTION_ANSWER_NOT_ME, now) == nil {
		t.Errorf("episode %d: what she says is not heard", a.GetEpisode())
	}
	again := Ask(a, "person:bob", now.Add(2*time.Minute))
	if again == nil || Ask(again, "person:bob", now.Add(3*time.Minute)) != nil {
		t.Errorf("got %v, want her asked once more, and once", again.GetQuestion())
	}
}
