// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The feeds of Microsoft Graph. The first two are polled; alerts and risks are read from files.
const (
	feedDirectory = "directory_audits"
	feedSignIns   = "sign_ins"
	feedAlerts    = "security_alerts"
	feedRisks     = "risk_detections"
)

// actionSignIn is what Entra ID's own exports call a sign-in. Graph's record has no name for it.
const actionSignIn = "Sign-in activity"

// graphEntry is what is read of a directoryAudit, a signIn, a riskDetection or a security alert:
// https://learn.microsoft.com/graph/api/resources/directoryaudit,
// https://learn.microsoft.com/graph/api/resources/signin,
// https://learn.microsoft.com/graph/api/resources/riskdetection,
// https://learn.microsoft.com/graph/api/resources/security-alert.
type graphEntry struct {
	ID        event.Scalar `json:"id"`
	Category  event.Scalar `json:"category"`
	UserAgent event.Scalar `json:"userAgent"`

	// directoryAudit
	Activity          event.Scalar     `json:"activityDisplayName"`
	ActivityTime      event.Scalar     `json:"activityDateTime"`
	Result            event.Scalar     `json:"result"`
	ResultReason      event.Scalar     `json:"resultReason"`
	InitiatedBy       *initiator       `json:"initiatedBy"`
	TargetResources   []targetResource `json:"targetResources"`
	AdditionalDetails properties       `json:"additionalDetails"`

	signInFields
	alertFields
	intuneFields
}

// signInFields are those of a signIn, some of which a riskDetection has too.
type signInFields struct {
	Created         event.Scalar `json:"createdDateTime"`
	UserID          event.Scalar `json:"userId"`
	UserName        event.Scalar `json:"userPrincipalName"`
	UserDisplay     event.Scalar `json:"userDisplayName"`
	PrincipalID     event.Scalar `json:"servicePrincipalId"`
	PrincipalName   event.Scalar `json:"servicePrincipalName"`
	AppID           event.Scalar `json:"appId"`
	AppName         event.Scalar `json:"appDisplayName"`
	ResourceID      event.Scalar `json:"resourceId"`
	ResourceName    event.Scalar `json:"resourceDisplayName"`
	IPAddress       event.Scalar `json:"ipAddress"`
	SessionID       event.Scalar `json:"sessionId"`
	Requirement     event.Scalar `json:"authenticationRequirement"`
	ConditionalPass event.Scalar `json:"conditionalAccessStatus"`
	Location        place        `json:"location"`
	Status          object[struct {
		ErrorCode event.Scalar `json:"errorCode"`
		Reason    event.Scalar `json:"failureReason"`
		Details   event.Scalar `json:"additionalDetails"`
	}] `json:"status"`
	MFA *struct {
		Method event.Scalar `json:"authMethod"`
	} `json:"mfaDetail"`
}

// initiator is who did what a directoryAudit says.
type initiator struct {
	User *struct {
		ID      event.Scalar `json:"id"`
		Name    event.Scalar `json:"userPrincipalName"`
		Display event.Scalar `json:"displayName"`
		IP      event.Scalar `json:"ipAddress"`
	} `json:"user"`
	App *struct {
		AppID         event.Scalar `json:"appId"`
		Display       event.Scalar `json:"displayName"`
		PrincipalID   event.Scalar `json:"servicePrincipalId"`
		PrincipalName event.Scalar `json:"servicePrincipalName"`
	} `json:"app"`
}

// targetResource is one of the things a directoryAudit was about.
type targetResource struct {
	ID         event.Scalar `json:"id"`
	Type       event.Scalar `json:"type"`
	Display    event.Scalar `json:"displayName"`
	Name       event.Scalar `json:"userPrincipalName"`
	Properties properties   `json:"modifiedProperties"`
}

// place is a location, or the name of a country alone.
type place struct{ country string }

// UnmarshalJSON takes one JSON value. It never fails.
func (p *place) UnmarshalJSON(value []byte) error {
	if len(value) > 0 && value[0] == '"' {
		var country event.Scalar
		_ = country.UnmarshalJSON(value)
		p.country = country.Text
		return nil
	}
	var told struct {
		Country event.Scalar `json:"countryOrRegion"`
	}
	if len(value) > 0 && value[0] == '{' && json.Unmarshal(value, &told) == nil {
		p.country = told.Country.Text
	}
	return nil
}

// graphRecord is an entry as Graph returns it, or as Entra ID's diagnostic settings export it: within properties, and an
// envelope around it. https://learn.microsoft.com/entra/identity/monitoring-health/concept-diagnostic-settings-logs-options
type graphRecord struct {
	graphEntry
	Properties    object[graphEntry] `json:"properties"`
	Time          event.Scalar       `json:"time"`
	OperationName event.Scalar       `json:"operationName"`
	CallerIP      event.Scalar       `json:"callerIpAddress"`
	ResultType    event.Scalar       `json:"resultType"`
	ResultText    event.Scalar       `json:"resultDescription"`
	Identity      text               `json:"identity"`
}

// graphDecoding is one record on its way to an event.
type graphDecoding struct {
	*graphEntry
	notes
	envelope *graphRecord
	exported bool
	targets  []target
}

