// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package email_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier/receiver/email"
	"github.com/curfewhq/curfew/services/notifier/receivertest"
)

func open(t *testing.T, port int, change func(*email.Config)) *email.Receiver {
	t.Helper()
	c := email.Config{Host: "127.0.0.1", Port: port, TLS: "none", From: "Curfew <curfew@example.com>", To: []string{"security@example.com", "oncall@example.com"}}
	if change != nil {
		change(&c)
	}
	r, err := email.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// parts is a mail's text and HTML.
func parts(t *testing.T, m taken) (text, markup string) {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(m.mail.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("got %q, %v, want multipart/alternative", kind, err)
	}
	reader := multipart.NewReader(strings.NewReader(m.body), parameters["boundary"])
	var list []string
	for {
		part, err := reader.NextRawPart()
		if err != nil {
			break
		}
		content, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(content))
	}
	if len(list) != 2 {
		t.Fatalf("got %d parts, want 2", len(list))
	}
	return list[0], list[1]
}

func subject(t *testing.T, m taken) string {
	t.Helper()
	text, err := (&mime.WordDecoder{}).DecodeHeader(m.mail.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestThread(t *testing.T) {
	s := &server{}
	r := open(t, s.serve(t), nil)
	ref, err := r.Post(t.Context(), receivertest.Post(receivertest.Alert()))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Reply(t.Context(), &curfewv1.Reply{Id: "reply-1", Ref: ref, Lines: []string{"person:bob took it on."}}); err != nil {
		t.Fatal(err)
	}
	all := s.all()
	if len(all) != 2 {
		t.Fatalf("got %d mails, want 2", len(all))
	}
	first, second := all[0].mail.Header, all[1].mail.Header
	if got := first.Get("Message-ID"); got != "<curfew-post-1@example.com>" {
		t.Errorf("got Message-ID %q", got)
	}
	if second.Get("In-Reply-To") != first.Get("Message-ID") || second.Get("References") != first.Get("Message-ID") {
		t.Errorf("got In-Reply-To %q, References %q", second.Get("In-Reply-To"), second.Get("References"))
	}
	if got, want := subject(t, all[1]), "Re: "+subject(t, all[0]); got != want {
		t.Errorf("got subject %q, want %q", got, want)
	}
	if !slices.Equal(all[0].to, []string{"security@example.com", "oncall@example.com"}) || first.Get("Auto-Submitted") != "auto-generated" || first.Get("Importance") != "high" {
		t.Errorf("got to %q, header %v", all[0].to, first)
	}
	text, markup := parts(t, all[0])
	for _, want := range []string{"CRITICAL  ida@example.com shared file", "Change: visibility: private → people_with_link"} {
		if !strings.Contains(text, want) || !strings.Contains(markup, want) {
			t.Errorf("%q is not in %q and %q", want, text, markup)
		}
	}
}

// TestHostile holds that no text of others ends the mail, adds a header or becomes HTML, and that a mail has a bound.
func TestHostile(t *testing.T) {
	s := &server{}
	r := open(t, s.serve(t), nil)
	many, summary := receivertest.Post(), receivertest.Post()
	many.Id = "x@evil>\r\nBcc: all"
	for range 45 {
		many.Alerts = append(many.Alerts, receivertest.Hostile(strings.Repeat("漢\u202e", 1<<12)))
	}
	for range 5000 {
		summary.Alerts = append(summary.Alerts, receivertest.Alert())
	}
	summary.Summary = true
	for name, post := range map[string]*curfewv1.Post{
		"header": receivertest.Post(receivertest.Hostile("x\r\nBcc: eve@example.com\r\n\r\n.\r\nQUIT\r\n")), "html": receivertest.Post(receivertest.Hostile(`<script>"&`)),
		"1 MB": receivertest.Post(receivertest.Hostile(strings.Repeat("x", 1<<20))), "no UTF-8": receivertest.Post(receivertest.Hostile("\xff\xfe\x00")),
		"several": many, "summary": summary, "empty": receivertest.Post(&curfewv1.Alert{}),
	} {
		before := len(s.all())
		if _, err := r.Post(t.Context(), post); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all := s.all()
		if len(all) != before+1 {
			t.Fatalf("%s: got %d mails, want 1", name, len(all)-before)
		}
		m := all[before]
		text, markup := parts(t, m)
		if len(m.raw) > 1<<20 || m.mail.Header.Get("Bcc") != "" || len(m.to) != 2 || strings.Contains(markup, "<script") || strings.ContainsAny(text+subject(t, m), "\u202e\x00") {
			t.Errorf("%s: got %d bytes to %q, header %v", name, len(m.raw), m.to, m.mail.Header)
		}
	}
}

func TestNotice(t *testing.T) {
	s := &server{}
	r := open(t, s.serve(t), nil)
	contact := func(person, system, id string) *curfewv1.Contact {
		return &curfewv1.Contact{Person: person, System: system, Id: id}
	}
	readers := []string{"security@example.com", "oncall@example.com"}
	for _, c := range []struct {
		name     string
		to       []string
		contacts []*curfewv1.Contact
		want     []string
	}{
		{"to a person", []string{"person:ida"}, []*curfewv1.Contact{contact("person:ida", "slack", "U1"), contact("person:ida", "email", "ida@example.com")}, []string{"ida@example.com"}},
		{"to one without an address", []string{"person:ida", "person:bob"}, []*curfewv1.Contact{contact("person:ida", "email", "ida@example.com")}, readers},
		{"to one whose address is none", []string{"person:ida"}, []*curfewv1.Contact{contact("person:ida", "email", "ida\r\nRCPT TO:<eve@example.com>")}, readers},
		{"to everybody", nil, nil, readers},
	} {
		if err := r.Notice(t.Context(), &curfewv1.Notice{Id: c.name, To: c.to, Contacts: c.contacts, Text: "it ended."}); err != nil {
			t.Fatal(err)
		}
		all := s.all()
		if got := all[len(all)-1].to; !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestAnswers holds what each end of a conversation means.
func TestAnswers(t *testing.T) {
	const later, never, unfit = "refused, again after 0s", "refused for good", "refused as it is"
	for _, c := range []struct {
		name   string
		server *server
		want   string
		taken  int
	}{
		{"greeting says later", &server{answers: map[string]string{"greeting": "421 busy"}}, later, 0},
		{"greeting says no", &server{answers: map[string]string{"greeting": "554 no"}}, never, 0},
		{"broken at the greeting", &server{drop: "greeting"}, later, 0},
		{"login refused", &server{answers: map[string]string{"AUTH": "535 " + receivertest.Secret}}, never, 0},
		{"login later", &server{answers: map[string]string{"AUTH": "454 later"}}, later, 0},
		{"sender refused", &server{answers: map[string]string{"MAIL": "550 no"}}, never, 0},
		{"recipient later", &server{answers: map[string]string{"RCPT": "450 greylisted"}}, later, 0},
		{"recipient refused", &server{answers: map[string]string{"RCPT": "550 unknown"}}, never, 0},
		{"broken at a recipient", &server{drop: "RCPT"}, later, 0},
		{"data refused", &server{answers: map[string]string{"DATA": "552 full"}}, unfit, 0},
		{"content refused", &server{answers: map[string]string{".": "554 spam"}}, unfit, 1},
		{"content later", &server{answers: map[string]string{".": "451 later"}}, later, 1},
		{"broken behind the content", &server{drop: "."}, "unclear", 1},
		{"parting goes wrong", &server{drop: "QUIT"}, "arrived", 1},
		{"parting is refused", &server{answers: map[string]string{"QUIT": "500 no"}}, "arrived", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, c.server.serve(t), func(c *email.Config) { c.Username, c.Password = "curfew", config.SecretValue(receivertest.Secret) })
			receivertest.Quiet(t, "the receiver", r, receivertest.Secret)
			_, err := r.Post(t.Context(), receivertest.Post(receivertest.Alert()))
			if got := receivertest.Meaning(err); got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
			if got := len(c.server.all()); got != c.taken {
				t.Errorf("got %d mails' ends, want %d", got, c.taken)
			}
			if err != nil {
				receivertest.Quiet(t, "the error", err, receivertest.Secret)
			}
		})
	}
	listener := httptest.NewServer(http.NotFoundHandler())
	port := portOf(t, listener.Listener)
	listener.Close()
	if _, err := open(t, port, nil).Post(t.Context(), receivertest.Post(receivertest.Alert())); receivertest.Meaning(err) != later {
		t.Errorf("nobody there: got %v", err)
	}
}

func TestContext(t *testing.T) {
	for hang, want := range map[string]string{"greeting": "refused, again after 0s", "EHLO": "refused, again after 0s", "MAIL": "refused, again after 0s", ".": "unclear"} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &server{hang: hang, hung: make(chan struct{})}
		r := open(t, s.serve(t), nil)
		go func() {
			<-s.hung
			cancel()
		}()
		if _, err := r.Post(ctx, receivertest.Post(receivertest.Alert())); receivertest.Meaning(err) != want {
			t.Errorf("%s: got %s (%v), want %s", hang, receivertest.Meaning(err), err, want)
		}
		cancel()
	}
}

// TestTLS holds that beyond this machine nothing is said in the clear.
func TestTLS(t *testing.T) {
	known := httptest.NewTLSServer(http.NotFoundHandler())
	defer known.Close()
	roots := x509.NewCertPool()
	roots.AddCert(known.Certificate())
	start := func(c *email.Config) {
		c.TLS, c.Username, c.Password = "starttls", "curfew", config.SecretValue(receivertest.Secret)
	}
	s := &server{tls: &tls.Config{Certificates: known.TLS.Certificates}}
	r := open(t, s.serve(t), start)
	r.Roots = roots
	if _, err := r.Post(t.Context(), receivertest.Post(receivertest.Alert())); err != nil {
		t.Fatal(err)
	}
	want := "true PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00curfew\x00"+receivertest.Secret))
	if len(s.auth) != 1 || s.auth[0] != want {
		t.Errorf("got AUTH %q, want %q", s.auth, want)
	}
	strange := open(t, s.serve(t), start)
	if _, err := strange.Post(t.Context(), receivertest.Post(receivertest.Alert())); receivertest.Meaning(err) != "refused, again after 0s" || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that is not trusted: got %v", err)
	}
	plain := &server{}
	stripped := open(t, plain.serve(t), start)
	if _, err := stripped.Post(t.Context(), receivertest.Post(receivertest.Alert())); receivertest.Meaning(err) != "refused for good" || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("no STARTTLS: got %v", err)
	}
	if len(plain.auth) > 0 || len(plain.all()) > 0 {
		t.Errorf("no STARTTLS: got %q and %d mails in the clear", plain.auth, len(plain.all()))
	}
}

func TestConfig(t *testing.T) {
	ok := email.Config{Host: "smtp.example.com", From: "curfew@example.com", To: []string{"a@example.com"}}
	for want, change := range map[string]func(*email.Config){
		"host:":                         func(c *email.Config) { c.Host = "smtp://x" },
		"port: 70000":                   func(c *email.Config) { c.Port = 70000 },
		`tls: "no" is none`:             func(c *email.Config) { c.TLS = "no" },
		"in the clear on this machine":  func(c *email.Config) { c.TLS = "none" },
		"password: none":                func(c *email.Config) { c.Username = "x" },
		"username: missing":             func(c *email.Config) { c.Password = config.SecretValue("x") },
		"to: missing":                   func(c *email.Config) { c.To = nil },
		`from: "nobody" is not`:         func(c *email.Config) { c.From = "nobody" },
		`to: "a@example.com\r\nx" is n`: func(c *email.Config) { c.To = []string{"a@example.com\r\nx"} },
	} {
		c := ok
		change(&c)
		if _, err := email.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := email.New(ok); err != nil {
		t.Error(err)
	}
}
