// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package alert

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Want is a receiver that an alert should go to.
type Want struct {
	// Receiver's name.
	Receiver string
	// Reason why it should.
	Reason string
	// Hold is why it should not, for now; nil = it should.
	Hold *curfewv1.Hold
}

// Route is an alert that goes where it is wanted, and is kept from where it is held. What a receiver has it keeps: of an
// alert that is held since, it is told no more repeats. A receiver that is wanted no longer is left as it is, and what was
// kept back of an alert that is resolved stays so. It returns nil where nothing changes.
func Route(a *curfewv1.Alert, wants []Want) *curfewv1.Alert {
	if a.GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED {
		return nil
	}
	next := proto.CloneOf(a)
	for _, w := range wants {
		d := Delivery(next, w.Receiver)
		switch {
		case d == nil:
			d = &curfewv1.AlertDelivery{Receiver: w.Receiver}
			next.Deliveries = append(next.Deliveries, d)
			begin(next, d, w)
		case d.GetEpisode() != next.GetEpisode() && !isSending(d):
			begin(next, d, w)
		default:
			hold(d, w.Hold)
		}
	}
	if proto.Equal(a, next) {
		return nil
	}
	slices.SortFunc(next.Deliveries, func(x, y *curfewv1.AlertDelivery) int {
		return strings.Compare(x.GetReceiver(), y.GetReceiver())
	})
	return next
}

// begin makes d a delivery of the alert's episode.
func begin(a *curfewv1.Alert, d *curfewv1.AlertDelivery, w Want) {
	proto.Reset(d)
	d.Receiver, d.Reason, d.Episode, d.State = w.Receiver, w.Reason, a.GetEpisode(), curfewv1.DeliveryState_DELIVERY_STATE_WAITING
	hold(d, w.Hold)
}

func hold(d *curfewv1.AlertDelivery, why *curfewv1.Hold) {
	if !proto.Equal(d.GetHold(), why) {
		d.Hold = why
	}
	switch {
	case why != nil && d.GetState() == curfewv1.DeliveryState_DELIVERY_STATE_WAITING:
		d.State = curfewv1.DeliveryState_DELIVERY_STATE_HELD
	case why == nil && d.GetState() == curfewv1.DeliveryState_DELIVERY_STATE_HELD:
		d.State = curfewv1.DeliveryState_DELIVERY_STATE_WAITING
	}
}

// Delivery is an alert's way to a receiver; nil where it has none. It is the alert's own.
func Delivery(a *curfewv1.Alert, receiver string) *curfewv1.AlertDelivery {
	for _, d := range a.GetDeliveries() {
		if d.GetReceiver() == receiver {
			return d
		}
	}
	return nil
}

// Need is what is to be done for an alert at a receiver.
type Need int

// Needs.
const (
	// Nothing is to be done.
	Nothing Need = iota
	// Settle says that something was being handed over, and nobody knows whether it arrived.
	Settle
	// Post says that it is to be shown.
	Post
	// Tell says that people did something, and what is shown says otherwise.
	Tell
	// Count says that only more of the same came.
	Count
)

// Needed is what is to be done for an alert at a receiver, whenever that may be.
func Needed(a *curfewv1.Alert, receiver string) Need {
	d := Delivery(a, receiver)
	switch d.GetState() {
	case curfewv1.DeliveryState_DELIVERY_STATE_SENDING:
		return Settle
	case curfewv1.DeliveryState_DELIVERY_STATE_WAITING:
		return Post
	case curfewv1.DeliveryState_DELIVERY_STATE_SENT:
		switch {
		case d.GetEpisode() != a.GetEpisode():
			return Nothing // the next episode was routed elsewhere
		case d.GetHas().GetNote() < lastNote(a):
			return Tell
		case d.GetHas().GetVersion() < a.GetVersion() && d.GetHold() == nil:
			return Count
		}
	default:
	}
	return Nothing
}

func isSending(d *curfewv1.AlertDelivery) bool {
	return d.GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENDING
}

func lastNote(a *curfewv1.Alert) uint64 {
	if notes := a.GetNotes(); len(notes) > 0 {
		return notes[len(notes)-1].GetNumber()
	}
	return 0
}

// Begin is an alert that is about to be handed to a receiver, as it stands, under the id of a post. It returns nil where
// nothing is to be done there.
func Begin(a *curfewv1.Alert, receiver, post string, now time.Time) *curfewv1.Alert {
	if need := Needed(a, receiver); need == Nothing || need == Settle {
		return nil
	}
	a = proto.CloneOf(a)
	d := Delivery(a, receiver)
	d.State, d.Post, d.Tried = curfewv1.DeliveryState_DELIVERY_STATE_SENDING, post, timestamppb.New(now)
	d.Sending = &curfewv1.Shown{Version: a.GetVersion(), Note: lastNote(a), Count: a.GetCount()}
	d.NotBefore = nil
	return a
}

// Sent is an alert that a receiver took: what Begin was called with. It returns nil where that is known, or it is another
// post that is being handed over.
func Sent(a *curfewv1.Alert, receiver, post, ref string, with []string, summarised bool, now time.Time) *curfewv1.Alert {
	if d := Delivery(a, receiver); !isSending(d) || d.GetPost() != post {
		return nil
	}
	a = proto.CloneOf(a)
	d := Delivery(a, receiver)
	if d.GetRef() == "" {
		d.Ref, d.With, d.Summarised = ref, with, summarised
	}
	if d.GetHas() == nil {
		d.Shown = timestamppb.New(now)
	}
	d.State, d.Has, d.Sending, d.Post, d.Sent = curfewv1.DeliveryState_DELIVERY_STATE_SENT, d.GetSending(), nil, "", timestamppb.New(now)
	d.Tries, d.Trouble, d.NotBefore = 0, "", nil
	return a
}

// Unsent is an alert that a receiver did not take. Sure says that nobody saw it, so that it may be handed over anew at
// notBefore; else somebody has to look first, no earlier than that. It returns nil as Sent does.
func Unsent(a *curfewv1.Alert, receiver, post, trouble string, sure bool, notBefore time.Time) *curfewv1.Alert {
	if d := Delivery(a, receiver); !isSending(d) || d.GetPost() != post {
		return nil
	}
	a = proto.CloneOf(a)
	d := Delivery(a, receiver)
	d.Tries++
	d.Trouble, d.NotBefore = cut(trouble, maxTitle), timestamppb.New(notBefore)
	if !sure {
		return a
	}
	d.Sending, d.Post, d.State = nil, "", curfewv1.DeliveryState_DELIVERY_STATE_WAITING
	if d.GetHas() != nil {
		d.State = curfewv1.DeliveryState_DELIVERY_STATE_SENT
	}
	return a
}

// IsOver is whether nothing is to come of an alert unless something happens: it is resolved, and every receiver knows.
func IsOver(a *curfewv1.Alert) bool {
	if a.GetState() != curfewv1.AlertState_ALERT_STATE_RESOLVED {
		return false
	}
	return !slices.ContainsFunc(a.GetDeliveries(), func(d *curfewv1.AlertDelivery) bool { return Needed(a, d.GetReceiver()) != Nothing })
}