// DecodeGraph turns a directoryAudit, a signIn, a riskDetection or a security alert of Microsoft Graph into its one event,
// told apart by their fields; also where Entra ID's diagnostic settings exported it. It is an event.Decode: the error,
// where there is one, is an *event.Unreadable, and it comes for records alone that are no JSON object.
func DecodeGraph(record []byte) ([]*curfewv1.Event, error) {
	var read graphRecord
	oddities, err := event.Unmarshal(record, &read)
	if err != nil {
		return nil, err
	}
	d := &graphDecoding{graphEntry: &read.graphEntry, notes: notes{oddities}, envelope: &read}
	if read.Properties.value != nil {
		d.graphEntry, d.exported = read.Properties.value, true
	}
	d.readTargets()
	decoded := &curfewv1.Event{
		Id:      d.id("id", cmp.Or(d.ID.Text, d.AuditEventID.Text), record),
		Source:  source,
		Feed:    d.feed(),
		Actor:   d.actor(),
		Context: d.context(),
	}
	switch decoded.Feed {
	case feedSignIns:
		decoded.Action, decoded.Time = actionSignIn, d.when("createdDateTime", d.Created)
		decoded.App = newApp(d.clean("appId", named(d.AppID.Text)), d.clean("appDisplayName", cmp.Or(named(d.AppName.Text), named(d.PrincipalName.Text))))
		decoded.Resource = d.signedInTo()
		decoded.Outcome = d.signInOutcome()
		if d.secondFactor(decoded.Outcome) {
			if decoded.Context == nil {
				decoded.Context = &curfewv1.Context{}
			}
			decoded.Context.Mfa = true
		}
	case feedAlerts, feedRisks:
		d.alert(decoded)
	default:
		decoded.Action, decoded.Time = d.activity(), d.when("activityDateTime", d.ActivityTime)
		decoded.App = cmp.Or(d.consent(decoded.Action, d.targets), d.initiatingApp())
		decoded.Resource = d.directory(decoded.Action, d.targets)
		if decoded.Resource == nil {
			// Azure's own roles are held over a scope.
			decoded.Resource = d.thing("scope", "", strings.Split(value(d.AdditionalDetails.items, "Scope"), "/")...)
		}
		decoded.Outcome = d.auditOutcome()
		changes := d.members(decoded.Action, d.targets)
		for i := range d.targets {
			changes = append(changes, d.changes("modifiedProperties", d.targets[i].properties)...)
		}
		decoded.Changes = d.bounded("modifiedProperties", changes)
		decoded.Links = d.links(decoded.Action, d.targets, decoded.Outcome)
	}
	if decoded.Action == "" {
		d.odd("activityDisplayName: missing")
	}
	d.wrongTypes()
	decoded.Oddities = d.oddities
	return []*curfewv1.Event{decoded}, nil
}

// feed is the log that such entries are of.
func (d *graphDecoding) feed() string {
	category := d.envelope.Category.Text
	switch {
	case d.exported && strings.HasSuffix(category, "SignInLogs"), d.envelope.OperationName.Text == actionSignIn:
		return feedSignIns
	case d.isAlert():
		return feedAlerts
	case d.RiskEventType.Text != "":
		return feedRisks
	case d.Activity.Text != "" || d.InitiatedBy != nil || d.exported || len(d.TargetResources) > 0:
		return feedDirectory
	case d.Created.Text != "" && (d.UserName.Text != "" || d.UserID.Text != "" || d.AppID.Text != "" || d.PrincipalID.Text != "" || d.IPAddress.Text != ""):
		return feedSignIns
	}
	return feedDirectory
}

// when is the entry's own time, or else the envelope's, which is when it was exported.
func (d *graphDecoding) when(field string, s event.Scalar) *timestamppb.Timestamp {
	if s.Text == "" && s.Odd {
		d.odd(field + ": no text, number or boolean")
	}
	for _, written := range [...]string{s.Text, d.ActivityTime.Text, d.Created.Text} {
		if at := event.ParseTime(written); at != nil {
			return at
		}
	}
	// Intune writes the American way, and in UTC; that it does is not confirmed.
	if at, err := time.Parse("1/2/2006 3:04:05 PM", d.ActivityDate.Text); err == nil {
		return event.Timestamp(at.UTC())
	}
	if s.Text == "" && d.exported {
		return d.time("time", d.envelope.Time)
	}
	return d.time(field, s)
}

// activity is the name of what was done.
func (d *graphDecoding) activity() string {
	return d.clean("activityDisplayName", cmp.Or(d.envelope.OperationName.Text, d.Activity.Text))
}

func (d *graphDecoding) wrongTypes() {
	for _, field := range [...]struct {
		name string
		odd  bool
	}{
		{"properties", d.envelope.Properties.odd}, {"status", d.Status.odd && !d.isAlert()}, {"id", d.ID.Odd}, {"userId", d.UserID.Odd},
	} {
		if field.odd {
			d.odd(field.name + ": not what belongs there")
		}
	}
}

func (d *graphDecoding) context() *curfewv1.Context {
	address := cmp.Or(named(d.IPAddress.Text), named(value(d.AdditionalDetails.items, "ipaddr")), named(d.envelope.CallerIP.Text), named(d.envelope.IPAddress.Text))
	if by := d.InitiatedBy; by != nil && by.User != nil {
		address = cmp.Or(named(by.User.IP.Text), address)
	}
	context := &curfewv1.Context{
		Ip:        event.IP(address),
		UserAgent: d.clean("userAgent", cmp.Or(named(d.UserAgent.Text), value(d.AdditionalDetails.items, "User-Agent"))),
		Country:   d.clean("location", named(cmp.Or(d.Location.country, d.envelope.Location.country))),
		Session:   d.clean("sessionId", named(d.SessionID.Text)),
	}
	if address != "" && context.Ip == "" {
		d.odd("ipAddress: not an address")
	}
	if context.Ip == "" && context.UserAgent == "" && context.Country == "" && context.Session == "" {
		return nil
	}
	return context
}
