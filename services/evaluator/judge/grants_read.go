// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/grant"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxApprovals bounds how many persons a request may need.
const maxApprovals = 10

type grantsYAML struct {
	Defaults   yamlfile.Section            `yaml:"defaults"`
	Roles      map[string]yamlfile.Section `yaml:"roles"`
	Classes    map[string]yamlfile.Section `yaml:"classes"`
	Auto       []yamlfile.Section          `yaml:"auto"`
	BreakGlass yamlfile.Section            `yaml:"break_glass"`
}

// boundsYAML are the keys that the defaults and each role have. Each keeps its line.
type boundsYAML struct {
	Max          yamlfile.Section `yaml:"max"`
	Approvals    yamlfile.Section `yaml:"approvals"`
	Ticket       yamlfile.Section `yaml:"ticket"`
	Why          yamlfile.Section `yaml:"why"`
	Extend       yamlfile.Section `yaml:"extend"`
	AnswerWithin yamlfile.Section `yaml:"answer_within"`
	RemindBefore yamlfile.Section `yaml:"remind_before"`
	Owner        yamlfile.Section `yaml:"owner"`
}

type roleYAML struct {
	Bounds     boundsYAML         `yaml:",inline"`
	Privileges []yamlfile.Section `yaml:"privileges"`
}

type classTermsYAML struct {
	Max       yamlfile.Section `yaml:"max"`
	Approvals yamlfile.Section `yaml:"approvals"`
	Ticket    yamlfile.Section `yaml:"ticket"`
	Why       yamlfile.Section `yaml:"why"`
}

type privilegeYAML struct {
	Source       string           `yaml:"source"`
	Kind         string           `yaml:"kind"`
	Resource     string           `yaml:"resource"`
	ResourceName string           `yaml:"resource_name"`
	Level        string           `yaml:"level"`
	Scope        string           `yaml:"scope"`
	Sessions     yamlfile.Section `yaml:"sessions"`
}

type autoYAML struct {
	Name        string           `yaml:"name"`
	Roles       []string         `yaml:"roles"`
	OnCall      string           `yaml:"on_call"`
	Sensitivity *int             `yaml:"sensitivity"`
	Max         yamlfile.Section `yaml:"max"`
}

type breakGlassYAML struct {
	Roles        []string         `yaml:"roles"`
	Max          yamlfile.Section `yaml:"max"`
	ReviewWithin yamlfile.Section `yaml:"review_within"`
}

type onCallYAML struct {
	Shifts []yamlfile.Section `yaml:"shifts"`
}

type shiftYAML struct {
	Who   string `yaml:"who"`
	From  string `yaml:"from"`
	Until string `yaml:"until"`
}

// grantsReader reads one policy's grants.yaml and oncall.yaml; the first error stays.
type grantsReader struct {
	policy *Policy
	file   string
	err    error
}

// readGrants reads grants.yaml and oncall.yaml, which speak of the policy's people and classes.
func (p *Policy) readGrants(content, schedule []byte) error {
	p.grants = &grants{roles: map[string]roleTerms{}, classes: map[string]bounds{}}
	var shifts onCallYAML
	if err := yamlfile.Decode(onCallFile, schedule, &shifts); err != nil {
		return err
	}
	r := &grantsReader{policy: p, file: onCallFile}
	for _, section := range shifts.Shifts {
		p.grants.shifts = append(p.grants.shifts, r.shift(section))
	}
	var file grantsYAML
	if err := yamlfile.Decode(grantsFile, content, &file); err != nil {
		return cmp.Or(r.err, err)
	}
	r.file = grantsFile
	var defaults boundsYAML
	r.decode(file.Defaults, &defaults)
	p.grants.defaults = r.bounds(defaults)
	for _, name := range slices.Sorted(maps.Keys(file.Roles)) {
		p.grants.roles[name] = r.role(name, file.Roles[name])
	}
	for _, name := range slices.Sorted(maps.Keys(file.Classes)) {
		p.grants.classes[name] = r.class(name, file.Classes[name])
	}
	for _, section := range file.Auto {
		p.grants.auto = append(p.grants.auto, r.rule(section, schedule != nil))
	}
	if file.BreakGlass.Line() > 0 {
		p.grants.emergency = r.emergency(file.BreakGlass)
	}
	return r.err
}

