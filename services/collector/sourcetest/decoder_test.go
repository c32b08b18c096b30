// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// decodeSound is a decoder that keeps every promise, for records that hold acts.
func decodeSound(record []byte) ([]*curfewv1.Event, error) {
	var read struct {
		ID   string `json:"id"`
		Acts []struct {
			Action string `json:"action"`
			File   string `json:"file"`
		} `json:"acts"`
	}
	oddities, err := event.Unmarshal(record, &read)
	if err != nil {
		return nil, err
	}
	if len(read.Acts) == 0 {
		read.Acts = slices.Grow(read.Acts, 1)[:1]
		oddities = append(oddities, "acts: missing")
	}
	if read.ID == "" {
		read.ID = event.ContentKey(string(record))
	}
	var events []*curfewv1.Event
	for i, act := range read.Acts {
		part := 0
		if len(read.Acts) > 1 {
			part = i + 1
		}
		e := &curfewv1.Event{
			Id: event.ID("okta", read.ID, part), Source: "okta", Feed: "system_log", Action: event.Clean(act.Action),
			Resource: &curfewv1.Resource{Path: event.Path("file", act.File), Kind: "file"},
		}
		e.Oddities = slices.Clone(oddities)
		if e.Action == "" {
			e.Oddities = append(e.Oddities, "action: missing")
		}
		events = append(events, e)
	}
	return events, nil
}

// change is decodeSound with something done to its events.
func change(do func(events []*curfewv1.Event)) event.Decode {
	return func(record []byte) ([]*curfewv1.Event, error) {
		events, err := decodeSound(record)
		if err == nil {
			do(events)
		}
		return events, err
	}
}

// first is change for the first event.
func first(do func(e *curfewv1.Event)) event.Decode {
	return change(func(events []*curfewv1.Event) { do(events[0]) })
}

// instead is decodeSound with other answers where there is no event.
func instead(do func(record []byte, reason string) ([]*curfewv1.Event, error)) event.Decode {
	return func(record []byte) ([]*curfewv1.Event, error) {
		events, err := decodeSound(record)
		var unreadable *event.Unreadable
		if errors.As(err, &unreadable) {
			return do(record, unreadable.Reason)
		}
		return events, err
	}
}

func linkOf(holder string) *curfewv1.LinkChange {
	return &curfewv1.LinkChange{Kind: "memberships", Holder: holder, HolderType: "account", Held: "g"}
}

// check is what the kit reports of a decoder and two records: one act, and two.
func check(t *testing.T, c DecoderCase) []string {
	t.Helper()
	known, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	var reports []string
	report := func(format string, args ...any) { reports = append(reports, fmt.Sprintf(format, args...)) }
	records := [][]byte{
		[]byte(`{"id":"1","acts":[{"action":"user.session.start","file":"s3cr3t"}]}`),
		[]byte(`{"id":"2","acts":[{"action":"zone.update","file":"x"},{"action":"zone.update","file":"y"}]}`),
	}
	c.golden(records, report)
	c.unreadable(report)
	for _, record := range records {
		c.wrongTypes("wrong types", record, report)
		c.understand("corpus", record, known, report)
	}
	return reports
}

