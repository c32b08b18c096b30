// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"cmp"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pageFiles is the page's template.
//
//go:embed page.html
var pageFiles embed.FS

// maxShown is how many messages of a conversation the page shows, the newest.
const maxShown = 200

// page is what a person sees.
type page struct {
	As, In, Team, Title, Topic, Err, Nonce string
	Version                                uint64
	// Hash is whether the conversation is a channel, whose name has one before it.
	Hash                     bool
	Channels, Direct, People []place
	Messages                 []seen
	Views                    []modal
}

// place is a line of the left bar.
type place struct {
	ID, Name, Note string
	On             bool
}

// seen is a message as it is drawn.
type seen struct {
	TS, Day, Who, Initial, Colour, Clock, Full string
	App, Only, Edited, Broadcast               bool
	Text                                       template.HTML
	Blocks                                     []drawn
	Reactions                                  []string
	Replies                                    []seen
}

// modal is an open view as it is drawn.
type modal struct {
	ID, Title, Submit, Close string
	Blocks                   []drawn
}

// servePage shows the page and does what is clicked there.
func (w *Workspace) servePage(rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/_version":
		w.mu.Lock()
		version := w.version
		w.mu.Unlock()
		fmt.Fprint(rw, version)
	case r.URL.Path == "/" && r.Method == http.MethodGet:
		w.showPage(rw, r)
	case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/_"):
		// No other site may click here.
		if from := r.Header.Get("Origin"); from != "" && from != "http://"+r.Host && from != "https://"+r.Host {
			http.Error(rw, "another site may not do this", http.StatusForbidden)
			return
		}
		back := url.Values{"as": {r.FormValue("as")}, "in": {r.FormValue("in")}}
		if err := w.act(r); err != nil {
			back.Set("err", err.Error())
		}
		http.Redirect(rw, r, "/?"+back.Encode(), http.StatusSeeOther)
	default:
		http.NotFound(rw, r)
	}
}

// act does what a form of the page asks for.
func (w *Workspace) act(r *http.Request) error {
	as, in := r.FormValue("as"), r.FormValue("in")
	switch r.URL.Path {
	case "/_click":
		return w.Click(r.Context(), Click{
			User: as, Channel: in, TS: r.FormValue("ts"), ActionID: r.FormValue("action"), BlockID: r.FormValue("block"), Option: r.FormValue("option"),
		})
	case "/_submit":
		values := map[string]string{}
		for name := range r.PostForm {
			if id, ok := strings.CutPrefix(name, "v."); ok {
				values[id] = r.PostForm.Get(name)
			}
		}
		_, err := w.Submit(r.Context(), as, r.FormValue("view"), values)
		return err
	case "/_close":
		w.CloseView(r.FormValue("view"))
	case "/_say":
		text := strings.TrimSpace(r.FormValue("text"))
		if command, rest, _ := strings.Cut(text, " "); strings.HasPrefix(command, "/") {
			_, err := w.Slash(r.Context(), as, in, command, rest)
			return err
		}
		if text != "" {
			// A person's < and > are no markup.
			w.Say(as, in, "", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text))
		}
	}
	return nil
}

func (w *Workspace) showPage(rw http.ResponseWriter, r *http.Request) {
	both := func(it any, of page) map[string]any { return map[string]any{"It": it, "Page": of} }
	t, err := template.New("page.html").Funcs(template.FuncMap{"both": both}).ParseFS(pageFiles, "page.html")
	if err != nil {
		panic(fmt.Sprintf("parse the fake Slack's page: %v", err))
	}
	p := w.draw(r.URL.Query().Get("as"), r.URL.Query().Get("in"))
	p.Err, p.Nonce = r.URL.Query().Get("err"), rand.Text()
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("Cache-Control", "no-store")
	rw.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; form-action 'self'; script-src 'nonce-"+p.Nonce+"'")
	if err := t.Execute(rw, p); err != nil {
		// The head was sent: all that is left is to break off.
		panic(http.ErrAbortHandler)
	}
}

// draw is the page as a person sees a conversation, the first of each if they name none.
func (w *Workspace) draw(as, in string) page {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.users {
		if w.user(as) == nil && !u.IsBot && !u.Deleted {
			as = u.ID
		}
	}
	me := w.user(as)
	if me == nil {
		me = &User{TZ: "Etc/UTC"}
	}
	c := w.conversation(in)
	if c == nil || c.with != "" && c.with != as {
		c = nil
		if len(w.channels) > 0 {
			c = w.channels[0]
		}
	}
	p := page{As: me.ID, Team: w.options.Name, Version: w.version, Title: "no channels"}
	r := w.reader(me)
	w.drawBar(&p, me, c)
	if c == nil || c.with != "" && c.with != me.ID {
		return p
	}
	p.In, p.Title, p.Hash = c.id, cmp.Or(c.name, "Curfew"), c.with == ""
	p.Topic = strings.Join(slices.DeleteFunc([]string{onlyIf(c.private, "private"), onlyIf(c.archived, "archived"), onlyIf(!c.member, "the app is not in it")},
		func(s string) bool { return s == "" }), ", ")
	p.Messages = w.drawMessages(r, c)
	for _, v := range w.views {
		if v.user == me.ID {
			p.Views = append(p.Views, w.drawModal(r, v))
		}
	}
	return p
}

