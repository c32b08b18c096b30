// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Notice tells the people of a notice, each by a direct message; those without an account here are named in the channel,
// without a ping. Nil means that all of it arrived. After an error those who were told are not told again by this process.
func (r *Receiver) Notice(ctx context.Context, notice *curfewv1.Notice) error {
	rest := slices.Clone(notice.GetTo())
	var failures []error
	for _, contact := range notice.GetContacts() {
		if contact.GetSystem() != system || contact.GetId() == "" {
			continue
		}
		switch err := r.tell(ctx, contact.GetId(), notice); {
		case code(err) != "" && hopeless(err):
			// Nobody reads that account: the channel does.
			if !slices.Contains(rest, contact.GetPerson()) {
				rest = append(rest, contact.GetPerson())
			}
			continue
		case err != nil:
			failures = append(failures, r.failed("tell a person", err))
		}
		rest = slices.DeleteFunc(rest, func(person string) bool { return person == contact.GetPerson() })
	}
	if len(rest) > 0 || len(notice.GetTo()) == 0 && len(failures) == 0 && !told(notice) {
		failures = append(failures, r.announce(ctx, rest, notice))
	}
	return worstOf(failures)
}

// told is whether a notice names an account here.
func told(notice *curfewv1.Notice) bool {
	return slices.ContainsFunc(notice.GetContacts(), func(c *curfewv1.Contact) bool { return c.GetSystem() == system && c.GetId() != "" })
}

// hopeless is whether an account cannot be written to.
func hopeless(err error) bool {
	return slices.Contains([]string{"user_not_found", "users_not_found", "user_disabled", "cannot_dm_bot", "user_not_visible"}, code(err))
}

// tell writes a notice to one account. Its error is slack-go's.
func (r *Receiver) tell(ctx context.Context, user string, notice *curfewv1.Notice) error {
	mark := notice.GetId() + "/" + user
	if r.was(mark) {
		return nil
	}
	web, err := r.web()
	if err != nil {
		return err
	}
	open, _, _, err := web.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
	if err != nil {
		return err
	}
	_, ts, err := web.PostMessageContext(ctx, open.ID, r.note(ctx, nil, notice).options(labelled(notice.GetId(), nil))...)
	if err == nil {
		err = arrived("tell a person", ts)
	}
	if err == nil {
		r.done(mark)
	}
	return err
}

// announce writes a notice into the channel, naming the persons that it is for.
func (r *Receiver) announce(ctx context.Context, persons []string, notice *curfewv1.Notice) error {
	mark := notice.GetId() + "/" + strings.Join(persons, ",")
	if r.was(mark) {
		return nil
	}
	_, err := r.send(ctx, "post a notice", r.config.Channel, r.note(ctx, persons, notice).options(labelled(notice.GetId(), nil)))
	if err == nil {
		r.done(mark)
	}
	return err
}

// note is a notice as Slack shows it, with what its answer depends on and the buttons by which it is answered.
func (r *Receiver) note(ctx context.Context, persons []string, notice *curfewv1.Notice) message {
	c := newCanvas(r.now())
	if len(persons) > 0 {
		c.context(plain(fit("For "+strings.Join(persons, ", "), roomStatus)))
	}
	lines := strings.Split(notice.GetText(), "\n")
	if notice.GetText() == "" {
		lines = []string{card.Notice(notice)}
	}
	fitted, _ := fitLines(lines, maxSection)
	c.section(plain(strings.Join(fitted, "\n")), nil)
	buttons := answers(notice)
	switch {
	case notice.GetKind() == curfewv1.NoticeKind_NOTICE_KIND_QUESTION && notice.GetAlert() != nil:
		c.fields(card.Whether(notice.GetAlert()))
	case notice.GetKind() == curfewv1.NoticeKind_NOTICE_KIND_SILENCE && len(buttons) > 0:
		r.expected(ctx, c, notice)
	}
	c.actions(buttons)
	return r.sound(message{fallback: cmp.Or(fit(strings.Join(lines, " "), maxFallback), "–"), blocks: c.blocks})
}

// expected shows the alert that somebody proposes as expected: how severe it is, and what its person said.
func (r *Receiver) expected(ctx context.Context, c *canvas, notice *curfewv1.Notice) {
	alert, id := notice.GetAlert(), notice.GetSilence().GetAlertId()
	if alert == nil && r.lookup != nil && id != "" {
		// Whoever is to say yes is told that it is not known.
		alert, _ = r.lookup(ctx, id)
	}
	switch {
	case alert != nil:
		c.section(plain(mark(alert)+" "+fit(card.Line(alert, roomLine), roomLine)), nil)
	case id != "":
		c.context(plain(fit("How severe it is, and what its person said, is not known here. Before you answer: "+r.rest("curfew alert show "+id), roomStatus)))
	}
}

// answers are the buttons of a notice; none where it asks nothing.
func answers(notice *curfewv1.Notice) []slack.BlockElement {
	v := value{Grant: notice.GetGrant().GetId(), Digest: notice.GetGrant().GetDigest()}
	yes, no := idApprove, idDeny
	switch notice.GetKind() {
	case curfewv1.NoticeKind_NOTICE_KIND_REQUESTED, curfewv1.NoticeKind_NOTICE_KIND_EXTENSION:
		if v.Grant == "" {
			return nil
		}
	case curfewv1.NoticeKind_NOTICE_KIND_SILENCE:
		s := notice.GetSilence()
		if s.GetId() == "" || int(s.GetApprovalsNeeded()) <= len(s.GetApprovals()) || s.GetEnded() != nil {
			return nil
		}
		v = value{Silence: s.GetId()}
	case curfewv1.NoticeKind_NOTICE_KIND_QUESTION:
		if notice.GetAlert().GetId() == "" {
			return nil
		}
		v = value{Alert: notice.GetAlert().GetId(), Episode: notice.GetAlert().GetEpisode()}
		yes, no = idConfirm, idDisown
	default:
		return nil
	}
	return push(push(nil, yes, label(yes), v, slack.StylePrimary, nil), no, label(no), v, slack.StyleDanger, nil)
}

// was is whether this process did something of a notice.
func (r *Receiver) was(mark string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told.known[mark]
}

func (r *Receiver) done(mark string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told.add(mark)
}

// worstOf is one error of several that says of all of them together whether anything arrived: an open one, otherwise one
// that may go well later, otherwise one that does not. Nil where there is none.
func worstOf(failures []error) error {
	rank := func(err error) int {
		switch refused := delivery.AsRefused(err); {
		case refused == nil:
			return 2
		case !refused.Final && !refused.Unfit:
			return 1
		default:
			return 0
		}
	}
	var worst error
	for _, err := range failures {
		if err != nil && (worst == nil || rank(err) > rank(worst)) {
			worst = err
		}
	}
	return worst
}
