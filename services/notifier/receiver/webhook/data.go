// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxAlert bounds an alert in bytes of JSON.
	maxAlert = 48 << 10
	// maxLines and maxLine bound what is said in words.
	maxLines, maxLine = 50, 2000
)

// data is what an event says.
type data struct {
	// Ref is the id of the post that showed the alerts first.
	Ref string `json:"ref,omitempty"`
	// Receiver is this one's name in the configuration.
	Receiver string `json:"receiver,omitempty"`
	// Repeated is whether it may have come before.
	Repeated bool `json:"repeated,omitempty"`
	// Alerts are the messages of Curfew's contract, as JSON; none in a summary.
	Alerts []json.RawMessage `json:"alerts,omitempty"`
	// Cut is how many values and lists were too long to be sent whole.
	Cut int `json:"cut,omitempty"`
	// Summary is the alerts counted, where they are too many to show each; AlertIDs are all of theirs.
	Summary  []group  `json:"summary,omitempty"`
	AlertIDs []string `json:"alert_ids,omitempty"`
	// Lines are what is said, Loud whether everybody should see it.
	Lines []string `json:"lines,omitempty"`
	Loud  bool     `json:"loud,omitempty"`
	// To is whom a notice is for, Kind what it is about, GrantID and SilenceID what it is of.
	To        []string `json:"to,omitempty"`
	Kind      string   `json:"kind,omitempty"`
	GrantID   string   `json:"grant_id,omitempty"`
	SilenceID string   `json:"silence_id,omitempty"`
}

type group struct {
	Severity  string   `json:"severity"`
	Detection string   `json:"detection"`
	Alerts    int      `json:"alerts"`
	Findings  uint64   `json:"findings"`
	Entities  []string `json:"entities"`
	More      int      `json:"more_entities"`
}

func show(ref string, post *curfewv1.Post) data {
	d := data{Ref: ref, Receiver: post.GetReceiver(), Repeated: post.GetRepeated()}
	for _, a := range post.GetAlerts() {
		d.AlertIDs = append(d.AlertIDs, card.Plain(a.GetId(), 100))
		if post.GetSummary() {
			continue
		}
		encoded, n := encode(a)
		d.Alerts, d.Cut = append(d.Alerts, encoded), d.Cut+n
	}
	if post.GetSummary() {
		for _, g := range card.Summary(post.GetAlerts()) {
			d.Summary = append(d.Summary, group{g.Severity.String(), g.Detection, g.Count, g.Findings, g.Entities, g.More})
		}
	}
	return d
}

func tell(notice *curfewv1.Notice) data {
	return data{
		Lines: []string{card.Notice(notice)}, To: lines(notice.GetTo()), Kind: notice.GetKind().String(),
		GrantID: card.Plain(notice.GetGrant().GetId(), 100), SilenceID: card.Plain(notice.GetSilence().GetId(), 100),
	}
}

// lines is what is said, bounded.
func lines(all []string) []string {
	var list []string
	for i, text := range all {
		if i == maxLines {
			return append(list, fmt.Sprintf("and %d more", len(all)-i))
		}
		list = append(list, card.Plain(text, maxLine))
	}
	return list
}

// encode is an alert as JSON without raw records, cut further until it is small enough, and how much of it was cut.
func encode(alert *curfewv1.Alert) (json.RawMessage, int) {
	var encoded []byte
	cut := 0
	for _, limit := range []limits{{2000, 100}, {300, 20}, {80, 5}} {
		copied := proto.CloneOf(alert)
		cut = limit.bound(copied.ProtoReflect())
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(copied)
		if err != nil {
			// What is Plain is sound UTF-8, and nothing else can be wrong.
			text = []byte("{}")
		}
		var compact bytes.Buffer
		if json.Compact(&compact, text) == nil {
			encoded = compact.Bytes()
		}
		if len(encoded) <= maxAlert {
			break
		}
	}
	return encoded, cut
}

// limits is how many runes a text and how many items a list may have.
type limits struct{ text, list int }

// bound makes all text in a message harmless and short enough, takes raw bytes out, and returns how much was cut.
func (l limits) bound(m protoreflect.Message) (cut int) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsList():
			list := value.List()
			if list.Len() > l.list {
				list.Truncate(l.list)
				cut++
			}
			for i := range list.Len() {
				switch field.Kind() {
				case protoreflect.StringKind:
					list.Set(i, l.plain(list.Get(i), &cut))
				case protoreflect.MessageKind:
					cut += l.bound(list.Get(i).Message())
				default:
				}
			}
		case field.IsMap():
			m.Clear(field) // there is none in an alert
		case field.Kind() == protoreflect.StringKind:
			m.Set(field, l.plain(value, &cut))
		case field.Kind() == protoreflect.BytesKind:
			m.Clear(field)
		case field.Kind() == protoreflect.MessageKind:
			cut += l.bound(value.Message())
		}
		return true
	})
	return cut
}

func (l limits) plain(value protoreflect.Value, cut *int) protoreflect.Value {
	text := card.Plain(value.String(), l.text)
	if len([]rune(text)) == l.text {
		*cut++
	}
	return protoreflect.ValueOfString(text)
}

// versions stands for what the alerts of a post look like.
func versions(post *curfewv1.Post) string {
	hash := sha256.New()
	for _, a := range post.GetAlerts() {
		fmt.Fprintf(hash, "%d:%s %d %d,", len(a.GetId()), a.GetId(), a.GetEpisode(), a.GetVersion())
	}
	return hex.EncodeToString(hash.Sum(nil)[:8])
}
