// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package email sends alerts and notices as mail, by SMTP. A mail that is sent stays as it is: what changes is said in a
// mail behind it.
package email

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Values of Config.TLS.
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
	tlsNone     = "none"
)

// Config is the mail server and who is written to.
type Config struct {
	// Host is the mail server that takes mail from this machine or account.
	Host string `yaml:"host"`
	// Port is its port; 587 if zero, and 465 where TLS is implicit.
	Port int `yaml:"port"`
	// TLS is "starttls", the default, "implicit", or on this machine "none". Without TLS no mail is sent.
	TLS string `yaml:"tls"`
	// From is the sender's address, such as "Curfew <curfew@example.com>".
	From string `yaml:"from"`
	// To are who reads alerts. Where the server refuses one of them, nobody gets the mail.
	To []string `yaml:"to"`
	// Username and Password are the account at the server; none is used without a Username.
	Username string        `yaml:"username"`
	Password config.Secret `yaml:"password"`
}

// Receiver sends mail. It is safe for concurrent use.
type Receiver struct {
	// Now is the time.
	Now func() time.Time
	// Roots are who a server's certificate may come from; nil = whom the system trusts.
	Roots *x509.CertPool

	config Config
	from   *mail.Address
	to     []*mail.Address
}

// New returns a receiver that sends by the server that c names. It reads no secret yet; an error is a mistake in c and says
// which.
func New(c Config) (*Receiver, error) {
	if c.TLS == "" {
		c.TLS = tlsStart
	}
	if c.Port == 0 {
		c.Port = 587
		if c.TLS == tlsImplicit {
			c.Port = 465
		}
	}
	switch {
	case c.Host == "" || strings.ContainsAny(c.Host, "/:@ \t\r\n") && net.ParseIP(c.Host) == nil:
		return nil, errors.New("configure email: host: give the mail server's name, such as smtp.example.com")
	case c.Port < 1 || c.Port > 65535:
		return nil, fmt.Errorf("configure email: port: %d is not from 1 to 65535", c.Port)
	case !slices.Contains([]string{tlsStart, tlsImplicit, tlsNone}, c.TLS):
		return nil, fmt.Errorf("configure email: tls: %q is none of %q, %q and %q", c.TLS, tlsStart, tlsImplicit, tlsNone)
	case c.TLS == tlsNone && !isLoopback(c.Host):
		return nil, errors.New("configure email: tls: mail travels in the clear on this machine alone")
	case c.Username != "" && !c.Password.IsSet():
		return nil, errors.New("configure email: password: none is named; name one with {file: PATH} or {env: NAME}")
	case c.Username == "" && c.Password.IsSet():
		return nil, errors.New("configure email: username: missing; give the account whose password it is")
	case len(c.To) == 0:
		return nil, errors.New("configure email: to: missing; give the addresses of who reads alerts")
	}
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("configure email: from: %q is not an address", c.From)
	}
	r := &Receiver{Now: time.Now, config: c, from: from}
	for _, text := range c.To {
		to, err := mail.ParseAddress(text)
		if err != nil {
			return nil, fmt.Errorf("configure email: to: %q is not an address", text)
		}
		r.to = append(r.to, to)
	}
	return r, nil
}

// Pace is slow enough for servers that take few mails of one sender; none says a number that holds for others.
func (r *Receiver) Pace() (posts, edits delivery.Pace) {
	pace := delivery.Pace{Burst: 10, Every: time.Second}
	return pace, pace
}

// Post sends one mail to all who read alerts. Its Message-ID follows from the post's id, so that many mail systems show a
// repeat once. The ref is the Message-ID and, behind a space, the subject.
func (r *Receiver) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	l := letter{
		id: r.messageID(post.GetId()), to: r.to, subject: card.Plain(card.Heading(post), maxSubject),
		heading: card.Heading(post), lines: card.Text(post, time.UTC), urgent: isUrgent(post),
	}
	if err := r.send(ctx, l); err != nil {
		return "", fmt.Errorf("send mail: %w", err)
	}
	return l.id + " " + l.subject, nil
}

// Reply sends a mail in answer to the one at its ref.
func (r *Receiver) Reply(ctx context.Context, reply *curfewv1.Reply) error {
	parent, subject, _ := strings.Cut(reply.GetRef(), " ")
	l := letter{id: r.messageID(reply.GetId()), parent: parent, to: r.to, subject: "Re: " + card.Plain(subject, maxSubject)}
	for _, line := range reply.GetLines() {
		l.lines = append(l.lines, card.Plain(line, maxLine))
	}
	if err := r.send(ctx, l); err != nil {
		return fmt.Errorf("send mail in answer: %w", err)
	}
	return nil
}

// Notice sends a mail to the people that it names. Where the address of one of them is not known, or it names nobody, it
// goes to who reads alerts.
func (r *Receiver) Notice(ctx context.Context, notice *curfewv1.Notice) error {
	text := card.Notice(notice)
	l := letter{id: r.messageID(notice.GetId()), to: r.addressees(notice), subject: card.Cut("Curfew: "+text, maxSubject), lines: []string{text}}
	if to := notice.GetTo(); len(to) > 0 {
		l.lines = append(l.lines, "To: "+card.Plain(strings.Join(to[:min(len(to), 20)], ", "), maxLine))
	}
	if err := r.send(ctx, l); err != nil {
		return fmt.Errorf("send notice as mail: %w", err)
	}
	return nil
}

// addressees is who gets a notice.
func (r *Receiver) addressees(notice *curfewv1.Notice) []*mail.Address {
	var to []*mail.Address
	for _, person := range notice.GetTo() {
		at := slices.IndexFunc(notice.GetContacts(), func(c *curfewv1.Contact) bool { return c.GetPerson() == person && c.GetSystem() == "email" })
		if at < 0 {
			return r.to
		}
		address, err := mail.ParseAddress(notice.GetContacts()[at].GetId())
		if err != nil {
			return r.to
		}
		to = append(to, &mail.Address{Address: address.Address})
	}
	if len(to) == 0 {
		return r.to
	}
	return to
}

// messageID is the Message-ID of an id of ours, without its brackets.
func (r *Receiver) messageID(id string) string {
	safe := strings.Map(func(c rune) rune {
		if c < 0x80 && (c == '-' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return c
		}
		return '-'
	}, card.Plain(id, 100))
	_, domain, _ := strings.Cut(r.from.Address, "@")
	return "curfew-" + safe + "@" + domain
}

func isUrgent(post *curfewv1.Post) bool {
	return slices.ContainsFunc(post.GetAlerts(), func(a *curfewv1.Alert) bool {
		return card.Severity(a) >= curfewv1.Severity_SEVERITY_HIGH && a.GetState() == curfewv1.AlertState_ALERT_STATE_OPEN
	})
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
