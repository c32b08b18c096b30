// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"bytes"
	"cmp"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The feeds of the Management Activity API, one for each of its content types:
// https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference.
const (
	feedEntra      = "audit_azure_active_directory"
	feedExchange   = "audit_exchange"
	feedSharePoint = "audit_sharepoint"
	feedGeneral    = "audit_general"
	feedDLP        = "dlp_all"
)

// auditRecord is what is read of a record of the Management Activity API, whatever the service it is of:
// https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema.
type auditRecord struct {
	ID           event.Scalar `json:"Id"`
	CreationTime event.Scalar `json:"CreationTime"`
	Operation    event.Scalar `json:"Operation"`
	Workload     event.Scalar `json:"Workload"`
	RecordType   event.Scalar `json:"RecordType"`
	UserID       event.Scalar `json:"UserId"`
	UserKey      event.Scalar `json:"UserKey"`
	UserType     event.Scalar `json:"UserType"`
	ObjectID     event.Scalar `json:"ObjectId"`
	ResultStatus event.Scalar `json:"ResultStatus"`
	IsSuccess    event.Scalar `json:"IsSuccess"`

	ClientIP        event.Scalar `json:"ClientIP"`
	ClientIPAddress event.Scalar `json:"ClientIPAddress"`
	ActorIPAddress  event.Scalar `json:"ActorIpAddress"`
	UserAgent       event.Scalar `json:"UserAgent"`
	ClientInfo      event.Scalar `json:"ClientInfoString"`
	SessionID       event.Scalar `json:"SessionId"`

	ApplicationID   event.Scalar `json:"ApplicationId"`
	ApplicationName event.Scalar `json:"ApplicationDisplayName"`
	AppID           event.Scalar `json:"AppId"`
	ClientAppID     event.Scalar `json:"ClientAppId"`
	AppAccess       struct {
		ClientAppID   event.Scalar `json:"ClientAppId"`
		ClientAppName event.Scalar `json:"ClientAppName"`
		SessionID     event.Scalar `json:"AADSessionId"`
	} `json:"AppAccessContext"`

	// Entra ID
	Actor      []identity   `json:"Actor"`
	Target     []identity   `json:"Target"`
	LogonError event.Scalar `json:"LogonError"`
	ErrorCode  event.Scalar `json:"ErrorCode"`
	// ErrorNumber is seen in records instead of ErrorCode; not confirmed.
	ErrorNumber event.Scalar `json:"ErrorNumber"`

	Modified   properties `json:"ModifiedProperties"`
	Parameters properties `json:"Parameters"`
	Extended   []property `json:"ExtendedProperties"`
	Device     []property `json:"DeviceProperties"`

	sharePointFields
	exchangeFields
	teamsFields
	otherFields
}

// wrapped is a record of the audit log as Search-UnifiedAuditLog exports it and as Graph's audit log query returns it:
// the record itself is within.
// https://learn.microsoft.com/powershell/module/exchange/search-unifiedauditlog,
// https://learn.microsoft.com/graph/api/resources/security-auditlogrecord
type wrapped struct {
	auditRecord
	AuditData object[auditRecord] `json:"AuditData"`
}

// decoding is one record on its way to an event.
type decoding struct {
	*auditRecord
	notes
	feed, operation string
}

