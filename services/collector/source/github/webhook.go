// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// webhookFeed is where webhooks are a log of their own: where no audit log is read. It is what decoded webhooks carry.
const webhookFeed = "webhook"

// stored is how Receive keeps a delivery: what the payload is stands in the request's header alone.
type stored struct {
	// Delivery is X-GitHub-Delivery. All webhooks that tell of one event share it, and so do redeliveries:
	// https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks.
	Delivery event.Scalar `json:"delivery"`
	// Event is X-GitHub-Event.
	Event event.Scalar `json:"event"`
	// Payload is the body, byte for byte.
	Payload json.RawMessage `json:"payload"`
}

// storedPrefix is how every stored delivery begins.
var storedPrefix = []byte(`{"delivery":`)

// store returns a delivery as DecodeWebhook reads it. A body that is no JSON stays recognisable as such.
func store(delivery, kind string, body []byte) []byte {
	var record bytes.Buffer
	record.Grow(len(body) + len(delivery) + len(kind) + 64)
	record.Write(storedPrefix)
	record.Write(quoted(delivery))
	record.WriteString(`,"event":`)
	record.Write(quoted(kind))
	record.WriteString(`,"payload":`)
	record.Write(body)
	record.WriteByte('}')
	return record.Bytes()
}

// unstore takes apart what store wrote, without reading the payload; ok is false for what store never wrote.
func unstore(record []byte) (s stored, ok bool) {
	rest, ok := bytes.CutPrefix(record, storedPrefix)
	rest = bytes.TrimRight(rest, " \t\r\n")
	if !ok || !bytes.HasSuffix(rest, []byte("}")) {
		return s, false
	}
	for _, part := range []struct {
		into *event.Scalar
		next string
	}{{&s.Delivery, `,"event":`}, {&s.Event, `,"payload":`}} {
		text, behind, found := bytes.Cut(rest, []byte(part.next))
		if !found || len(text) < 2 || text[0] != '"' || !json.Valid(text) {
			return s, false
		}
		// It is a string, and a Scalar never fails.
		_ = part.into.UnmarshalJSON(text)
		rest = behind
	}
	s.Payload = rest[:len(rest)-1]
	return s, true
}

func quoted(text string) []byte {
	// A string can be written.
	value, _ := json.Marshal(text)
	return value
}

// payload is what is read of a webhook's body: https://docs.github.com/en/webhooks/webhook-events-and-payloads. Where
// nothing tells its type, its fields do, so many are read for being there alone.
type payload struct {
	Action event.Scalar `json:"action"`

	Sender account `json:"sender"`
	Pusher struct {
		Name  event.Scalar `json:"name"`
		Email event.Scalar `json:"email"`
	} `json:"pusher"`

	Repository   *repository `json:"repository"`
	Organization account     `json:"organization"`
	Enterprise   struct {
		Slug event.Scalar `json:"slug"`
		Name event.Scalar `json:"name"`
	} `json:"enterprise"`

	installed
	members
	code
	subjects
	marks

	Changes map[string]json.RawMessage `json:"changes"`
}

// installed are the fields about a GitHub App. In payloads of other types the installation is the one that is told, and
// has an id alone.
type installed struct {
	Installation struct {
		ID          event.Scalar `json:"id"`
		ClientID    event.Scalar `json:"client_id"`
		AppID       event.Scalar `json:"app_id"`
		AppSlug     event.Scalar `json:"app_slug"`
		Account     account      `json:"account"`
		Permissions scopes       `json:"permissions"`
		CreatedAt   event.Scalar `json:"created_at"`
		SuspendedAt event.Scalar `json:"suspended_at"`
	} `json:"installation"`
	Repositories []repository `json:"repositories"`
	Added        []repository `json:"repositories_added"`
	Removed      []repository `json:"repositories_removed"`
	Account      account      `json:"account"`
	Token        *struct {
		ID        event.Scalar `json:"id"`
		TokenID   event.Scalar `json:"token_id"`
		TokenName event.Scalar `json:"token_name"`
		CreatedAt event.Scalar `json:"created_at"`
		Owner     account      `json:"owner"`
		Result    grouped      `json:"permissions_result"`
		Added     grouped      `json:"permissions_added"`
	} `json:"personal_access_token_request"`
}

// grouped are the permissions of a fine-grained token, by what they are about.
type grouped struct {
	Organization scopes `json:"organization"`
	Repository   scopes `json:"repository"`
	Other        scopes `json:"other"`
}

// members are the fields about people and teams.
type members struct {
	Member      account `json:"member"`
	User        account `json:"user"`
	BlockedUser account `json:"blocked_user"`
	Team        *struct {
		ID         event.Scalar `json:"id"`
		Name       event.Scalar `json:"name"`
		Slug       event.Scalar `json:"slug"`
		Privacy    event.Scalar `json:"privacy"`
		Permission event.Scalar `json:"permission"`
	} `json:"team"`
	Membership *struct {
		Role event.Scalar `json:"role"`
		User account      `json:"user"`
	} `json:"membership"`
	Invitation *struct {
		Login     event.Scalar `json:"login"`
		Email     event.Scalar `json:"email"`
		Role      event.Scalar `json:"role"`
		CreatedAt event.Scalar `json:"created_at"`
	} `json:"invitation"`
}

