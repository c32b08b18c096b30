// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"html"
	"html/template"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// reader is who looks at the page: what text says depends on it.
type reader struct {
	id       string
	in       *time.Location
	now      time.Time
	users    map[string]string // names by id
	channels map[string]string
}

// held stands in text for HTML that is put there at the end: a rune for private use, of which none is left in the text.
const held = '\ue000'

// plain is text without markup.
func (r *reader) plain(text string) template.HTML {
	escaped := emoji(html.EscapeString(literal(text)))
	return template.HTML(strings.ReplaceAll(escaped, "\n", "<br>"))
}

// literal is text of which Slack's three entities are what they stand for.
func literal(text string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
}

// marked is text in mrkdwn (https://docs.slack.dev/messaging/formatting-message-text) as Slack shows it. Whatever is in
// text, the HTML has no tag but of this function.
func (r *reader) marked(text string) template.HTML {
	text = strings.Map(func(c rune) rune {
		if c == held {
			return -1
		}
		return c
	}, text)
	var kept []string
	hold := func(safe string) string {
		kept = append(kept, safe)
		return string(held) + strconv.Itoa(len(kept)-1) + string(held)
	}
	text = regexp.MustCompile("(?s)```(.+?)```").ReplaceAllStringFunc(text, func(s string) string {
		return hold("<pre>" + html.EscapeString(literal(strings.Trim(s, "`\n"))) + "</pre>")
	})
	text = regexp.MustCompile("`[^`\n]+`").ReplaceAllStringFunc(text, func(s string) string {
		return hold("<code>" + html.EscapeString(literal(strings.Trim(s, "`"))) + "</code>")
	})
	text = regexp.MustCompile(`<[^<>\n]+>`).ReplaceAllStringFunc(text, func(s string) string {
		return hold(r.sequence(s[1 : len(s)-1]))
	})
	text = regexp.MustCompile(`https?://[^\s|<>"*`+string(held)+`]+`).ReplaceAllStringFunc(text, func(s string) string {
		return hold(link(literal(s), ""))
	})
	text = emoji(html.EscapeString(literal(text)))
	text = quoted(wrap(wrap(wrap(text, '*', "b"), '_', "i"), '~', "s"))
	place := regexp.MustCompile(string(held) + `\d+` + string(held))
	// What is kept may have what was kept before it.
	for strings.ContainsRune(text, held) {
		text = place.ReplaceAllStringFunc(text, func(s string) string {
			i, _ := strconv.Atoi(strings.Trim(s, string(held))) // matched, so it is a number
			return kept[i]
		})
	}
	return template.HTML(text)
}

// sequence is what stands in angle brackets.
func (r *reader) sequence(s string) string {
	target, label, labelled := strings.Cut(s, "|")
	switch {
	case strings.HasPrefix(target, "@"):
		class := "mention"
		if target[1:] == r.id {
			class = "mention me"
		}
		name, known := r.users[target[1:]]
		if !known {
			name = target[1:]
		}
		return `<span class="` + class + `">@` + html.EscapeString(name) + `</span>`
	case strings.HasPrefix(target, "#"):
		name, known := r.channels[target[1:]]
		if !known {
			name = target[1:]
		}
		return `<span class="mention">#` + html.EscapeString(name) + `</span>`
	case strings.HasPrefix(target, "!date^"):
		return html.EscapeString(literal(r.date(target[len("!date^"):], label)))
	case target == "!channel" || target == "!here" || target == "!everyone":
		return `<span class="mention me">@` + target[1:] + `</span>`
	case strings.HasPrefix(target, "!subteam^"):
		return `<span class="mention me">@` + html.EscapeString(strings.TrimPrefix(target, "!subteam^")) + `</span>`
	case strings.HasPrefix(target, "!"):
		if labelled {
			return html.EscapeString("<" + literal(label) + ">")
		}
		return html.EscapeString("<" + literal(target[1:]) + ">")
	}
	return link(literal(target), literal(label))
}

