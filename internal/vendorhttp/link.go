// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// NextLink is the address that an answer's Link header gives for the next page, nil where it gives none. One that leads
// to another host than base's is an error: a secret would travel there. https://www.rfc-editor.org/rfc/rfc8288
func NextLink(base *url.URL, header http.Header) (*url.URL, error) {
	for _, line := range header.Values("Link") {
		for _, link := range splitLinks(line) {
			target, parameters, _ := strings.Cut(link, ">")
			target, isLink := strings.CutPrefix(strings.TrimSpace(target), "<")
			if !isLink || !isNext(parameters) {
				continue
			}
			return SameHost(base, target)
		}
	}
	return nil, nil
}

// SameHost is the address of a next page as a vendor gave it, resolved at base. One that leads elsewhere is an error.
func SameHost(base *url.URL, text string) (*url.URL, error) {
	next, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("read page: the link to the next one is not an address")
	}
	next = base.ResolveReference(next)
	if next.Scheme != base.Scheme || !strings.EqualFold(next.Hostname(), base.Hostname()) || port(next) != port(base) {
		return nil, errors.New("read page: the link to the next one leads to another host; not followed")
	}
	return next, nil
}

// splitLinks splits a Link header at the commas between links. Most vendors send one link a line, a proxy may join them.
func splitLinks(line string) []string {
	var links []string
	inside, start := false, 0
	for i, r := range line {
		switch {
		case r == '<':
			inside = true
		case r == '>':
			inside = false
		case r == ',' && !inside:
			links = append(links, line[start:i])
			start = i + 1
		}
	}
	return append(links, line[start:])
}

func isNext(parameters string) bool {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if strings.EqualFold(name, "rel") && strings.Trim(value, `"`) == "next" {
			return true
		}
	}
	return false
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}
