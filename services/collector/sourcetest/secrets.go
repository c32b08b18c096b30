// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// testSecrets lets vendors and what stands between throw the request, token and all, back at the source in every place
// that could end in an error.
func testSecrets(t *testing.T, c Case) {
	var stolen atomic.Bool
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(everything(r), token) {
			stolen.Store(true)
		}
		w.WriteHeader(http.StatusTeapot)
	}))

	handlers := map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+"/?"+url.QueryEscape(everything(r)), http.StatusFound)
		},
		"an answer that is no HTTP": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, r.Header.Get("Authorization")+" "+everything(r)+"\r\n\r\n")
		},
		"a header that is none": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, "HTTP/1.1 200 OK\r\n"+strings.ReplaceAll(everything(r), "\n", " ")+"\r\n\r\n")
		},
		"a page that is none": func(w http.ResponseWriter, r *http.Request) {
			// The client may have gone.
			_, _ = w.Write([]byte(everything(r)))
		},
		"a page cut short": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write([]byte(`["` + everything(r)))
			panic(http.ErrAbortHandler)
		},
		"a link": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", fmt.Sprintf(`<%s/%s?%s>; rel="next"`, elsewhere, token, token))
			_, _ = w.Write([]byte(`[]`))
		},
	}
	for _, status := range []int{400, 401, 403, 404, 410, 500, 502, 503} {
		// Whatever length an error is cut to, one of these puts the cut into the token.
		for padding := 0; padding < 600; padding += 12 {
			handlers[fmt.Sprintf("status %d, padding %d", status, padding)] = func(w http.ResponseWriter, r *http.Request) {
				throwBack(w, r, status, padding)
			}
		}
	}
	var current atomic.Value
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { current.Load().(http.HandlerFunc)(w, r) }))
	for name, handler := range handlers {
		current.Store(handler)
		source := c.New(t, Options{URL: address, Token: token, PageSize: 5, Impatient: true})
		_, err := source.Poll(t.Context(), c.Feed, "")
		if err == nil {
			t.Errorf("%s: got no error, want one", name)
			continue
		}
		quiet(t, name, source, err)
	}

	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	source := c.New(t, Options{URL: gone.URL, Token: token, PageSize: 5, Impatient: true})
	if _, err := source.Poll(t.Context(), c.Feed, ""); err == nil {
		t.Error("nobody there: got no error, want one")
	} else {
		quiet(t, "nobody there", source, err)
	}
	if stolen.Load() {
		t.Error("the source gave its token to another host")
	}
}

// quiet wants no way of printing an error, what it wraps, or the source itself to show the token.
func quiet(t *testing.T, name string, source Source, err error) {
	t.Helper()
	texts := map[string]string{"error": err.Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
		texts["error as "+verb] = fmt.Sprintf(verb, err)
		texts["source as "+verb] = fmt.Sprintf(verb, source)
	}
	for wrapped := err; wrapped != nil; {
		texts["wrapped "+fmt.Sprintf("%T", wrapped)] = wrapped.Error()
		unwrapper, more := wrapped.(interface{ Unwrap() error })
		if !more {
			break
		}
		wrapped = unwrapper.Unwrap()
	}
	for what, text := range texts {
		// A part of it is one too many.
		for at := 0; at+8 <= len(token); at++ {
			if strings.Contains(text, token[at:at+8]) {
				t.Errorf("%s: %s tells of the token: %s", name, what, text)
				break
			}
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: got an error of several lines, want one: %v", name, err)
	}
}

// everything is all that a source sent.
func everything(r *http.Request) string {
	var text strings.Builder
	text.WriteString(r.URL.String())
	for name, values := range r.Header {
		fmt.Fprintf(&text, " %s: %s", name, strings.Join(values, ", "))
	}
	return text.String()
}

// throwBack answers with the request in the fields in which vendors put what went wrong, behind a padding that puts the
// token where a cut could go through it.
func throwBack(w http.ResponseWriter, r *http.Request, status, padding int) {
	text := strings.Repeat("x", padding) + r.Header.Get("Authorization") + " " + everything(r)
	body, err := json.Marshal(map[string]any{
		"errorCode": "E1", "errorSummary": text, "error": text, "error_description": text, "message": text, "detail": text,
	})
	if err != nil {
		panic(err) // Strings alone: it cannot be.
	}
	w.Header().Set("X-Request", text)
	w.WriteHeader(status)
	// The client may have gone.
	_, _ = w.Write(body)
}

func hijack(w http.ResponseWriter, answer string) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err) // The server is a plain HTTP/1 one.
	}
	defer connection.Close()
	// The client may have gone.
	_, _ = connection.Write([]byte(answer))
}
