// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package workspace is a Slack workspace on its worst day: the part of Slack's Web API that an app with alerts needs, its
// limits and its faults, what people do there (click, submit, type a command), and a page that shows what they see.
package workspace

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// What every workspace has.
const (
	// TeamID and TeamName are the workspace's.
	TeamID   = "T0CURFEW"
	TeamName = "Example"
	// AppID, BotID and BotUser are the app's, the bot's and the user's by which the bot is known.
	AppID   = "A0CURFEW"
	BotID   = "B0CURFEW"
	BotUser = "U0CURFEW"
	// BotToken opens the Web API, AppToken opens Socket Mode.
	BotToken = "xoxb-fake"
	AppToken = "xapp-fake"
	// SigningSecret signs what is sent to Options.RequestURL.
	SigningSecret = "fake-signing-secret"
)

// Options are how a workspace is set up. The zero value has Slack's own limits.
type Options struct {
	// Now is the time of messages, limits and what expires; time.Now if nil.
	Now func() time.Time
	// After wakes who waits for an acknowledgement and whom a fault makes late; time.After if nil.
	After func(time.Duration) <-chan time.Time
	// Name is the workspace's; TeamName if empty.
	Name string
	// Burst and Every are the limit of chat.postMessage a channel: Burst at once and one more each Every; 5 and one second
	// if 0, no limit if Burst is negative.
	Burst int
	Every time.Duration
	// UpdatesPerMinute is the limit of chat.update in any minute; 50 if 0, none if negative.
	UpdatesPerMinute int
	// PerMinute is the limit of other methods in any minute, by their name, instead of that of their tier; none if negative.
	PerMinute map[string]int
	// AckWithin is how long an app has to acknowledge; 3 s if 0. Tries is how often a delivery is tried in all; 3 if 0.
	AckWithin time.Duration
	Tries     int
	// RequestURL gets what people do while no socket is connected; empty = nobody does.
	RequestURL string
	// Client posts to RequestURL; http.DefaultClient if nil.
	Client *http.Client
	// URL is where the workspace is served, for the addresses that it hands out; where the app's last call came to, if empty.
	URL string
}

// Workspace is a Slack workspace with one app. It is safe for concurrent use.
type Workspace struct {
	options Options
	done    chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	url      string
	version  uint64
	changed  chan struct{}
	count    uint64 // of ids
	last     int64  // microsecond of the newest ts
	channels []*channel
	users    []*User
	tokens   map[string]string // a token and why it is refused; "" = it is not
	withheld []string          // scopes
	limits   limits
	faults   map[string]*broken
	calls    []Call

	duplicates int
	tickets    map[string]time.Time
	sockets    []*socket
	turn       int                 // of sockets
	pending    map[string]*pending // by envelope id
	triggers   map[string]*trigger
	responses  map[string]*response // by path
	views      []*view
}

// New returns a workspace without people and channels, except the app's bot. Its Close must be called.
func New(o Options) *Workspace {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	o.Name = cmp.Or(o.Name, TeamName)
	o.AckWithin, o.Tries = cmp.Or(o.AckWithin, 3*time.Second), cmp.Or(o.Tries, 3)
	o.URL = strings.TrimSuffix(o.URL, "/")
	w := &Workspace{
		options: o, done: make(chan struct{}), changed: make(chan struct{}), url: o.URL,
		tokens: map[string]string{BotToken: "", AppToken: ""},
		limits: newLimits(o), faults: map[string]*broken{},
		tickets: map[string]time.Time{}, pending: map[string]*pending{}, triggers: map[string]*trigger{}, responses: map[string]*response{},
	}
	w.AddUser(User{ID: BotUser, Name: "curfew", RealName: "Curfew", IsBot: true})
	return w
}

// Close ends what the workspace has under way: who waits for an acknowledgement, late replies and sockets. It may be
// called twice, and returns when all of it ended.
func (w *Workspace) Close() {
	w.mu.Lock()
	if !w.closed() {
		close(w.done)
	}
	w.mu.Unlock()
	w.running.Wait()
}

// closed is whether Close was called.
func (w *Workspace) closed() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// run does something beside, which Close waits for. It returns false, and does nothing, behind Close.
func (w *Workspace) run(do func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed() {
		return false
	}
	w.running.Go(do)
	return true
}

// Changed returns a channel that is closed by the next thing that happens here: a call, a message, a view, a socket.
func (w *Workspace) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Await returns nil once is says yes, which it is asked now and after each thing that happens here, and otherwise the error
// of ctx. The workspace is not locked meanwhile.
func (w *Workspace) Await(ctx context.Context, is func() bool) error {
	for {
		changed := w.Changed()
		if is() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("await a fake Slack: %w", ctx.Err())
		}
	}
}

// change tells who watches. The caller holds the lock.
func (w *Workspace) change() {
	w.version++
	close(w.changed)
	w.changed = make(chan struct{})
}

// ServeHTTP is Slack's Web API under /api/, its sockets, its response URLs, and for people a page.
func (w *Workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if name, ok := strings.CutPrefix(r.URL.Path, "/api/"); ok {
		w.learn(r)
		w.serveMethod(rw, r, name)
		return
	}
	switch {
	case r.URL.Path == "/link":
		w.serveSocket(rw, r)
	case strings.HasPrefix(r.URL.Path, "/actions/"):
		w.serveResponse(rw, r)
	default:
		w.servePage(rw, r)
	}
}

// learn takes where the app's call came to for where the workspace is served, unless Options say.
func (w *Workspace) learn(r *http.Request) {
	if w.options.URL != "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.url = "http://" + r.Host
	if r.TLS != nil {
		w.url = "https://" + r.Host
	}
}

// Revoke makes the tokens refused with a code, such as token_revoked, invalid_auth or account_inactive; "" accepts them
// again. Sockets stay.
func (w *Workspace) Revoke(code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens[BotToken], w.tokens[AppToken] = code, code
	w.change()
}

// Withhold makes the bot's token lack scopes, such as chat:write, and no others.
func (w *Workspace) Withhold(scopes ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.withheld = slices.Clone(scopes)
	w.change()
}

// stamp is the ts of what happens now, which nothing else here has. The caller holds the lock.
func (w *Workspace) stamp() string {
	w.last = max(w.last+1, w.options.Now().UnixMicro())
	return fmt.Sprintf("%d.%06d", w.last/1e6, w.last%1e6)
}

// id is a new one. The caller holds the lock.
func (w *Workspace) id(prefix string) string {
	w.count++
	return fmt.Sprintf("%s0FAKE%04d", prefix, w.count)
}
