// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// testsFolder holds the cases of a policy, in its folder. It is no part of a revision.
const testsFolder = "tests"

// caseYAML is one case: an act, and what the policy must say of it. A file is a list of them.
type caseYAML struct {
	// Name says what is tried, for whoever reads that it failed.
	Name string `yaml:"name"`
	// At is when it happens, as 2026-11-02T09:00:00Z; now without it.
	At string `yaml:"at"`
	// Event is who does what: "ACTOR ACT OBJECT", or eventYAML.
	Event yamlfile.Section `yaml:"event"`
	// Given is what somebody holds in this case besides what the policy says: a grant, or a membership.
	Given []givenYAML `yaml:"given"`
	// Want is the verdict (allowed, violation or unknown), or wantYAML.
	Want yamlfile.Section `yaml:"want"`
}

// eventYAML is an act, as much of it as the policy can ask for.
type eventYAML struct {
	// Actor is person:ID, an e-mail address, app:SOURCE/ID, service:ID, unknown:SOURCE/ID, or actorYAML. Without one the
	// record names nobody.
	Actor yamlfile.Section `yaml:"actor"`
	// Act is one of the policy's: read, export ... Or else give Action.
	Act string `yaml:"act"`
	// Action is the vendor's name of the act, as the catalogue has it: drive/download.
	Action string `yaml:"action"`
	// Object is SOURCE/KIND/ID, as in rows; "SOURCE/-" where there is none.
	Object string `yaml:"object"`
	// Name is the object's name as people see it; patterns in classes.yaml may ask for it.
	Name string `yaml:"name"`
	// Class is what data the object holds, in place of what classes.yaml and the catalogue say.
	Class string `yaml:"class"`
	// App is the id of the app through which it is done, or that is given something.
	App string `yaml:"app"`
	// Scopes are what the app is given.
	Scopes []string `yaml:"scopes"`
}

// actorYAML is an account as the source's records name it.
type actorYAML struct {
	// ID is the vendor's.
	ID string `yaml:"id"`
	// Email is the address that the record shows.
	Email string `yaml:"email"`
	// Name is the login or the name that the record shows.
	Name string `yaml:"name"`
	// Type is person, app or service; person without it.
	Type string `yaml:"type"`
}

type givenYAML struct {
	// Holder is person:ID, app:SOURCE/ID, group:SOURCE/ID ...
	Holder string `yaml:"holder"`
	// Held is role:NAME, group:SOURCE/ID, privilege:SOURCE/ID ...
	Held string `yaml:"held"`
	// From is when it begins; always without it.
	From string `yaml:"from"`
	// Until is when it ends, and no longer holds; never without it.
	Until string `yaml:"until"`
}

// wantYAML is what must come out. What is left out may be anything, but for the verdict.
type wantYAML struct {
	// Verdict is allowed, violation or unknown.
	Verdict string `yaml:"verdict"`
	// Row is the row that must decide, as it stands in policy.csv; none where no row may.
	Row string `yaml:"row"`
	// Line is the line of that row, where writing it out is too long.
	Line int `yaml:"line"`
	// Subject is who must be judged.
	Subject string `yaml:"subject"`
	// Classes are the data classes that must be judged, in any order.
	Classes []string `yaml:"classes"`
}

// trial is a case, ready to be tried.
type trial struct {
	file    string
	line    int
	name    string
	event   *curfewv1.Event
	subject string // who acts, where the event has no actor
	action  catalog.Action
	classes []string
	given   []*curfewv1.Grant
	want    wantYAML
}

// readCases reads every case of a policy folder, in the order of the files' names.
func (b Bench) readCases(dir string, policy *judge.Policy) ([]trial, error) {
	folder := filepath.Join(dir, testsFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	var trials []trial
	for _, entry := range entries {
		if extension := filepath.Ext(entry.Name()); extension != ".yaml" && extension != ".yml" {
			continue
		}
		file := testsFolder + "/" + entry.Name()
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read cases: %w", err)
		}
		var sections []yamlfile.Section
		if err := yamlfile.Decode(file, content, &sections); err != nil {
			return nil, err
		}
		for _, section := range sections {
			var c caseYAML
			if err := section.Named(file).Decode(&c); err != nil {
				return nil, err
			}
			t, err := b.readCase(policy, file, c)
			if err != nil {
				return nil, fmt.Errorf("read %s: line %d: case %q: %w", file, section.Line(), c.Name, err)
			}
			t.file, t.line, t.name = file, section.Line(), c.Name
			trials = append(trials, t)
		}
	}
	if len(trials) == 0 {
		return nil, fmt.Errorf("read cases: there are none: write some into %s, as in `deploy/example/policy/tests`", filepath.Join(folder, "NAME.yaml"))
	}
	return trials, nil
}