func TestDecoderKitBites(t *testing.T) {
	sound := DecoderCase{Source: "okta", Decode: decodeSound, Records: "records", Several: true}
	if got := check(t, sound); len(got) > 0 {
		t.Fatalf("a sound decoder: got reports %q, want none", got)
	}
	var count int
	tests := []struct {
		name   string
		change func(c *DecoderCase)
		decode event.Decode
		want   string
	}{
		{"it changes the record", nil, func(record []byte) ([]*curfewv1.Event, error) {
			events, err := decodeSound(record)
			if len(record) > 0 {
				record[0] = ' '
			}
			return events, err
		}, "the record was changed"},
		{"it keeps the record", nil, func(record []byte) ([]*curfewv1.Event, error) {
			events, err := decodeSound(record)
			if err == nil {
				events[0].Raw = record
			}
			return events, err
		}, "a part of the record's memory"},
		{"it counts", nil, first(func(e *curfewv1.Event) {
			count++
			e.Action = fmt.Sprint(count)
		}), "decoded twice"},
		{"it fails the second time", nil, func([]byte) ([]*curfewv1.Event, error) {
			if count++; count%2 == 0 {
				return nil, &event.Unreadable{Reason: "tired"}
			}
			return nil, nil
		}, "decoded twice"},
		{"no event", nil, func([]byte) ([]*curfewv1.Event, error) { return nil, nil }, "got 0 events, want one"},
		{"two acts where there is one", func(c *DecoderCase) { c.Several = false }, decodeSound, "got 2 events, want one"},
		{"parts without a number", nil, change(func(events []*curfewv1.Event) {
			for _, e := range events {
				e.Id, _, _ = strings.Cut(e.GetId(), "#")
			}
		}), "want one that ends in #1"},
		{"a shared resource", nil, change(func(events []*curfewv1.Event) { events[len(events)-1].Resource = events[0].Resource }), "share a message"},
		{"a shared actor", nil, change(func(events []*curfewv1.Event) {
			actor := &curfewv1.Actor{Id: "a"}
			for _, e := range events {
				e.Actor = actor
			}
		}), "share a message"},
		{"no id", nil, first(func(e *curfewv1.Event) { e.Id = "" }), "not a valid event"},
		{"no feed", nil, first(func(e *curfewv1.Event) { e.Feed = "" }), "not a valid event"},
		{"another source", func(c *DecoderCase) { c.Source = "github" }, decodeSound, `got source "okta", want "github"`},
		{"text that is not UTF-8", nil, first(func(e *curfewv1.Event) { e.Action = "\xff" }), "cannot be written"},
		{"a path of another kind", nil, first(func(e *curfewv1.Event) { e.Resource.Path = "files/1" }), `got path "files/1" of kind "file"`},
		{"a path of no kind", nil, first(func(e *curfewv1.Event) { e.Resource.Kind = "" }), `of kind ""`},
		{"an act", nil, first(func(e *curfewv1.Event) { e.Act = "read" }), "not its own to set"},
		{"a tenant", nil, first(func(e *curfewv1.Event) { e.Tenant = "default" }), "not its own to set"},
		{"a digest", nil, first(func(e *curfewv1.Event) { e.RawDigest = "x" }), "not its own to set"},
		{"no action and no word of it", nil, first(func(e *curfewv1.Event) { e.Action, e.Oddities = "", nil }), "no action, and no oddity says so"},
		{"no oddities", nil, change(func(events []*curfewv1.Event) {
			for _, e := range events {
				e.Action, e.Oddities = "zone.update", nil
			}
		}), "a list of lists, and no oddity says so"},
		{"wrong types are errors", nil, func(record []byte) ([]*curfewv1.Event, error) {
			events, err := decodeSound(record)
			if err == nil && strings.Contains(fmt.Sprint(events[0].GetOddities()), "belongs") {
				return nil, &event.Unreadable{Reason: "wrong type"}
			}
			return events, err
		}, "want an event with an oddity"},
		{"an error of its own", nil, instead(func([]byte, string) ([]*curfewv1.Event, error) { return nil, errors.New("none") }), "want an Unreadable with its reason"},
		{"no reason", nil, instead(func([]byte, string) ([]*curfewv1.Event, error) { return nil, &event.Unreadable{} }), "want an Unreadable with its reason"},
		{"another reason", nil, instead(func(_ []byte, reason string) ([]*curfewv1.Event, error) {
			return nil, &event.Unreadable{Reason: strings.Replace(reason, "too deeply", "deep", 1)}
		}), "lists too deep: got 0 events and error nested deep"},
		{"the first of two objects", nil, instead(func(record []byte, reason string) ([]*curfewv1.Event, error) {
			if string(record) == `{} {}` {
				return decodeSound([]byte(`{}`))
			}
			return nil, &event.Unreadable{Reason: reason}
		}), "two objects: got 1 events"},
		{"an event and an error", nil, instead(func([]byte, string) ([]*curfewv1.Event, error) {
			return []*curfewv1.Event{{}}, &event.Unreadable{Reason: "not JSON"}
		}), "want one or the other"},
		{"a dead letter among the records", nil, func([]byte) ([]*curfewv1.Event, error) {
			return nil, &event.Unreadable{Reason: "not JSON"}
		}, "records:1: got error not JSON: , want an event"},
		{"a dead letter in the corpus", nil, func([]byte) ([]*curfewv1.Event, error) {
			return nil, &event.Unreadable{Reason: "not JSON"}
		}, "corpus: got error not JSON: , want an event"},
		{"a link of a failure", nil, first(func(e *curfewv1.Event) {
			e.Outcome = &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE}
			e.Links = []*curfewv1.LinkChange{linkOf("u")}
		}), "an act that took no effect"},
		{"a link with one end", nil, first(func(e *curfewv1.Event) { e.Links = []*curfewv1.LinkChange{linkOf("")} }), "an end that is empty"},
		{"a link of no kind", nil, first(func(e *curfewv1.Event) {
			e.Links = []*curfewv1.LinkChange{linkOf("u")}
			e.Links[0].Kind = "people"
		}), "of no kind or no type"},
		{"links beyond measure", nil, first(func(e *curfewv1.Event) {
			for range 200 {
				e.Links = append(e.Links, linkOf(strings.Repeat("u", 8<<10)))
			}
		}), "more than fits the bus"},
		{"a secret", func(c *DecoderCase) { c.Secrets = []string{"s3cr3t"} }, decodeSound, `tells of the secret "s3cr3t"`},
		{"an action without an act", nil, first(func(e *curfewv1.Event) { e.Action = "nothing.of.okta" }), "system_log/nothing.of.okta has no act"},
		{"a kind without a class", nil, first(func(e *curfewv1.Event) {
			e.Action = "app.oauth2.consent.grant"
			e.Resource = &curfewv1.Resource{Path: "nothing/1", Kind: "nothing"}
		}), "nor kind nothing has a class"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := sound
			c.Decode = test.decode
			if test.change != nil {
				test.change(&c)
			}
			got := check(t, c)
			if !slices.ContainsFunc(got, func(report string) bool { return strings.Contains(report, test.want) }) {
				t.Errorf("got reports %q, want one with %q", got, test.want)
			}
		})
	}
}

