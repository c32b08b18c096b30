// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// A link is followed at the vendor's own scheme, host and port alone: the secret goes with it.
func TestNextLink(t *testing.T) {
	base := &url.URL{Scheme: "https", Host: "api.example.com:8443"}
	for _, test := range []struct {
		link, want string
		refused    bool
	}{
		{link: ``}, {link: `<https://api.example.com:8443/a?p=1>; rel="prev"`}, {link: `nonsense; rel="next"`},
		{link: `<https://api.example.com:8443/a?p=2>; rel="next"`, want: "https://api.example.com:8443/a?p=2"},
		{link: `<https://API.example.com:8443/a?p=2>; rel=next`, want: "https://API.example.com:8443/a?p=2"},
		{link: `</a?p=3>; title="x"; rel="next"`, want: "https://api.example.com:8443/a?p=3"},
		{link: `<https://api.example.com:8443/a?q=1,2>; rel="prev", <https://api.example.com:8443/a?q=3,4>; rel="next"`, want: "https://api.example.com:8443/a?q=3,4"},
		{link: `<http://api.example.com:8443/a>; rel="next"`, refused: true},
		{link: `<https://api.example.com/a>; rel="next"`, refused: true},
		{link: `<https://api.example.org:8443/a>; rel="next"`, refused: true},
		{link: `<//elsewhere.example.com/a>; rel="next"`, refused: true},
		{link: `<https://api.example.com:8443@elsewhere.example.com/a>; rel="next"`, refused: true},
		{link: "<https://api.example.com:8443/\x7f>; rel=\"next\"", refused: true},
	} {
		got, err := vendorhttp.NextLink(base, http.Header{"Link": {test.link}})
		text := ""
		if got != nil {
			text = got.String()
		}
		if text != test.want || (err != nil) != test.refused {
			t.Errorf("%s: got %q, %v, want %q, refused: %v", test.link, text, err, test.want, test.refused)
		}
	}
}