func (b Bench) readCase(policy *judge.Policy, file string, c caseYAML) (trial, error) {
	var t trial
	at := b.Now
	var err error
	if c.Name == "" {
		return t, errors.New("it has no name; write what it tries")
	}
	if c.At != "" {
		if at, err = moment("at", c.At); err != nil {
			return t, err
		}
	}
	if err := t.readEvent(policy, file, c.Event.Named(file)); err != nil {
		return t, err
	}
	t.event.Time, t.event.Received = timestamppb.New(at), timestamppb.New(at)
	for _, g := range c.Given {
		grant, err := g.read(policy)
		if err != nil {
			return t, err
		}
		t.given = append(t.given, grant)
	}
	t.want, err = readWant(policy, c.Want.Named(file))
	return t, err
}

func moment(key, text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%s: %q is no time; write 2026-11-02T09:00:00Z", key, text)
	}
	return at, nil
}

func (t *trial) readEvent(policy *judge.Policy, file string, section yamlfile.Section) error {
	var e eventYAML
	var short, actor string
	if section.Decode(&short) == nil {
		words := strings.Fields(short)
		if len(words) != 3 {
			return fmt.Errorf("event %q: write \"ACTOR ACT OBJECT\", as in person:sam read google_workspace/file/1A, or its parts by name", short)
		}
		actor, e.Act, e.Object = words[0], words[1], words[2]
	} else if err := section.Decode(&e); err != nil {
		return err
	}
	source, path, found := strings.Cut(e.Object, "/")
	if sources := policy.Catalog().Sources(); !found || !slices.Contains(sources, source) {
		return fmt.Errorf("object %q: write SOURCE/KIND/ID; the sources are %s", e.Object, strings.Join(sources, ", "))
	}
	t.event = &curfewv1.Event{Source: source, Action: e.Action}
	if kind, _, _ := strings.Cut(path, "/"); path != "-" {
		t.event.Resource = &curfewv1.Resource{Path: path, Kind: kind, Name: e.Name}
	}
	if e.App != "" || len(e.Scopes) > 0 {
		t.event.App = &curfewv1.App{Id: e.App, Scopes: e.Scopes}
	}
	if e.Class != "" {
		if !slices.Contains(policy.Classes(), e.Class) {
			return fmt.Errorf("class %q is not known%s", e.Class, didYouMean(e.Class, policy.Classes()))
		}
		t.classes = []string{e.Class}
	}
	if err := t.readAct(policy, e); err != nil {
		return err
	}
	if e.Actor.Line() > 0 && e.Actor.Decode(&actor) != nil {
		return t.readAccount(e.Actor.Named(file))
	}
	return t.readActor(policy, actor)
}

// readAct takes the act, or what the catalogue says of the action.
func (t *trial) readAct(policy *judge.Policy, e eventYAML) error {
	switch {
	case (e.Act == "") == (e.Action == ""):
		return errors.New("give either act (read, export ...) or action, the vendor's name of it")
	case e.Action != "":
		action, known := policy.Catalog().Action(t.event.GetSource(), "", e.Action)
		if !known {
			return fmt.Errorf("action %q: the catalogue knows no such action of %s; what is done by it is unknown", e.Action, t.event.GetSource())
		}
		t.action = action
		return nil
	case !slices.Contains(catalog.Acts(), e.Act):
		return fmt.Errorf("act %q: an act is one of %s", e.Act, strings.Join(catalog.Acts(), ", "))
	default:
		t.action = catalog.Action{Act: e.Act}
		return nil
	}
}