// Decode turns a record of the Management Activity API into its one event, whatever the service it is of, and one of Graph
// as DecodeGraph does. The feed is that of the content type that such records come in. It is an event.Decode: the error,
// where there is one, is an *event.Unreadable, and it comes for records alone that are no JSON object.
func Decode(record []byte) ([]*curfewv1.Event, error) {
	var read wrapped
	oddities, err := event.Unmarshal(record, &read)
	if err != nil {
		return nil, err
	}
	if read.Operation.Text == "" && read.CreationTime.Text == "" && read.AuditData.value == nil && isGraph(record) {
		return DecodeGraph(record)
	}
	d := &decoding{auditRecord: &read.auditRecord, notes: notes{oddities}}
	if read.AuditData.value != nil {
		d.auditRecord = read.AuditData.value
	}
	if read.AuditData.odd {
		d.odd("AuditData: not a record")
	}
	d.feed, d.operation = d.feedOf(), d.text("Operation", d.Operation)
	client := d.client()
	decoded := &curfewv1.Event{
		Id:      d.id("Id", d.ID.Text, record),
		Source:  source,
		Feed:    d.feed,
		Action:  d.operation,
		Time:    d.time("CreationTime", d.CreationTime),
		Actor:   d.actor(client),
		App:     client,
		Outcome: d.outcome(),
		Context: d.context(),
	}
	if d.operation == "" {
		d.odd("Operation: missing")
	}
	if given := d.given(); given != nil {
		decoded.App = given
	}
	decoded.Resource = d.resource()
	decoded.Changes = d.allChanges()
	decoded.Links = d.links(decoded.Outcome)
	d.wrongTypes()
	decoded.Oddities = d.oddities
	return []*curfewv1.Event{decoded}, nil
}

// isGraph is whether a record that is none of the Management Activity API reads like one of Graph or of an export.
func isGraph(record []byte) bool {
	for _, field := range [...]string{`"activityDateTime"`, `"createdDateTime"`, `"operationName"`, `"activityDisplayName"`} {
		if bytes.Contains(record, []byte(field)) {
			return true
		}
	}
	return false
}

// time is when it happened: UTC, although no zone is written.
func (n *notes) time(field string, s event.Scalar) *timestamppb.Timestamp {
	written := n.text(field, s)
	if written == "" {
		n.odd(field + ": missing")
		return nil
	}
	at := event.ParseTime(written)
	if at == nil {
		n.odd(field + ": not a time")
	}
	return at
}

// wrongTypes names what is of a wrong type and does not end up in the event.
func (d *decoding) wrongTypes() {
	for _, field := range [...]struct {
		name string
		odd  bool
	}{
		{"ModifiedProperties", d.Modified.odd}, {"Parameters", d.Parameters.odd},
		{"UserId", d.UserID.Odd}, {"ObjectId", d.ObjectID.Odd}, {"UserType", d.UserType.Odd}, {"Id", d.ID.Odd},
	} {
		if field.odd {
			d.odd(field.name + ": not what belongs there")
		}
	}
}

// feedOf is the content type that records of a type or, where that is missing, of a workload come in. Which types are in
// which content type is documented by the workload alone, so it is not confirmed for each.
func (d *decoding) feedOf() string {
	switch d.RecordType.Text {
	case "8", "9", "15", "AzureActiveDirectory", "AzureActiveDirectoryAccountLogon", "AzureActiveDirectoryStsLogon":
		return feedEntra
	case "1", "2", "3", "19", "50", "ExchangeAdmin", "ExchangeItem", "ExchangeItemGroup", "ExchangeAggregatedOperation", "ExchangeItemAggregated":
		return feedExchange
	case "4", "6", "7", "14", "36", "37", "54", "55", "56", "SharePoint", "SharePointFileOperation", "OneDrive", "SharePointSharingOperation",
		"SharePointListOperation", "SharePointCommentOperation", "SharePointListItemOperation", "SharePointContentTypeOperation", "SharePointFieldOperation":
		return feedSharePoint
	case "11", "13", "33", "63", "99", "100", "107", "ComplianceDLPSharePoint", "ComplianceDLPExchange", "ComplianceDLPSharePointClassification",
		"DLPEndpoint", "OnPremisesFileShareScannerDlp", "OnPremisesSharePointScannerDlp", "ComplianceDLPExchangeClassification":
		return feedDLP
	case "":
		switch workload := d.Workload.Text; {
		case workload == "AzureActiveDirectory":
			return feedEntra
		case workload == "Exchange":
			return feedExchange
		case workload == "SharePoint" || workload == "OneDrive":
			return feedSharePoint
		case workload == "" && (strings.HasPrefix(d.Operation.Text, "UserLog") || strings.HasSuffix(d.Operation.Text, ".")):
			return feedEntra
		}
	}
	return feedGeneral
}

