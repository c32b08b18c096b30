// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// byHTTP is a stage whose receiver is delivered to by HTTP.
func byHTTP(t *testing.T, o workspace.Options) (*stage, *heard) {
	t.Helper()
	h := &heard{commands: make(chan *curfewv1.Command, 100), refuse: make(chan error, 100)}
	var handler http.Handler
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The fake has one address for both kinds.
		body := new(bytes.Buffer)
		if _, err := body.ReadFrom(r.Body); err != nil {
			t.Error(err)
		}
		r.URL.Path = "/slack/interactions"
		if !bytes.HasPrefix(body.Bytes(), []byte("payload=")) {
			r.URL.Path = "/slack/commands"
		}
		r.Body = http.NoBody
		again := r.Clone(r.Context())
		again.Body = readCloser{bytes.NewReader(body.Bytes())}
		handler.ServeHTTP(w, again)
	}))
	o.RequestURL = app.URL
	s := set(t, o, func(c *Config) {
		c.AppToken, c.SigningSecret, c.Listen = config.Secret{}, config.SecretValue(workspace.SigningSecret), "127.0.0.1:0"
	})
	l := &clicks{r: s.r, take: h.take}
	ctx, cancel := context.WithCancel(context.Background())
	handler = l.handler(ctx)
	t.Cleanup(func() {
		app.Close()
		l.then.Wait()
		cancel()
		http.DefaultClient.CloseIdleConnections()
	})
	return s, h
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// delivery is one by HTTP.
type sent struct {
	method, path, secret, signature string
	at                              time.Time
	body                            []byte
}

func (d sent) to(h http.Handler) int {
	req := httptest.NewRequest(d.method, d.path, bytes.NewReader(d.body))
	req.Header.Set("X-Slack-Request-Timestamp", strconv.FormatInt(d.at.Unix(), 10))
	if d.signature == "" {
		d.signature = workspace.Sign(d.secret, d.at, d.body)
	}
	req.Header.Set("X-Slack-Signature", d.signature)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Code
}

// What is not surely Slack's, and of now, and new, is refused before it is read.
func TestOnlySlackIsBelieved(t *testing.T) {
	s, h := byHTTP(t, workspace.Options{})
	_, ts := s.posted(alert(nil))
	body := func() []byte {
		payload, err := s.slack.Payload(workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: "acknowledge"})
		if err != nil {
			t.Fatal(err)
		}
		return workspace.Form(workspace.Interactive, payload)
	}
	l := &clicks{r: s.r, take: h.take}
	handler := l.handler(t.Context())
	defer l.then.Wait()
	good := sent{method: http.MethodPost, path: "/slack/interactions", secret: workspace.SigningSecret, at: noon()}
	for _, c := range []struct {
		name   string
		change func(*sent)
		want   int
	}{
		{"another secret", func(d *sent) { d.secret = "another" }, http.StatusUnauthorized},
		{"no secret", func(d *sent) { d.secret = "" }, http.StatusUnauthorized},
		{"no signature", func(d *sent) { d.signature = " " }, http.StatusUnauthorized},
		{"a signature of another body", func(d *sent) { d.signature = workspace.Sign(d.secret, d.at, []byte("x")) }, http.StatusUnauthorized},
		{"upper case", func(d *sent) {
			d.signature = "v0=" + strings.ToUpper(strings.TrimPrefix(workspace.Sign(d.secret, d.at, d.body), "v0="))
		}, http.StatusUnauthorized},
		{"old", func(d *sent) { d.at = noon().Add(-maxAge - time.Second) }, http.StatusUnauthorized},
		{"of the future", func(d *sent) { d.at = noon().Add(maxAge + time.Second) }, http.StatusUnauthorized},
		{"by GET", func(d *sent) { d.method = http.MethodGet }, http.StatusMethodNotAllowed},
		{"another path", func(d *sent) { d.path = "/" }, http.StatusNotFound},
		{"too large", func(d *sent) { d.body = bytes.Repeat([]byte("x"), maxBody+1) }, http.StatusRequestEntityTooLarge},
		{"no form", func(d *sent) { d.body = []byte("payload=%zz") }, http.StatusServiceUnavailable},
		{"good", func(*sent) {}, http.StatusOK},
		{"nearly old", func(d *sent) { d.at = noon().Add(-maxAge) }, http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := good
			d.body = body()
			c.change(&d)
			if got := d.to(handler); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
			want := 0
			if c.want == http.StatusOK {
				want = 1
			}
			if len(h.commands) != want {
				t.Fatalf("%d commands were taken, want %d", len(h.commands), want)
			}
			if want == 1 {
				h.next(t)
				if got := d.to(handler); got != http.StatusConflict || len(h.commands) > 0 {
					t.Errorf("the same again: got %d and %d commands, want %d and none", got, len(h.commands), http.StatusConflict)
				}
			}
		})
	}
}

// Signatures are remembered for as long as they would be believed, and no longer.
func TestSealsAreForgotten(t *testing.T) {
	s := &seals{known: map[string]time.Time{}}
	if !s.add("a", noon()) || s.add("a", noon().Add(2*maxAge)) {
		t.Error("a signature was forgotten while it is believed")
	}
	if !s.add("b", noon().Add(4*maxAge)) || len(s.known) != 1 {
		t.Errorf("%d are remembered, want 1", len(s.known))
	}
}

// Every delivery that is not believed is counted, and told of once a minute.
func TestDoubt(t *testing.T) {
	s := &seals{}
	for _, c := range []struct{ after, want int }{{0, 1}, {1, 0}, {59, 0}, {60, 3}, {61, 0}, {180, 2}} {
		if got := s.doubt(noon().Add(time.Duration(c.after) * time.Second)); got != c.want {
			t.Errorf("after %d s: got %d, want %d", c.after, got, c.want)
		}
	}
}

func TestListenByHTTP(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	s := set(t, workspace.Options{RequestURL: "http://" + address + "/slack/interactions"}, func(c *Config) {
		c.AppToken, c.SigningSecret, c.Listen = config.Secret{}, config.SecretValue(workspace.SigningSecret), address
	})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	_, ts := s.posted(alert(nil))
	h := s.listen()
	for connected := false; !connected; {
		if conn, err := net.Dial("tcp", address); err == nil {
			connected = true
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.slack.Click(t.Context(), workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: "ask"}); err != nil {
		t.Fatal(err)
	}
	if got := h.next(t); got.GetKind() != curfewv1.CommandKind_COMMAND_KIND_ASK {
		t.Errorf("got %v", got)
	}
}

// Where it cannot listen it says so, and tries again.
func TestListenWhereSomebodyElseDoes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := set(t, workspace.Options{}, func(c *Config) {
		c.AppToken, c.SigningSecret, c.Listen = config.Secret{}, config.SecretValue(workspace.SigningSecret), taken.Addr().String()
	})
	s.r.after = func(time.Duration) <-chan time.Time { now := make(chan time.Time, 1); now <- noon(); return now }
	reports := make(chan error)
	stop := make(chan struct{})
	s.r.Report(func(err error) {
		select {
		case reports <- err:
		case <-stop:
		}
	})
	s.listen()
	for range 2 {
		if err := <-reports; !strings.Contains(err.Error(), "listen") {
			t.Errorf("got %v", err)
		}
	}
	close(stop)
}
