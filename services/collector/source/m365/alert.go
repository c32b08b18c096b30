// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"cmp"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// alertFields are those of security alerts, of both of Graph's versions of them, and of riskDetections.
type alertFields struct {
	Title         event.Scalar `json:"title"`
	Severity      event.Scalar `json:"severity"`
	ServiceSource event.Scalar `json:"serviceSource"`
	FirstActivity event.Scalar `json:"firstActivityDateTime"`
	EventTime     event.Scalar `json:"eventDateTime"`
	RiskEventType event.Scalar `json:"riskEventType"`
	RiskState     event.Scalar `json:"riskState"`
	Evidence      []struct {
		Account *struct {
			AccountName event.Scalar `json:"accountName"`
			Name        event.Scalar `json:"userPrincipalName"`
			ID          event.Scalar `json:"azureAdUserId"`
			Display     event.Scalar `json:"displayName"`
		} `json:"userAccount"`
		IP      event.Scalar `json:"ipAddress"`
		Country event.Scalar `json:"countryLetterCode"`
		AppID   event.Scalar `json:"appId"`
		Display event.Scalar `json:"displayName"`
	} `json:"evidence"`
	UserStates []struct {
		AccountName event.Scalar `json:"accountName"`
		Name        event.Scalar `json:"userPrincipalName"`
		ID          event.Scalar `json:"aadUserId"`
		IP          event.Scalar `json:"logonIp"`
		Place       event.Scalar `json:"logonLocation"`
	} `json:"userStates"`
	Vendor *struct {
		Provider event.Scalar `json:"provider"`
	} `json:"vendorInformation"`
}

// intuneFields are those of Intune's audit log as its diagnostic settings export it:
// https://learn.microsoft.com/mem/intune/fundamentals/review-logs-using-azure-monitor.
type intuneFields struct {
	ActivityDate event.Scalar `json:"ActivityDate"`
	AuditEventID event.Scalar `json:"AuditEventId"`
	IntuneResult event.Scalar `json:"ActivityResultStatus"`
	IntuneActor  *struct {
		ObjectID        event.Scalar `json:"ObjectId"`
		Name            event.Scalar `json:"UPN"`
		Application     event.Scalar `json:"Application"`
		ApplicationName event.Scalar `json:"ApplicationName"`
	} `json:"Actor"`
	TargetIDs     []event.Scalar `json:"TargetObjectIds"`
	TargetNames   []event.Scalar `json:"TargetDisplayNames"`
	IntuneTargets []struct {
		Name       event.Scalar `json:"Name"`
		Properties properties   `json:"ModifiedProperties"`
	} `json:"Targets"`
}

func (d *graphDecoding) isAlert() bool {
	return d.Vendor != nil || d.Severity.Text != "" && (d.ServiceSource.Text != "" || d.Title.Text != "")
}

// accountConcerned is the account that an alert is about; nil where it names none.
func (d *graphDecoding) accountConcerned() *curfewv1.Actor {
	for i := range d.Evidence {
		if account := d.Evidence[i].Account; account != nil {
			if actor := d.person(account.ID.Text, cmp.Or(account.Name.Text, account.AccountName.Text), account.Display.Text); actor != nil {
				return actor
			}
		}
	}
	for i := range d.UserStates {
		account := &d.UserStates[i]
		if actor := d.person(account.ID.Text, cmp.Or(account.Name.Text, account.AccountName.Text), ""); actor != nil {
			return actor
		}
	}
	return nil
}

// alert completes the event of an alert or of a risk: what some service of Microsoft's thinks it has seen. The action is
// the kind of it, as Microsoft names it.
func (d *graphDecoding) alert(e *curfewv1.Event) {
	e.Action = d.clean("category", cmp.Or(d.RiskEventType.Text, d.Category.Text, d.Title.Text))
	e.Time = d.alertTime()
	e.Resource = d.thing("alert", named(d.Title.Text), d.ID.Text)
	if d.RiskState.Text != "" && e.Feed == feedRisks {
		e.Outcome = &curfewv1.Outcome{Reason: d.clean("riskState", d.RiskState.Text)}
	}
	ip, country := "", ""
	for i := range d.Evidence {
		evidence := &d.Evidence[i]
		if ip == "" {
			ip, country = event.IP(evidence.IP.Text), named(evidence.Country.Text)
		}
		if e.App == nil && evidence.AppID.Text != "" {
			e.App = newApp(d.clean("appId", named(evidence.AppID.Text)), d.clean("displayName", named(evidence.Display.Text)))
		}
	}
	for i := range d.UserStates {
		if ip == "" {
			ip, country = event.IP(d.UserStates[i].IP.Text), named(d.UserStates[i].Place.Text)
		}
	}
	if ip == "" || e.Context.GetIp() != "" {
		return
	}
	if e.Context == nil {
		e.Context = &curfewv1.Context{}
	}
	e.Context.Ip, e.Context.Country = ip, cmp.Or(e.Context.Country, d.clean("evidence", country))
}

// alertTime is when what the alert is about began, or else when it was raised.
func (d *graphDecoding) alertTime() *timestamppb.Timestamp {
	for _, at := range [...]event.Scalar{d.FirstActivity, d.EventTime, d.ActivityTime} {
		if at := event.ParseTime(at.Text); at != nil {
			return at
		}
	}
	return d.when("createdDateTime", d.Created)
}

// intuneTargets adds what an entry of Intune's log is about.
func (d *graphDecoding) intuneTargets() {
	var all []property
	for i := range d.IntuneTargets {
		all = append(all, d.IntuneTargets[i].Properties.items...)
	}
	for i := range d.TargetIDs {
		if i == maxParts {
			d.odd("TargetObjectIds: more than 1000; the rest stands in the record")
			return
		}
		to := target{party: party{id: named(d.TargetIDs[i].Text)}}
		if i < len(d.TargetNames) {
			to.name = named(d.TargetNames[i].Text)
		}
		if i == 0 {
			to.properties = all
		}
		d.targets = append(d.targets, to)
	}
	if len(d.TargetIDs) == 0 && len(all) > 0 {
		d.targets = append(d.targets, target{properties: all})
	}
}