// outcome is how it ended. Sign-ins write ResultStatus "Success" also for those that were refused.
func (d *decoding) outcome() *curfewv1.Outcome {
	result := named(d.ResultStatus.Text)
	outcome := &curfewv1.Outcome{Reason: d.clean("LogonError", named(d.LogonError.Text))}
	switch {
	case d.operation == "UserLoginFailed" || d.operation == "ForeignRealmIndexLogonInitialAuthUsingADFSFederatedToken" && result == "Failed":
		outcome.Status = curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE
	case strings.HasSuffix(d.operation, "AccessFailure"):
		outcome.Status = curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE
	default:
		outcome.Status = status(cmp.Or(result, d.IsSuccess.Text))
	}
	if code := cmp.Or(d.ErrorNumber.Text, d.ErrorCode.Text); outcome.Reason == "" && code != "" && code != "0" {
		outcome.Reason = d.clean("ErrorCode", code)
	}
	// The two statuses say less than Microsoft's word, except where it is one of them.
	if outcome.Reason == "" && result != "" && !plain(result) {
		outcome.Reason = d.clean("ResultStatus", result)
	}
	if outcome.Status == curfewv1.OutcomeStatus_OUTCOME_STATUS_UNSPECIFIED && outcome.Reason == "" {
		return nil
	}
	return outcome
}

// status is a word of Microsoft's for how something ended. The services differ.
func status(word string) curfewv1.OutcomeStatus {
	switch strings.ToLower(word) {
	case "success", "succeeded", "partiallysucceeded", "true", "successful", "ok", "completed":
		return curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS
	case "failure", "failed", "false", "fail", "error", "denied", "blocked", "authorizationfailure", "timeout", "unauthorized", "forbidden", "interrupted":
		return curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE
	}
	return curfewv1.OutcomeStatus_OUTCOME_STATUS_UNSPECIFIED
}

// plain is whether a word says no more than its status.
func plain(word string) bool {
	switch strings.ToLower(word) {
	case "success", "succeeded", "true", "successful", "failure", "failed", "false", "fail":
		return true
	}
	return false
}

func (d *decoding) context() *curfewv1.Context {
	address := cmp.Or(named(d.ClientIPAddress.Text), named(d.ClientIP.Text), named(d.ActorIPAddress.Text))
	context := &curfewv1.Context{
		Ip:        event.IP(address),
		UserAgent: d.clean("UserAgent", cmp.Or(named(d.UserAgent.Text), value(d.Extended, "UserAgent"), named(d.ClientInfo.Text))),
		Session:   d.clean("SessionId", named(d.SessionID.Text)),
	}
	if context.Session == "" {
		context.Session = d.clean("AADSessionId", named(d.AppAccess.SessionID.Text))
	}
	if context.Session == "" {
		context.Session = d.clean("DeviceProperties", named(value(d.Device, "SessionId")))
	}
	if address != "" && context.Ip == "" {
		d.odd("ClientIP: not an address")
	}
	if context.Ip == "" && context.UserAgent == "" && context.Session == "" {
		return nil
	}
	return context
}

// allChanges is what the record says of before and after, whichever way its service says it.
func (d *decoding) allChanges() []*curfewv1.Change {
	changes := d.membership()
	changes = append(changes, d.changes("ModifiedProperties", d.Modified.items)...)
	changes = append(changes, d.changes("Parameters", d.Parameters.items)...)
	if d.Parameters.text != "" {
		changes = append(changes, &curfewv1.Change{Field: "Parameters", After: d.clean("Parameters", d.Parameters.text)})
	}
	for _, setting := range [...]struct{ field, before, after string }{
		{"TargetUserOrGroupName", "", d.TargetUserOrGroup.Text},
		{"UserSharedWith", "", d.UserSharedWith.Text},
		{"EventData", "", d.EventData.Text},
		{cmp.Or(d.SettingName.Text, "Setting"), string(d.OldValue), string(d.NewValue)},
	} {
		if setting.before != "" || setting.after != "" {
			changes = append(changes, &curfewv1.Change{
				Field:  d.clean("Name", setting.field),
				Before: d.clean(setting.field, setting.before),
				After:  d.clean(setting.field, setting.after),
			})
		}
	}
	return d.bounded("ModifiedProperties", changes)
}