// refuse keeps the first thing that is wrong.
func (r *grantsReader) refuse(at yamlfile.Section, format string, arguments ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("read %s: line %d: %s", r.file, at.Line(), fmt.Sprintf(format, arguments...))
	}
}

func (r *grantsReader) decode(section yamlfile.Section, into any) {
	if err := section.Named(r.file).Decode(into); err != nil && r.err == nil {
		r.err = err
	}
}

// text is a single value; "" where there is none.
func (r *grantsReader) text(section yamlfile.Section) (text string) {
	r.decode(section, &text)
	return text
}

// length is how long; nil where the file does not say. It is more than nothing and no more than most, 0 being no bound.
func (r *grantsReader) length(section yamlfile.Section, key string, most time.Duration) *time.Duration {
	if section.Line() == 0 {
		return nil
	}
	text := r.text(section)
	length, err := ParseLength(text)
	switch {
	case err != nil || length <= 0:
		r.refuse(section, "%s %q is no length of time; write 45m, 2h45m or 7d", key, text)
	case most > 0 && length > most:
		r.refuse(section, "%s is %s, and can be %s at most", key, text, grant.SayLength(most))
	}
	return &length
}

// word is whether a value is the first of two words; nil where the file does not say.
func (r *grantsReader) word(section yamlfile.Section, key, yes, no string) *bool {
	if section.Line() == 0 {
		return nil
	}
	text := r.text(section)
	if text != yes && text != no {
		r.refuse(section, "%s is %s or %s, and not %q", key, yes, no, text)
	}
	is := text == yes
	return &is
}

func (r *grantsReader) approvals(section yamlfile.Section) *uint32 {
	if section.Line() == 0 {
		return nil
	}
	text := r.text(section)
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < 1 || n > maxApprovals {
		r.refuse(section, "approvals is %q, and must be 1 to %d; what needs no person's yes has a rule under auto, or a row in %s that lets it be created", text, maxApprovals, policyFile)
	}
	approvals := uint32(n)
	return &approvals
}

func (r *grantsReader) bounds(y boundsYAML) bounds {
	b := bounds{
		max: r.length(y.Max, "max", longestGrant), approvals: r.approvals(y.Approvals),
		ticket: r.word(y.Ticket, "ticket", "required", "optional"), why: r.word(y.Why, "why", "required", "optional"),
		extend: r.word(y.Extend, "extend", "true", "false"), answerWithin: r.length(y.AnswerWithin, "answer_within", 0),
		remindBefore: r.length(y.RemindBefore, "remind_before", 0),
	}
	if y.Owner.Line() > 0 {
		owner, err := r.policy.asPerson(r.text(y.Owner))
		if err != nil {
			r.refuse(y.Owner, "owner: %v", err)
		}
		b.owner = owner
	}
	return b
}

// maxPrivileges is how many privileges a role may stand for: each grows to some 5 kB with the calls and reads of its life,
// and a step of a grant has to fit a message of the bus.
const maxPrivileges = 100

func (r *grantsReader) role(name string, section yamlfile.Section) roleTerms {
	var y roleYAML
	r.decode(section, &y)
	terms := roleTerms{bounds: r.bounds(y.Bounds)}
	if len(y.Privileges) > maxPrivileges {
		r.refuse(section, "%s stands for %d privileges; a grant's record has room for %d with what becomes of them: use a group, or several roles", name, len(y.Privileges), maxPrivileges)
		return terms
	}
	for _, at := range y.Privileges {
		terms.privileges = append(terms.privileges, r.privilege(at))
	}
	r.checkRole(section, name)
	return terms
}

func (r *grantsReader) checkRole(section yamlfile.Section, name string) {
	if id, is := strings.CutPrefix(name, "role:"); !is || id == "" {
		r.refuse(section, "%q is no role; write role:<name>", name)
	}
}

