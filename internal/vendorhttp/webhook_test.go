// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// wants wants an error to be an Unbelieved of a reason, "" being none.
func wants(t *testing.T, name string, err error, reason string) {
	t.Helper()
	var unbelieved *vendorhttp.Unbelieved
	switch {
	case reason == "" && err != nil:
		t.Errorf("%s: got %v, want it believed", name, err)
	case reason != "" && (!errors.As(err, &unbelieved) || unbelieved.Reason != reason):
		t.Errorf("%s: got %v, want it %s", name, err, reason)
	}
}

// The example is RFC 4231's test case 2 (https://www.rfc-editor.org/rfc/rfc4231#section-4.3).
func TestCheckHMAC(t *testing.T) {
	const signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	for _, test := range []struct{ name, secret, header, body, reason string }{
		{"right", "Jefe", "sha256=" + signature, "what do ya want for nothing?", ""},
		{"right in capitals", "Jefe", "sha256=" + strings.ToUpper(signature), "what do ya want for nothing?", "forged"},
		{"no signature", "Jefe", "", "what do ya want for nothing?", "unsigned"},
		{"no prefix", "Jefe", signature, "what do ya want for nothing?", "forged"},
		{"no hex", "Jefe", "sha256=" + signature[1:] + "x", "what do ya want for nothing?", "forged"},
		{"half", "Jefe", "sha256=" + signature[:32], "what do ya want for nothing?", "forged"},
		{"the prefix alone", "Jefe", "sha256=", "what do ya want for nothing?", "forged"},
		{"another body", "Jefe", "sha256=" + signature, "what do ya want for nothing!", "forged"},
		{"another secret", "jefe", "sha256=" + signature, "what do ya want for nothing?", "forged"},
		// HMAC-SHA256 of "" under "": whoever configured no secret must not be open to those who use none.
		{"no secret", "", "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", "", "forged"},
	} {
		half := len(test.body) / 2
		wants(t, test.name, vendorhttp.CheckHMAC(test.secret, test.header, "sha256=", []byte(test.body[:half]), []byte(test.body[half:])), test.reason)
	}
}

func TestCheckStatic(t *testing.T) {
	for _, test := range []struct{ name, secret, got, reason string }{
		{"right", "secret", "secret", ""}, {"none", "secret", "", "unsigned"}, {"another", "secret", "Secret", "forged"},
		{"longer", "secret", "secret1", "forged"}, {"shorter", "secret", "secre", "forged"}, {"none of both", "", "", "unsigned"}, {"none of ours", "", "x", "forged"},
	} {
		wants(t, test.name, vendorhttp.CheckStatic(test.secret, test.got), test.reason)
	}
}

func TestCheckAge(t *testing.T) {
	now := time.Date(2026, time.March, 9, 8, 0, 0, 999, time.UTC)
	at := func(age time.Duration) string { return strconv.FormatInt(now.Add(-age).Unix(), 10) }
	for text, reason := range map[string]string{
		at(0): "", at(5 * time.Minute): "", at(5*time.Minute + time.Second): "stale", at(-5 * time.Minute): "", at(-5*time.Minute - time.Second): "stale",
		"": "stale", "soon": "stale", "0": "stale", "-1": "stale", "9223372036854775807": "stale", "-9223372036854775808": "stale", "99999999999999999999": "stale",
		at(0) + ".5": "stale", " " + at(0): "stale",
	} {
		wants(t, text, vendorhttp.CheckAge(text, now, 5*time.Minute), reason)
	}
}
