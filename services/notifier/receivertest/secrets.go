// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package receivertest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// Secret is a secret that is none.
const Secret = "s3cr3t-invented-receiver-token"

// secrets lets the far side, and what stands between, throw the request back in every place that could end in an error,
// and looks for a secret there and wherever the receiver can be printed.
func (c Case) secrets(t *testing.T) {
	var stolen atomic.Bool
	elsewhere := (&recorder{}).record(t, func(w http.ResponseWriter, _ *http.Request) {
		stolen.Store(true)
		w.WriteHeader(http.StatusTeapot)
	})
	far := map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+"/?"+url.QueryEscape(everything(r)), http.StatusTemporaryRedirect)
		},
		"an answer that is no HTTP": func(w http.ResponseWriter, r *http.Request) { hijack(w, everything(r)+"\r\n\r\n") },
		"a header that is none": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, "HTTP/1.1 200 OK\r\n"+strings.ReplaceAll(everything(r), "\n", " ")+"\r\n\r\n")
		},
		"a page that is none": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, everything(r)) },
	}
	for _, status := range []int{302, 400, 401, 403, 404, 410, 429, 500, 502, 503} {
		// Whatever length an error is cut to, one of these puts the cut into a secret.
		for padding := 0; padding < 400; padding += 20 {
			far[fmt.Sprintf("status %d, padding %d", status, padding)] = func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				fmt.Fprint(w, strings.Repeat("x", padding), everything(r))
			}
		}
	}
	for name, answer := range far {
		receiver := c.Open(t, (&recorder{}).record(t, answer))
		Quiet(t, "the receiver", receiver, c.Secrets...)
		for call, do := range c.calls(receiver) {
			if err := do(t.Context()); err != nil {
				Quiet(t, name+", "+call, err, c.Secrets...)
			}
		}
	}
	if stolen.Load() {
		t.Error("a redirect was followed")
	}
}

// Quiet holds that v shows none of the secrets however it is printed.
func Quiet(t *testing.T, name string, v any, secrets ...string) {
	t.Helper()
	text := fmt.Sprintf("%v %+v %#v %s", v, v, v, v)
	if err, ok := v.(error); ok {
		text += err.Error()
	}
	if encoded, err := json.Marshal(v); err == nil {
		text += string(encoded)
	}
	for _, secret := range secrets {
		for _, form := range []string{secret, secret[:len(secret)/2], secret[len(secret)/2:], url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if strings.Contains(text, form) {
				t.Errorf("%s shows a secret: %.400q", name, text)
				return
			}
		}
	}
}

// everything is all that a request holds.
func everything(r *http.Request) string {
	var text strings.Builder
	// Into a builder nothing can go wrong.
	_ = r.Header.Write(&text)
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<10))
	if err != nil {
		body = nil
	}
	if _, password, ok := r.BasicAuth(); ok {
		text.WriteString(password)
	}
	return r.URL.String() + " " + text.String() + string(body)
}

// hijack writes raw bytes as the answer.
func hijack(w http.ResponseWriter, raw string) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	// The client may have gone.
	_, _ = io.WriteString(connection, raw)
	_ = connection.Close()
}