func onlyIf(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func (w *Workspace) reader(me *User) *reader {
	in, err := time.LoadLocation(me.TZ)
	if err != nil {
		in = time.UTC // a zone that this machine does not know
	}
	r := &reader{id: me.ID, in: in, now: w.options.Now(), users: map[string]string{}, channels: map[string]string{}}
	for _, u := range w.users {
		r.users[u.ID] = u.RealName
	}
	for _, c := range w.channels {
		r.channels[c.id] = c.name
	}
	return r
}

func (w *Workspace) drawBar(p *page, me *User, in *channel) {
	for _, c := range w.channels {
		switch c.with {
		case "":
			p.Channels = append(p.Channels, place{ID: c.id, Name: "# " + c.name, Note: onlyIf(c.archived, "archived"), On: c == in})
		case me.ID:
			p.Direct = append(p.Direct, place{ID: c.id, Name: "Curfew", Note: "APP", On: c == in})
		}
	}
	for _, u := range w.users {
		if !u.IsBot {
			note := cmp.Or(onlyIf(u.Deleted, "deactivated"), onlyIf(u.IsStranger, "other workspace"), onlyIf(u.IsRestricted, "guest"))
			p.People = append(p.People, place{ID: u.ID, Name: u.RealName, Note: note, On: u == me})
		}
	}
}

// drawMessages are those of a conversation, each with its thread, and what the reader alone was shown.
func (w *Workspace) drawMessages(r *reader, c *channel) []seen {
	var top []seen
	under := map[string][]seen{}
	for _, m := range c.messages {
		s := w.drawMessage(r, c, m)
		if m.ThreadTS != "" {
			under[m.ThreadTS] = append(under[m.ThreadTS], s)
		}
		if m.ThreadTS == "" || m.Broadcast {
			top = append(top, s)
		}
	}
	for _, e := range c.told {
		if e.User != r.id {
			continue
		}
		s := w.drawMessage(r, c, &message{Message{Channel: c.id, TS: e.TS, Text: e.Text, Blocks: e.Blocks, User: BotUser}})
		s.Only = true
		if e.ThreadTS != "" {
			under[e.ThreadTS] = append(under[e.ThreadTS], s)
			continue
		}
		top = append(top, s)
	}
	byTS := func(a, b seen) int { return cmp.Compare(a.TS, b.TS) }
	slices.SortStableFunc(top, byTS)
	top = top[max(0, len(top)-maxShown):]
	day := ""
	for i := range top {
		if top[i].Day == day {
			top[i].Day = ""
		} else {
			day = top[i].Day
		}
		if !top[i].Broadcast {
			top[i].Replies = under[top[i].TS]
			slices.SortStableFunc(top[i].Replies, byTS)
		}
	}
	return top
}

func (w *Workspace) drawMessage(r *reader, c *channel, m *message) seen {
	seconds, fraction, _ := strings.Cut(m.TS, ".")
	unix, _ := strconv.ParseInt(seconds, 10, 64) // stamp made it
	at := time.Unix(unix, 0).In(r.in)
	s := seen{
		TS: m.TS, Who: r.users[m.User], Initial: initial(r.users[m.User]), Colour: colour(m.User), App: m.User == BotUser, Broadcast: m.Broadcast,
		Clock: at.Format("3:04 PM"), Full: at.Format("Monday 2 January 2006, 15:04:05") + "." + fraction, Day: at.Format("Monday, January 2"),
	}
	s.Blocks = r.drawBlocks(c.id, m.TS, decode(m.Blocks))
	if m.Blocks == nil {
		s.Text = r.marked(m.Text)
		// An edit with blocks is not marked: https://docs.slack.dev/reference/methods/chat.update.
		s.Edited = len(m.Edits) > 0
	}
	for name, users := range m.Reactions {
		s.Reactions = append(s.Reactions, fmt.Sprintf("%s %d", emoji(":"+name+":"), len(users)))
	}
	slices.Sort(s.Reactions)
	return s
}

func initial(name string) string {
	for _, c := range name {
		return strings.ToUpper(string(c))
	}
	return "?"
}

// colour is one of a few, by who it is.
func colour(id string) string {
	colours := []string{"#1264a3", "#2e7d5b", "#8d3f97", "#b3541e", "#5a6b1f", "#9c2f4a", "#3c5a99"}
	n := 0
	for _, c := range id {
		n = n*31 + int(c)
	}
	if id == BotUser {
		return "#1f2937"
	}
	return colours[(n%len(colours)+len(colours))%len(colours)]
}

func (w *Workspace) drawModal(r *reader, v *view) modal {
	text := func(name, otherwise string) string {
		o, _ := v.body[name].(map[string]any)
		return cmp.Or(asString(o["text"]), otherwise)
	}
	var blocks []map[string]any
	// It was checked when it was opened.
	_ = json.Unmarshal(encode(v.body["blocks"]), &blocks)
	m := modal{ID: v.id, Title: text("title", ""), Submit: text("submit", ""), Close: text("close", "Cancel"), Blocks: r.drawBlocks("", v.id, blocks)}
	for i := range m.Blocks {
		m.Blocks[i].Err = v.errors[m.Blocks[i].ID]
		m.Blocks[i].fill(v.filled)
	}
	return m
}