// link is one that leads somewhere by a scheme that Slack follows, and otherwise its text.
func link(target, label string) string {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "mailto" {
		return html.EscapeString("<" + target + ">")
	}
	if label == "" {
		label = strings.TrimPrefix(target, "mailto:")
	}
	return `<a href="` + html.EscapeString(target) + `" title="` + html.EscapeString(target) + `" rel="noreferrer" target="_blank">` + html.EscapeString(label) + `</a>`
}

// date is a time as the reader has it: https://docs.slack.dev/messaging/formatting-message-text#date-formatting.
func (r *reader) date(spec, fallback string) string {
	parts := strings.SplitN(spec, "^", 3)
	unix, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || len(parts) < 2 {
		return fallback
	}
	t := time.Unix(unix, 0).In(r.in)
	pretty := func(layout string) string {
		day := func(t time.Time) string { return t.In(r.in).Format(time.DateOnly) }
		switch day(t) {
		case day(r.now):
			return "Today"
		case day(r.now.AddDate(0, 0, -1)):
			return "Yesterday"
		case day(r.now.AddDate(0, 0, 1)):
			return "Tomorrow"
		}
		return t.Format(layout)
	}
	long, short := "Monday, January 2, 2006", "Jan 2, 2006"
	return strings.NewReplacer(
		"{date_num}", t.Format(time.DateOnly), "{date}", t.Format("January 2, 2006"), "{date_short}", t.Format(short), "{date_long}", t.Format(long),
		"{date_pretty}", pretty("January 2, 2006"), "{date_short_pretty}", pretty(short), "{date_long_pretty}", pretty(long),
		"{time}", t.Format("3:04 PM"), "{time_secs}", t.Format("3:04:05 PM"), "{ago}", r.now.Sub(t).Truncate(time.Minute).String()+" ago",
	).Replace(parts[1])
}

// wrap makes *this* bold, and so on: a mark opens before a word and closes behind one, on one line.
func wrap(text string, mark rune, tag string) string {
	in := []rune(text)
	word := func(i int) bool { return i >= 0 && i < len(in) && (unicode.IsLetter(in[i]) || unicode.IsDigit(in[i])) }
	space := func(i int) bool { return i < 0 || i >= len(in) || unicode.IsSpace(in[i]) }
	var out strings.Builder
	for i := 0; i < len(in); i++ {
		if in[i] != mark || word(i-1) || space(i+1) || in[i+1] == mark {
			out.WriteRune(in[i])
			continue
		}
		end := i + 1
		for end < len(in) && in[end] != '\n' && (in[end] != mark || space(end-1) || word(end+1)) {
			end++
		}
		if end >= len(in) || in[end] != mark {
			out.WriteRune(in[i])
			continue
		}
		out.WriteString("<" + tag + ">" + string(in[i+1:end]) + "</" + tag + ">")
		i = end
	}
	return out.String()
}

// quoted makes lines that begin with > quotes, and ends the others.
func quoted(text string) string {
	var out strings.Builder
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if quote, ok := strings.CutPrefix(line, "&gt;"); ok {
			out.WriteString("<blockquote>" + strings.TrimPrefix(quote, " ") + "</blockquote>")
			continue
		}
		out.WriteString(line)
		if i < len(lines)-1 {
			out.WriteString("<br>")
		}
	}
	return out.String()
}

// emoji are the few that cards have, by their names at Slack.
func emoji(text string) string {
	return strings.NewReplacer(
		":rotating_light:", "🚨", ":warning:", "⚠️", ":white_check_mark:", "✅", ":x:", "❌", ":eyes:", "👀", ":bell:", "🔔", ":no_bell:", "🔕",
		":mute:", "🔇", ":lock:", "🔒", ":unlock:", "🔓", ":hourglass_flowing_sand:", "⏳", ":red_circle:", "🔴", ":large_orange_circle:", "🟠",
		":large_yellow_circle:", "🟡", ":large_blue_circle:", "🔵", ":white_circle:", "⚪", ":information_source:", "ℹ️", ":question:", "❓",
		":repeat:", "🔁", ":arrow_up:", "⬆️", ":zap:", "⚡", ":shield:", "🛡️", ":clipboard:", "📋", ":link:", "🔗", ":speech_balloon:", "💬",
	).Replace(text)
}
