// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/yamlfile"
)

// item is one of a list in a YAML file that was read before, so that all in it is as it should be.
type item struct {
	line   int
	fields map[string]any
}

// items are those of a list at the top of a file.
func items(content []byte, file, list string) []item {
	var top map[string]yamlfile.Section
	if yamlfile.Decode(file, content, &top) != nil {
		return nil
	}
	var sections []yamlfile.Section
	if top[list].Named(file).Decode(&sections) != nil {
		return nil
	}
	all := make([]item, 0, len(sections))
	for _, section := range sections {
		i := item{line: section.Line()}
		if section.Named(file).Decode(&i.fields) == nil {
			all = append(all, i)
		}
	}
	return all
}

// text is a field that is a text; "" where it is not.
func (i item) text(name string) string {
	text, _ := i.fields[name].(string)
	return text
}

// texts are a field that is a list of texts.
func (i item) texts(name string) []string { return texts(i.fields[name]) }

func texts(field any) []string {
	list, _ := field.([]any)
	var all []string
	for _, one := range list {
		if text, is := one.(string); is {
			all = append(all, text)
		}
	}
	return all
}

// everyText calls visit with each text in a decoded file, however deep.
func everyText(value any, visit func(string)) {
	switch value := value.(type) {
	case string:
		visit(value)
	case []any:
		for _, one := range value {
			everyText(one, visit)
		}
	case map[string]any:
		for _, one := range value {
			everyText(one, visit)
		}
	}
}

// classes is classes that no object is ever of.
func (l *linter) classes() {
	files := l.policy.Files()
	given := map[string]bool{}
	for _, resource := range items(files[classesFile], classesFile, "resources") {
		given[resource.text("class")] = true
	}
	var extension any
	if yamlfile.Decode(catalogFile, files[catalogFile], &extension) == nil {
		everyText(extension, func(text string) { given[text] = true })
	}
	for _, class := range items(files[classesFile], classesFile, "classes") {
		id := class.text("id")
		if _, ours := l.Catalog.Class(id); ours {
			continue // it gives the catalogue's own class a parent or a higher sensitivity
		}
		if slices.ContainsFunc(l.policy.Classes(), func(other string) bool { return given[other] && l.policy.Within(other, id) }) {
			continue
		}
		l.add(classesFile, class.line, Warning, "unused-class", fmt.Sprintf("no object is ever of class %s: give it to a pattern under resources, or to a kind, action or scope in %s", id, catalogFile))
	}
}

// resources is patterns of objects that give no object a class.
func (l *linter) resources() {
	resources := items(l.policy.Files()[classesFile], classesFile, "resources")
	for i, r := range resources {
		if object := r.text("object"); object != "" {
			if problem, severity := l.object(object); problem != "" {
				l.add(classesFile, r.line, severity, "unknown-object", problem)
			}
		}
		for j, other := range resources {
			field := "object"
			if r.text(field) == "" {
				field = "name"
			}
			pattern, wider := r.text(field), other.text(field)
			if i == j || wider == "" || other.text("class") != r.text("class") || !matches(wider, strings.ReplaceAll(pattern, "*", fresh)) {
				continue
			}
			if matches(pattern, strings.ReplaceAll(wider, "*", fresh)) && i < j {
				continue // they are the same: the later one is too much
			}
			l.add(classesFile, r.line, Warning, "shadowed-resource", fmt.Sprintf("the pattern %q adds nothing: line %d (%q) gives all of it class %s already; delete it", pattern, other.line, wider, r.text("class")))
			break
		}
	}
}

// matches is whether text fits a pattern of classes.yaml, in which each "*" stands for any run of characters.
func matches(pattern, text string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild || !strings.HasPrefix(text, first) {
		return pattern == text
	}
	for text = text[len(first):]; ; {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text, rest = text[at+len(part):], next
	}
}

// identities is accounts and addresses that nobody can have.
func (l *linter) identities() {
	content := l.policy.Files()[identitiesFile]
	sources := l.policy.Catalog().Sources()
	var top map[string]yamlfile.Section
	var directory string
	if yamlfile.Decode(identitiesFile, content, &top) == nil && top["directory"].Decode(&directory) == nil && directory != "" && !slices.Contains(sources, directory) {
		l.add(identitiesFile, top["directory"].Line(), Warning, "unknown-source", fmt.Sprintf("there is no source %q, so no accounts are people by it%s", directory, didYouMean(directory, sources)))
	}
	for _, person := range items(content, identitiesFile, "people") {
		accounts, _ := person.fields["accounts"].(map[string]any)
		for _, source := range slices.Sorted(maps.Keys(accounts)) {
			if !slices.Contains(sources, source) {
				l.add(identitiesFile, person.line, Warning, "unknown-source", fmt.Sprintf("person:%s has accounts at %q, and there is no such source%s", person.text("id"), source, didYouMean(source, sources)))
			}
		}
		for _, email := range person.texts("emails") {
			if !strings.Contains(email, "@") {
				l.add(identitiesFile, person.line, Warning, "no-address", fmt.Sprintf("%q of person:%s is no e-mail address, so nobody is known by it; write one with an @", email, person.text("id")))
			}
		}
	}
}

// catalogue is sources that the user's own catalogue speaks of and Curfew does not know.
func (l *linter) catalogue() {
	var file struct {
		Sources map[string]yamlfile.Section `yaml:"sources"`
	}
	if yamlfile.Decode(catalogFile, l.policy.Files()[catalogFile], &file) != nil {
		return
	}
	known := l.Catalog.Sources()
	for name, section := range file.Sources {
		if slices.Contains(known, name) {
			continue
		}
		text, severity := fmt.Sprintf("%q is no source that Curfew reads: this is for events of your own", name), Hint
		if near := didYouMean(name, known); near != "" {
			text, severity = text+near, Warning
		}
		l.add(catalogFile, section.Line(), severity, "unknown-source", text)
	}
}