func (t *trial) readActor(policy *judge.Policy, actor string) error {
	kind, id, _ := strings.Cut(actor, ":")
	switch {
	case actor == "":
		return nil
	case judge.IsTyped(actor) && slices.Contains([]string{"person", "app", "service", "unknown"}, kind):
		if kind == "person" && !policy.KnowsPerson(id) {
			return nobody(policy, id)
		}
		t.subject = actor
		return nil
	case strings.Contains(actor, "@"):
		t.event.Actor = &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Email: actor}
		return nil
	default:
		return fmt.Errorf("actor %q: write person:ID, an e-mail address, app:SOURCE/ID, service:ID or unknown:SOURCE/ID, or {id: ...} for an account of the source", actor)
	}
}

func nobody(policy *judge.Policy, id string) error {
	return fmt.Errorf("nobody in %s has the id %q%s", identitiesFile, id, didYouMean(id, policy.People()))
}

func (t *trial) readAccount(section yamlfile.Section) error {
	var a actorYAML
	if err := section.Decode(&a); err != nil {
		return err
	}
	types := map[string]curfewv1.ActorType{
		"": curfewv1.ActorType_ACTOR_TYPE_PERSON, "person": curfewv1.ActorType_ACTOR_TYPE_PERSON,
		"app": curfewv1.ActorType_ACTOR_TYPE_APP, "service": curfewv1.ActorType_ACTOR_TYPE_SERVICE,
	}
	kind, known := types[a.Type]
	if !known {
		return fmt.Errorf("actor type %q: it is person, app or service", a.Type)
	}
	t.event.Actor = &curfewv1.Actor{Type: kind, Id: a.ID, Email: a.Email, Name: a.Name}
	return nil
}

// read makes a grant of what is given: that it may be a membership is all one to what it gives.
func (g givenYAML) read(policy *judge.Policy) (*curfewv1.Grant, error) {
	if kind, id, _ := strings.Cut(g.Holder, ":"); !judge.IsTyped(g.Holder) || kind == "role" {
		return nil, fmt.Errorf("given holder %q: write person:ID, app:SOURCE/ID, service:ID or group:SOURCE/ID", g.Holder)
	} else if kind == "person" && !policy.KnowsPerson(id) {
		return nil, nobody(policy, id)
	}
	var named []string
	for _, stated := range policy.Stated() {
		named = append(named, slices.DeleteFunc(slices.Clone(stated.Fields), func(field string) bool { return !judge.IsTyped(field) })...)
	}
	if !slices.Contains(named, g.Held) {
		return nil, fmt.Errorf("given held %q: no row speaks of it, so it gives nothing%s", g.Held, didYouMean(g.Held, named))
	}
	grant := &curfewv1.Grant{Subject: g.Holder, Role: g.Held, State: curfewv1.GrantState_GRANT_STATE_ACTIVE, From: timestamppb.New(time.Time{}), ExpiresAt: timestamppb.New(later)}
	for key, bound := range map[string]struct {
		text string
		at   **timestamppb.Timestamp
	}{"from": {g.From, &grant.From}, "until": {g.Until, &grant.ExpiresAt}} {
		if bound.text == "" {
			continue
		}
		at, err := moment("given "+key, bound.text)
		if err != nil {
			return nil, err
		}
		*bound.at = timestamppb.New(at)
	}
	if !grant.GetFrom().AsTime().Before(grant.GetExpiresAt().AsTime()) {
		return nil, fmt.Errorf("given %s: it ends before it begins", g.Held)
	}
	return grant, nil
}

func readWant(policy *judge.Policy, section yamlfile.Section) (wantYAML, error) {
	var w wantYAML
	if section.Decode(&w.Verdict) != nil {
		if err := section.Decode(&w); err != nil {
			return w, err
		}
	}
	if !slices.Contains([]string{"allowed", "violation", "unknown"}, w.Verdict) {
		return w, fmt.Errorf("want %q: a verdict is allowed, violation or unknown", w.Verdict)
	}
	if w.Row == "" || w.Row == "none" {
		return w, nil
	}
	w.Row = spaced(w.Row)
	if !slices.ContainsFunc(policy.Stated(), func(stated judge.Stated) bool { return text(stated) == w.Row }) {
		return w, fmt.Errorf("want row %q: there is no such row in %s", w.Row, policyFile)
	}
	return w, nil
}

// text is a row as records show it.
func text(stated judge.Stated) string { return stated.Kind + ", " + strings.Join(stated.Fields, ", ") }

// spaced is a row as text, however it was spaced.
func spaced(row string) string {
	fields := strings.Split(row, ",")
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	return strings.Join(fields, ", ")
}
