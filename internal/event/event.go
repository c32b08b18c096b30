// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package event is an event's identity and validity: how its id follows from what the vendor says, how a hostile
// record is read, and what makes an event fit to be stored.
package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxField bounds a single text field of an event, in bytes. What is longer is cut in the field, named in oddities,
// and whole in the raw record.
const maxField = 8 << 10

// Unreadable is the error for a record that cannot become an event.
type Unreadable struct {
	// Reason groups like failures in a few words, such as "not JSON".
	Reason string
	// Detail says what exactly was wrong. It holds at most the one character of the record that the parser stumbled over.
	Detail string
}

// Error is the reason with its detail.
func (u *Unreadable) Error() string { return u.Reason + ": " + u.Detail }

// Unmarshal reads one JSON object into the value that into points to. A field of the wrong type is left as it was and
// named in oddities: a record is odd before it is unreadable. The error, where there is one, is an *Unreadable.
func Unmarshal(record []byte, into any) (oddities []string, err error) {
	trimmed := bytes.TrimLeft(record, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, &Unreadable{Reason: "not JSON", Detail: "the record is empty"}
	}
	err = json.Unmarshal(record, into)
	var mismatch *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil && trimmed[0] == '{':
		return nil, nil
	case trimmed[0] != '{' && !errors.As(err, &syntax):
		return nil, &Unreadable{Reason: "not an object", Detail: "the record is JSON, but no object"}
	case errors.As(err, &mismatch):
		// encoding/json goes on behind a mismatch and reports the first; the rest of the record has been read.
		field := mismatch.Field
		if field == "" {
			field = "record"
		}
		return []string{fmt.Sprintf("%s: a JSON %s where a %s belongs", field, mismatch.Value, jsonKind(mismatch))}, nil
	case errors.As(err, &syntax):
		if strings.Contains(err.Error(), "exceeded max depth") {
			return nil, &Unreadable{Reason: "nested too deeply", Detail: err.Error()}
		}
		return nil, &Unreadable{Reason: "not JSON", Detail: fmt.Sprintf("%v at byte %d", err, syntax.Offset)}
	default:
		return nil, &Unreadable{Reason: "not JSON", Detail: err.Error()}
	}
}

func jsonKind(mismatch *json.UnmarshalTypeError) string {
	if mismatch.Type == nil {
		return "different type"
	}
	return mismatch.Type.Kind().String()
}

// ID is the id of an event from the vendor's own key. Part counts the acts of one record from 1; 0 where the record
// holds one act only.
func ID(source, key string, part int) string {
	id := source + ":" + Clean(key)
	if part > 0 {
		id += "#" + strconv.Itoa(part)
	}
	return id
}

// ContentKey is the key of a record that carries none of its own: a hash over parts, each delimited, so that two
// records are one only when every part is the same.
func ContentKey(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d:%s,", len(part), part)
	}
	return "sha256-" + hex.EncodeToString(hash.Sum(nil)[:16])
}

// Key is a short stand-in for an id where many must be kept in memory: 128 bits of its SHA-256.
func Key(id string) [16]byte {
	sum := sha256.Sum256([]byte(id))
	return [16]byte(sum[:16])
}

// Digest is the hex SHA-256 of a record.
func Digest(record []byte) string {
	sum := sha256.Sum256(record)
	return hex.EncodeToString(sum[:])
}

// Clean is text fit for a field of an event: valid UTF-8 without control characters, at most 8 KiB, cut at a rune.
func Clean(text string) string {
	if len(text) <= maxField && isClean(text) {
		return text
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxField {
		cut := maxField
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	return text
}

func isClean(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] < 0x20 || text[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(text)
}

// Path is the path of a resource: kind and ids joined by "/". In each id the characters that would break a path, a
// policy row or a pattern ("/" within an id, "%", ",", "*", "?", quotes, spaces and control characters) are
// percent-encoded, so that no vendor text can pass for a pattern or for another resource.
func Path(kind string, ids ...string) string {
	var path strings.Builder
	path.WriteString(kind)
	for _, id := range ids {
		if id == "" {
			continue
		}
		path.WriteByte('/')
		path.WriteString(Escape(id))
	}
	return path.String()
}

// Escape percent-encodes what Path says.
func Escape(id string) string {
	id = Clean(id)
	if !strings.ContainsAny(id, "/%,*?\"'` {}\\") {
		return id
	}
	var escaped strings.Builder
	for i := 0; i < len(id); i++ {
		if strings.IndexByte("/%,*?\"'` {}\\", id[i]) >= 0 {
			fmt.Fprintf(&escaped, "%%%02X", id[i])
			continue
		}
		escaped.WriteByte(id[i])
	}
	return escaped.String()
}

// Timestamp is t as a message, or nil where t is zero or outside what a timestamp can say (years 1 to 9999).
func Timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	stamp := timestamppb.New(t)
	if stamp.CheckValid() != nil {
		return nil
	}
	return stamp
}

// ParseTime reads an RFC 3339 time, also with a space for the "T" and also without a zone, which is then UTC. It
// returns nil where text is no time.
func ParseTime(text string) *timestamppb.Timestamp {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return Timestamp(t.UTC())
		}
	}
	return nil
}

// IP is text as an address, or "" where it is none. A port and the brackets of IPv6 are left out.
func IP(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if address, err := netip.ParseAddr(text); err == nil {
		return address.WithZone("").Unmap().String()
	}
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().WithZone("").Unmap().String()
	}
	return ""
}

// Validate says what keeps e from being stored. Nil means: it has an id of its source, a source, a feed and an action,
// its text is valid UTF-8 and its times can be said.
func Validate(e *curfewv1.Event) error {
	switch {
	case e.GetSource() == "" || e.GetFeed() == "":
		return errors.New("event has no source or no feed")
	case !strings.HasPrefix(e.GetId(), e.GetSource()+":") || len(e.GetId()) == len(e.GetSource())+1:
		return fmt.Errorf("event id %q does not begin with its source", e.GetId())
	case e.GetTime() != nil && e.GetTime().CheckValid() != nil:
		return fmt.Errorf("event time: %w", e.GetTime().CheckValid())
	}
	return nil
}