// code are the fields about branches, hooks and keys.
type code struct {
	Ref     event.Scalar `json:"ref"`
	RefType event.Scalar `json:"ref_type"`
	Before  event.Scalar `json:"before"`
	After   event.Scalar `json:"after"`
	Forced  event.Scalar `json:"forced"`
	Rule    *struct {
		Name      event.Scalar `json:"name"`
		CreatedAt event.Scalar `json:"created_at"`
	} `json:"rule"`
	Key *struct {
		Title     event.Scalar `json:"title"`
		ReadOnly  event.Scalar `json:"read_only"`
		CreatedAt event.Scalar `json:"created_at"`
	} `json:"key"`
	Hook *struct {
		Config struct {
			URL event.Scalar `json:"url"`
		} `json:"config"`
	} `json:"hook"`
	Forkee *repository  `json:"forkee"`
	State  event.Scalar `json:"state"`
}

// account is a user, a bot or an organisation.
type account struct {
	Login event.Scalar `json:"login"`
	ID    event.Scalar `json:"id"`
	Type  event.Scalar `json:"type"`
	Email event.Scalar `json:"email"`
}

func (a account) known() bool { return a.Login.Text != "" || a.ID.Text != "" }

type repository struct {
	ID            event.Scalar `json:"id"`
	Name          event.Scalar `json:"name"`
	FullName      event.Scalar `json:"full_name"`
	Owner         account      `json:"owner"`
	Private       event.Scalar `json:"private"`
	Visibility    event.Scalar `json:"visibility"`
	DefaultBranch event.Scalar `json:"default_branch"`
	CreatedAt     event.Scalar `json:"created_at"`
	PushedAt      event.Scalar `json:"pushed_at"`
}

// told is one webhook on its way to an event.
type told struct {
	payload
	// kind is the event's type, such as "push"; "" where it cannot be known.
	kind     string
	oddities []string
}

// DecodeWebhook turns a webhook into its one event, of feed "webhook". It takes what Receive stored, and the payload
// alone, whose type then follows from its fields where they are those of one type only; it is named as an oddity that
// nothing told it. Most payloads say no time of the act: the event then has none, and whoever knows when the webhook
// came in sets that. It is an event.Decode: the error, where there is one, is an *event.Unreadable, and it comes for
// records alone that are no JSON object.
func DecodeWebhook(record []byte) ([]*curfewv1.Event, error) {
	t, kept, err := readWebhook(record)
	if err != nil {
		return nil, err
	}
	body := kept.Payload
	action := t.name(body)
	return []*curfewv1.Event{{
		Id:       t.id(kept.Delivery, body),
		Source:   source,
		Feed:     webhookFeed,
		Action:   action,
		Time:     t.when(),
		Actor:    t.actor(),
		App:      t.app(),
		Resource: t.resource(),
		Outcome:  t.outcome(),
		Changes:  t.changes(),
		Links:    t.links(action),
		Echo:     t.echo(action),
		Oddities: t.oddities,
	}}, nil
}

// readWebhook reads a stored delivery, or a payload alone.
func readWebhook(record []byte) (*told, stored, error) {
	t := &told{}
	kept, isStored := unstore(record)
	if !isStored {
		oddities, err := event.Unmarshal(record, &t.payload)
		if err != nil {
			return nil, stored{}, err
		}
		if !t.Stored {
			t.oddities = oddities
			return t, stored{Payload: record}, nil
		}
		// It is stored, and somebody wrote it anew.
		kept = stored{}
		_ = json.Unmarshal(record, &kept)
		t.payload = payload{}
	}
	oddities, err := event.Unmarshal(kept.Payload, &t.payload)
	var unreadable *event.Unreadable
	if errors.As(err, &unreadable) && unreadable.Reason == "not an object" {
		oddities, err = []string{"payload: no object"}, nil
	}
	if err != nil {
		return nil, stored{}, err
	}
	t.oddities = oddities
	t.kind = t.text("event", kept.Event)
	return t, kept, nil
}

func (t *told) odd(oddity string) { t.oddities = append(t.oddities, oddity) }

// text is vendor text as it may stand in an event; what could not be kept is named.
func (t *told) text(field string, s event.Scalar) string {
	text, odd := clean(field, s)
	if odd != "" {
		t.odd(odd)
	}
	return text
}

// id is from the delivery, else from the whole content.
func (t *told) id(delivery event.Scalar, body []byte) string {
	id := strings.TrimSpace(delivery.Text)
	if id != "" && len(id) <= maxDocumentID && event.Clean(id) == id {
		return event.ID(source, id, 0)
	}
	t.odd("X-GitHub-Delivery: not told")
	return event.ID(source, contentKey(body), 0)
}

// name is the event's action, "<type>.<action>" or the type alone, as GitHub's documentation calls them.
func (t *told) name(body []byte) string {
	action := t.text("action", t.Action)
	if t.kind == "" {
		if t.kind = t.guess(body); t.kind == "" {
			t.odd("X-GitHub-Event: not told, and no type has these fields alone")
			return action
		}
		t.odd("X-GitHub-Event: not told; the fields are those of " + t.kind)
	}
	// Installations had another name once, and have it on old servers.
	t.kind = strings.TrimPrefix(t.kind, "integration_")
	if action == "" {
		return t.kind
	}
	return event.Clean(t.kind + "." + action)
}
