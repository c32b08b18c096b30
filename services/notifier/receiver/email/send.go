// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"html"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const (
	// maxSubject and maxLine bound a subject and a line in runes, maxLines how many lines there are.
	maxSubject, maxLine, maxLines = 180, 4000, 200
	// patience is how long a server may take for one answer where ctx allows: as long as it should be given,
	// https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.2.
	patience = 10 * time.Minute
	// codeTooLarge is a server's word for a mail that is larger than it takes:
	// https://www.rfc-editor.org/rfc/rfc1870#section-6.1.
	codeTooLarge = 552
)

// letter is a mail.
type letter struct {
	// id is its Message-ID, parent that of the mail that it answers; both without brackets.
	id, parent string
	to         []*mail.Address
	subject    string
	// heading stands above the lines, where it is not "".
	heading string
	lines   []string
	urgent  bool
}

// message is the letter as plain text with HTML beside it.
func (r *Receiver) message(l letter) (*gomail.Msg, error) {
	m := gomail.NewMsg()
	m.FromMailAddress(r.from)
	m.ToMailAddress(l.to...)
	m.Subject(l.subject)
	m.SetDateWithValue(r.Now())
	m.SetMessageIDWithValue(l.id)
	if l.parent != "" {
		if strings.ContainsAny(l.parent, "<> \r\n") {
			return nil, errors.New("the ref is no Message-ID")
		}
		m.SetGenHeader(gomail.HeaderInReplyTo, "<"+l.parent+">")
		m.SetGenHeader(gomail.HeaderReferences, "<"+l.parent+">")
	}
	// So that nobody's absence notes come back: https://www.rfc-editor.org/rfc/rfc3834#section-5.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	if l.urgent {
		m.SetImportance(gomail.ImportanceHigh)
	}
	lines := l.lines
	if more := len(lines) - maxLines; more > 0 {
		lines = append(lines[:maxLines:maxLines], fmt.Sprintf("and %d more lines: ask Curfew for them", more))
	}
	var text, markup strings.Builder
	markup.WriteString("<!DOCTYPE html>\n<html><body>\n")
	if l.heading != "" {
		fmt.Fprintf(&text, "%s\n\n", l.heading)
		fmt.Fprintf(&markup, "<p><strong>%s</strong></p>\n", html.EscapeString(l.heading))
	}
	for _, line := range lines {
		line = card.Cut(line, maxLine)
		fmt.Fprintf(&text, "%s\n", line)
		fmt.Fprintf(&markup, "<div>%s</div>\n", html.EscapeString(line))
	}
	markup.WriteString("</body></html>\n")
	m.SetBodyString(gomail.TypeTextPlain, text.String())
	m.AddAlternativeString(gomail.TypeTextHTML, markup.String())
	return m, nil
}

// send hands a letter to the server. Nil means that the server took it: it answered the end of the mail with yes. Where the
// server said no at any point, or the mail's end was never sent, nobody gets it, and the error is a *delivery.Refused.
func (r *Receiver) send(ctx context.Context, l letter) error {
	m, err := r.message(l)
	if err != nil {
		return delivery.Unsent(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends what dial began
	client, err := r.client(ctx)
	if err != nil {
		return delivery.Unsent(err)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return unsent(ctx, err)
	}
	err = client.SendWithSMTPClient(session, m)
	if m.IsDelivered() {
		// What goes wrong in parting changes nothing.
		_ = client.CloseWithSMTPClient(session)
		return nil
	}
	// Not by QUIT: where a mail is half written, net/textproto would end it first, and the half would be sent.
	_ = session.Close()
	return undelivered(ctx, err)
}

func (r *Receiver) client(ctx context.Context) (*gomail.Client, error) {
	c := r.config
	verify := &tls.Config{ServerName: c.Host, RootCAs: r.Roots, MinVersion: tls.VersionTLS12}
	policy := gomail.TLSMandatory
	if c.TLS != tlsStart {
		policy = gomail.NoTLS
	}
	options := []gomail.Option{
		gomail.WithPort(c.Port), gomail.WithTimeout(patience), gomail.WithoutNoop(), gomail.WithoutRset(),
		gomail.WithTLSPolicy(policy), gomail.WithTLSConfig(verify),
		gomail.WithDialContextFunc(func(dialling context.Context, network, address string) (net.Conn, error) {
			return dial(ctx, dialling, network, address, c.TLS == tlsImplicit, verify)
		}),
	}
	if c.Username != "" {
		password, err := c.Password.Value()
		if err != nil {
			return nil, err
		}
		// PLAIN and LOGIN by TLS alone, which go-mail sees to.
		options = append(
			options, gomail.WithUsername(c.Username), gomail.WithPassword(password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin),
		)
	}
	client, err := gomail.NewClient(c.Host, options...)
	if err != nil {
		return nil, errors.New("make client: host and port are not sound")
	}
	return client, nil
}

// dial connects, and breaks the connection off when ctx ends: go-mail knows it only for connecting.
func dial(ctx, dialling context.Context, network, address string, implicit bool, verify *tls.Config) (net.Conn, error) {
	connection, err := (&net.Dialer{}).DialContext(dialling, network, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = connection.Close() })
	if !implicit {
		return connection, nil
	}
	encrypted := tls.Client(connection, verify)
	if err := encrypted.HandshakeContext(dialling); err != nil {
		_ = connection.Close()
		return nil, err
	}
	return encrypted, nil
}

// unsent is the error of a conversation that did not come to a mail. What the server said is left out: it may repeat a
// password.
func unsent(ctx context.Context, err error) error {
	var said *textproto.Error
	switch {
	case ctx.Err() != nil:
		return &delivery.Refused{Reason: "reach the mail server: " + ctx.Err().Error()}
	case errors.As(err, &said):
		return &delivery.Refused{Reason: fmt.Sprintf("reach the mail server: it answered %d; check username and password, and whether it lets this machine send", said.Code), Final: said.Code >= 500}
	case strings.Contains(err.Error(), "does not support STARTTLS"):
		return &delivery.Refused{Reason: "reach the mail server: it offers no STARTTLS; where it speaks TLS from the start, set tls: implicit", Final: true}
	case strings.Contains(err.Error(), "AUTH"):
		return &delivery.Refused{Reason: "reach the mail server: it offers no way to log in that is taken here", Final: true}
	}
	return &delivery.Refused{Reason: "reach the mail server: " + vendorhttp.Quiet(err).Error()}
}

// undelivered is the error of a mail that the server did not say yes to.
func undelivered(ctx context.Context, err error) error {
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return errors.New("hand over the mail: the connection broke")
	}
	step := failed.Reason.String()
	switch code := failed.ErrorCode(); {
	case code >= 500 && (code == codeTooLarge || failed.Reason == gomail.ErrSMTPDataClose):
		return &delivery.Refused{Reason: fmt.Sprintf("%s: the mail server answered %d", step, code), Unfit: true}
	case code != 0:
		return &delivery.Refused{Reason: fmt.Sprintf("%s: the mail server answered %d", step, code), Final: code >= 500}
	case failed.Reason == gomail.ErrSMTPDataClose || failed.Reason == gomail.ErrSMTPReset:
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", step, ctx.Err())
		}
		return fmt.Errorf("%s: no answer of the mail server", step)
	case failed.Reason == gomail.ErrGetSender || failed.Reason == gomail.ErrGetRcpts || failed.Reason == gomail.ErrNoUnencoded:
		return &delivery.Refused{Reason: step, Final: true}
	}
	return &delivery.Refused{Reason: step + ": the connection broke"}
}