func TestGoldenDiffers(t *testing.T) {
	for _, test := range []struct {
		want, got string
		differ    int
	}{{"a\nb\n", "a\nb\n", 0}, {"a\nb\n", "a\nc\n", 1}, {"a\n", "a\nb\n", 1}, {"a\nb\n", "", 2}, {"", "a\n", 1}} {
		if got := differences(test.want, test.got); len(got) != test.differ {
			t.Errorf("want %q, got %q: got differences %q, want %d", test.want, test.got, got, test.differ)
		}
	}
	var reports int
	DecoderCase{Decode: decodeSound}.golden(nil, func(string, ...any) { reports++ })
	if reports == 0 {
		t.Error("a file without a record: got no report, want one")
	}
}

func TestReplaceReachesEveryValue(t *testing.T) {
	var record any
	if err := json.Unmarshal([]byte(`{"a":1,"b":[{"c":null},"d"],"e":{"f":{"g":[]}}}`), &record); err != nil {
		t.Fatal(err)
	}
	var got []string
	replace(record, json.RawMessage(`"odd"`), func(at string) {
		text, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, at+" "+string(text))
	})
	want := []string{
		`a {"a":"odd","b":[{"c":null},"d"],"e":{"f":{"g":[]}}}`,
		`b {"a":1,"b":"odd","e":{"f":{"g":[]}}}`,
		`b.0 {"a":1,"b":["odd","d"],"e":{"f":{"g":[]}}}`,
		`b.0.c {"a":1,"b":[{"c":"odd"},"d"],"e":{"f":{"g":[]}}}`,
		`b.1 {"a":1,"b":[{"c":null},"odd"],"e":{"f":{"g":[]}}}`,
		`e {"a":1,"b":[{"c":null},"d"],"e":"odd"}`,
		`e.f {"a":1,"b":[{"c":null},"d"],"e":{"f":"odd"}}`,
		`e.f.g {"a":1,"b":[{"c":null},"d"],"e":{"f":{"g":"odd"}}}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCatalogKitBites(t *testing.T) {
	known, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	sound := CatalogCase{
		Source: "okta", Feed: "system_log",
		Actions: map[string]string{"user.session.start": "login identity.basic", "app.oauth2.consent.grant": "consent app", "nothing.of.okta": ""},
		Named:   []string{"zone.update"}, Scopes: map[string]string{"openid": "identity.basic", "orders:read": ""}, Kinds: map[string]string{"user": "identity.basic"},
	}
	for _, test := range []struct {
		name   string
		change func(c *CatalogCase)
		want   int
	}{
		{"sound", func(*CatalogCase) {}, 0},
		{"another act", func(c *CatalogCase) { c.Actions = map[string]string{"user.session.start": "read identity.basic"} }, 1},
		{"another class", func(c *CatalogCase) { c.Actions = map[string]string{"user.session.start": "login admin"} }, 1},
		{"not the app", func(c *CatalogCase) { c.Actions = map[string]string{"app.oauth2.consent.grant": "consent"} }, 1},
		{"known after all", func(c *CatalogCase) { c.Actions = map[string]string{"zone.update": ""} }, 1},
		{"not named", func(c *CatalogCase) { c.Named = []string{"nothing.of.okta"} }, 1},
		{"another scope", func(c *CatalogCase) {
			c.Scopes = map[string]string{"openid": "admin", "nothing": "admin", "okta.logs.read": ""}
		}, 3},
		{"another kind", func(c *CatalogCase) { c.Kinds = map[string]string{"user": "admin"} }, 1},
		{"several feeds", func(c *CatalogCase) {
			c.Feed, c.Actions, c.Named = "", map[string]string{"system_log/zone.update": "administer admin"}, []string{"any/zone.update"}
		}, 0},
	} {
		c := sound
		test.change(&c)
		got := 0
		c.check(known, func(string, ...any) { got++ })
		if got != test.want {
			t.Errorf("%s: got %d reports, want %d", test.name, got, test.want)
		}
	}
}
