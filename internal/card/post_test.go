// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package card_test

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func TestPosts(t *testing.T) {
	one := &curfewv1.Post{Alerts: []*curfewv1.Alert{share()}, Repeated: true}
	several := &curfewv1.Post{Alerts: []*curfewv1.Alert{changed(silent), share()}}
	summary := &curfewv1.Post{Alerts: several.Alerts, Summary: true}
	for name, post := range map[string]*curfewv1.Post{"one": one, "several": several, "summary": summary, "none": {}} {
		text := append([]string{card.Heading(post), ""}, card.Text(post, time.UTC)...)
		golden(t, "post_"+name, []byte(strings.Join(text, "\n")+"\n"))
	}
}

// FuzzPlain holds what Plain promises of any text.
func FuzzPlain(f *testing.F) {
	for _, text := range []string{"", "Ida", "a\u202eb\x00", "x \u0301\u0301\u0301\u0301\u0301\u0301", "\xff\xfe", "👨\u200d👩", strings.Repeat("wide 漢 ", 50)} {
		f.Add(text, 20)
	}
	f.Fuzz(func(t *testing.T, text string, most int) {
		got := card.Plain(text, most)
		if utf8.RuneCountInString(got) > max(most, 0) || !utf8.ValidString(got) {
			t.Errorf("got %q, which is no text of at most %d runes", got, most)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) && r != '\ufe0f' && r != '\ufe0e' {
				t.Errorf("got %q, in which %U is not seen", got, r)
			}
		}
		if strings.Contains(got, "  ") || strings.TrimSpace(got) != got {
			t.Errorf("got %q, with white space to spare", got)
		}
		if again := card.Plain(got, most); again != got {
			t.Errorf("again: got %q, want %q", again, got)
		}
	})
}
