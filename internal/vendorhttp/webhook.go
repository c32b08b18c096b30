// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Delivery is one webhook as it came in, believed by nobody yet.
type Delivery struct {
	// Method is the HTTP method.
	Method string
	// Query is the address's query.
	Query url.Values
	// Header is the request's.
	Header http.Header
	// Body is the raw body, at most as long as the source takes.
	Body []byte
	// Received is when it came in, by our clock.
	Received time.Time
}

// Accepted is what a source makes of a delivery that it believes.
type Accepted struct {
	// Feed is the lane that the records belong to.
	Feed string
	// Key names the delivery: the vendor's own repeat of it has the same.
	Key string
	// Logged is whether the log tells of these records under the same ids, so that they may be left to polling.
	Logged bool
	// Seal is what proves the delivery and only it, such as its signature; "" where a static secret proves them all. The
	// same Seal under another Key is a replay.
	Seal string
	// Records are the vendor's records in it, each as the source decodes it. None, with a Key, says that there is
	// something to poll.
	Records [][]byte
	// Question is whether the vendor asked something that Answer answers, and nothing is to be stored.
	Question bool
	// Answer is the body to answer with, of media type AnswerType; nil for none.
	Answer     []byte
	AnswerType string
}

// Unbelieved is the error for a delivery that is refused before it is parsed.
type Unbelieved struct {
	// Reason groups like refusals: "unsigned", "forged", "stale", "replayed", "oversized" or "foreign" (of another app,
	// org or channel).
	Reason string
	// Detail says what exactly was wrong, without a byte of the delivery.
	Detail string
}

// Error is the reason with its detail.
func (u *Unbelieved) Error() string { return u.Reason + ": " + u.Detail }

// CheckHMAC wants signature, behind prefix and in hex, to be the HMAC-SHA256 of the parts one after the other. The
// comparison takes the same time wherever they differ. The error is an *Unbelieved.
func CheckHMAC(secret, header, prefix string, parts ...[]byte) error {
	text, prefixed := strings.CutPrefix(header, prefix)
	if header == "" {
		return &Unbelieved{Reason: "unsigned", Detail: "there is no signature"}
	}
	signature, err := hex.DecodeString(text)
	// One spelling alone, so that a signature can tell a replay.
	if !prefixed || err != nil || text != strings.ToLower(text) {
		return &Unbelieved{Reason: "forged", Detail: "the signature is none"}
	}
	mac := hmac.New(sha256.New, []byte(secret))
	for _, part := range parts {
		mac.Write(part)
	}
	if secret == "" || !hmac.Equal(signature, mac.Sum(nil)) {
		return &Unbelieved{Reason: "forged", Detail: "the signature is not that of this body under this secret"}
	}
	return nil
}

// CheckStatic wants got to be the secret, whatever their lengths. The comparison takes the same time wherever they
// differ. The error is an *Unbelieved.
func CheckStatic(secret, got string) error {
	if got == "" {
		return &Unbelieved{Reason: "unsigned", Detail: "there is no secret"}
	}
	// Hashed first: the comparison would tell their lengths.
	want, have := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(got))
	if secret == "" || subtle.ConstantTimeCompare(want[:], have[:]) != 1 {
		return &Unbelieved{Reason: "forged", Detail: "the secret is another"}
	}
	return nil
}

// CheckAge wants text, a Unix time in seconds, to lie no more than most from now, before or after. The error is an
// *Unbelieved.
func CheckAge(text string, now time.Time, most time.Duration) error {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return &Unbelieved{Reason: "stale", Detail: "there is no time that can be read"}
	}
	// Compared as seconds: beyond some centuries a duration runs over.
	if limit := int64(most / time.Second); seconds < now.Unix()-limit || seconds > now.Unix()+limit {
		return &Unbelieved{Reason: "stale", Detail: fmt.Sprintf("its time is more than %v from ours", most)}
	}
	return nil
}