func (r *grantsReader) privilege(section yamlfile.Section) *curfewv1.HeldPrivilege {
	var y privilegeYAML
	r.decode(section, &y)
	for _, required := range []struct{ key, value string }{{"source", y.Source}, {"kind", y.Kind}, {"resource", y.Resource}} {
		if required.value == "" {
			r.refuse(section, "the privilege has no %s; it needs source, kind and resource", required.key)
		}
	}
	for _, text := range []string{y.Source, y.Kind, y.Resource, y.ResourceName, y.Level, y.Scope} {
		if event.Clean(text) != text || len(text) > maxText {
			r.refuse(section, "%.40q holds a control character, or is longer than %d bytes", text, maxText)
		}
	}
	keep := r.word(y.Sessions, "sessions", "keep", "end")
	return &curfewv1.HeldPrivilege{
		Privilege: &curfewv1.Privilege{
			Source: y.Source, Kind: y.Kind, Resource: y.Resource, ResourceName: y.ResourceName, Level: y.Level, Scope: y.Scope,
		},
		KeepSessions: keep != nil && *keep,
	}
}

func (r *grantsReader) class(name string, section yamlfile.Section) bounds {
	var y classTermsYAML
	r.decode(section, &y)
	if _, known := r.policy.classes.byID[name]; !known {
		r.refuse(section, "class %q is not known; it is neither in the catalogue nor in %s", name, classesFile)
	}
	return r.bounds(boundsYAML{Max: y.Max, Approvals: y.Approvals, Ticket: y.Ticket, Why: y.Why})
}

func (r *grantsReader) rule(section yamlfile.Section, scheduled bool) autoRule {
	var y autoYAML
	r.decode(section, &y)
	switch {
	case y.Name == "" || y.Name != event.Escape(y.Name):
		r.refuse(section, "the rule's name %q must be a short name without spaces; it stands in the record of what it approves", y.Name)
	case slices.ContainsFunc(r.policy.grants.auto, func(other autoRule) bool { return other.name == y.Name }):
		r.refuse(section, "a rule called %q is there twice", y.Name)
	case len(y.Roles) == 0:
		r.refuse(section, "rule %q names no roles", y.Name)
	case (y.OnCall == "") == (y.Sensitivity == nil):
		r.refuse(section, "rule %q needs either on_call or sensitivity", y.Name)
	case y.OnCall != "" && y.OnCall != onCallFile:
		r.refuse(section, "on_call is %q; the schedule is called %s", y.OnCall, onCallFile)
	case y.OnCall != "" && !scheduled:
		r.refuse(section, "rule %q goes by %s, and there is none in the policy folder", y.Name, onCallFile)
	case y.Sensitivity != nil && (*y.Sensitivity < 0 || *y.Sensitivity >= sensitive):
		r.refuse(section, "sensitivity is %d, and can be 0 to %d: what is more sensitive wants a person's yes", *y.Sensitivity, sensitive-1)
	}
	for _, role := range y.Roles {
		r.checkRole(section, role)
	}
	return autoRule{name: y.Name, roles: y.Roles, onCall: y.OnCall != "", sensitivity: y.Sensitivity, max: r.length(y.Max, "max", longestGrant)}
}

func (r *grantsReader) emergency(section yamlfile.Section) *emergency {
	var y breakGlassYAML
	r.decode(section, &y)
	if len(y.Roles) == 0 {
		r.refuse(section, "break_glass names no roles")
	}
	for _, role := range y.Roles {
		r.checkRole(section, role)
	}
	e := &emergency{roles: y.Roles, max: longestEmergency, reviewWithin: reviewWithin}
	set(&e.max, r.length(y.Max, "max", longestGrant))
	set(&e.reviewWithin, r.length(y.ReviewWithin, "review_within", 0))
	return e
}

func (r *grantsReader) shift(section yamlfile.Section) shift {
	var y shiftYAML
	r.decode(section, &y)
	who, err := r.policy.asPerson(y.Who)
	if err != nil {
		r.refuse(section, "who: %v", err)
	}
	s := shift{who: who}
	for _, bound := range []struct {
		key, text string
		into      *time.Time
	}{{"from", y.From, &s.from}, {"until", y.Until, &s.until}} {
		at, err := time.Parse(time.RFC3339, bound.text)
		if err != nil {
			r.refuse(section, "%s %q is no time; write 2026-11-02T09:00:00Z", bound.key, bound.text)
		}
		*bound.into = at
	}
	if !s.from.Before(s.until) {
		r.refuse(section, "the shift ends at %s and begins at %s", y.Until, y.From)
	}
	return s
}

// ParseLength reads a length of time as Go writes it, or in whole days.
func ParseLength(text string) (time.Duration, error) {
	if days, found := strings.CutSuffix(text, "d"); found {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 10_000 {
			return 0, errors.New("no number of days")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}
