// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package ocsf writes alerts in the words of the Open Cybersecurity Schema Framework, as SIEMs read them: Detection Finding,
// class 2004 of version 1.8.0, https://schema.ocsf.io/1.8.0/classes/detection_finding.
package ocsf

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// Version is the schema's.
	Version = "1.8.0"
	// whole is how many runes of a value are told, most how many of a list; how many there are besides stands in unmapped.
	whole = 2000
	most  = 20
)

// Object is a JSON object.
type Object map[string]any

// set puts a value where it says something.
func (o Object) set(name string, value any) {
	switch v := value.(type) {
	case string:
		if v != "" {
			o[name] = v
		}
	case []string:
		if len(v) > 0 {
			o[name] = v
		}
	case Object:
		if len(v) > 0 {
			o[name] = v
		}
	case *timestamppb.Timestamp:
		if v.IsValid() {
			o[name] = millis(v.AsTime())
		}
	default:
		o[name] = v
	}
}

// Activities of a finding: https://schema.ocsf.io/1.8.0/classes/detection_finding, activity_id.
const (
	created = 1
	updated = 2
	closed  = 3
)

// Finding is the alert as a Detection Finding: created, or where the other side had it before updated, or where it is
// resolved closed. Its finding_info.uid is one for each episode, its metadata.uid one for each version of it, so that the
// same twice can be told. Text of vendors is Plain, and it is of bounded size.
func Finding(alert *curfewv1.Alert, before bool) Object {
	f := alert.GetFinding()
	activity, name := created, "Create"
	if before {
		activity, name = updated, "Update"
	}
	if alert.GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED {
		activity, name = closed, "Close"
	}
	drawn := card.Of(alert)
	status, statusName := status(alert.GetState())
	severity, severityName := severity(drawn.Severity)
	o := Object{
		"category_uid": 2, "category_name": "Findings", "class_uid": 2004, "class_name": "Detection Finding",
		"activity_id": activity, "activity_name": name,
		"type_uid": 200400 + activity, "type_name": "Detection Finding: " + name,
		"severity_id": severity, "severity": severityName,
		"status_id": status, "status": statusName,
		"time": millis(moment(alert, activity)), "metadata": metadata(alert), "finding_info": info(alert),
		"count": max(alert.GetCount(), 1), "message": drawn.Headline,
	}
	o.set("status_detail", drawn.Status)
	o.set("comment", plain(alert.GetResolution()))
	o.set("start_time", f.GetTime())
	o.set("end_time", alert.GetResolved())
	if evidence := evidence(f); len(evidence) > 0 {
		o["evidences"] = []Object{evidence}
	}
	if len(drawn.Steps) > 0 {
		o["remediation"] = Object{"desc": strings.Join(drawn.Steps, "\n")}
	}
	o.set("unmapped", unmapped(alert, drawn))
	return o
}

// Note is something said of a finding that a receiver has, as a Base Event, class 0 of the schema, whose
// metadata.correlation_uid is ref and metadata.uid is id.
func Note(id, ref string, lines []string, now time.Time) Object {
	text := make([]string, 0, min(len(lines), most))
	for _, line := range lines[:min(len(lines), most)] {
		text = append(text, plain(line))
	}
	if more := len(lines) - most; more > 0 {
		text = append(text, fmt.Sprintf("and %d more", more))
	}
	return Object{
		"category_uid": 0, "category_name": "Uncategorized", "class_uid": 0, "class_name": "Base Event",
		"activity_id": 99, "activity_name": "Note", "type_uid": 99, "type_name": "Base Event: Other",
		"severity_id": 1, "severity": "Informational", "time": millis(now), "message": strings.Join(text, "\n"),
		"metadata": Object{"version": Version, "product": product(), "uid": plain(id), "correlation_uid": plain(ref)},
	}
}

// moment is when the activity was.
func moment(alert *curfewv1.Alert, activity int) time.Time {
	list := []*timestamppb.Timestamp{alert.GetOpened(), alert.GetNewest(), alert.GetFinding().GetTime(), alert.GetFinding().GetEvent().GetReceived()}
	switch activity {
	case closed:
		list = append([]*timestamppb.Timestamp{alert.GetResolved()}, list...)
	case updated:
		latest := alert.GetNewest()
		if alert.GetAcknowledged().AsTime().After(latest.AsTime()) {
			latest = alert.GetAcknowledged()
		}
		list = append([]*timestamppb.Timestamp{latest}, list...)
	}
	for _, t := range list {
		if t.IsValid() {
			return t.AsTime()
		}
	}
	return time.Unix(0, 0)
}

func metadata(alert *curfewv1.Alert) Object {
	o := Object{
		"version": Version, "product": product(),
		"uid": fmt.Sprintf("%s/%d/%d", plain(alert.GetId()), alert.GetEpisode(), alert.GetVersion()), "correlation_uid": plain(alert.GetId()),
	}
	e := alert.GetFinding().GetEvent()
	o.set("tenant_uid", plain(alert.GetTenant()))
	o.set("original_event_uid", plain(e.GetId()))
	o.set("event_code", plain(e.GetAction()))
	o.set("log_name", plain(e.GetFeed()))
	o.set("log_provider", plain(e.GetSource()))
	o.set("logged_time", e.GetReceived())
	return o
}

func product() Object { return Object{"name": "Curfew", "vendor_name": "Curfew"} }

func info(alert *curfewv1.Alert) Object {
	f := alert.GetFinding()
	detection := plain(f.GetDetection())
	if detection == "" {
		detection = "unknown"
	}
	o := Object{
		"uid":      fmt.Sprintf("%s/%d", plain(alert.GetId()), alert.GetEpisode()),
		"analytic": Object{"type_id": 1, "type": "Rule", "uid": detection},
		"types":    []string{detection},
	}
	o.set("title", plain(f.GetTitle()))
	o.set("desc", plain(f.GetReason()))
	o.set("first_seen_time", f.GetTime())
	o.set("created_time", alert.GetOpened())
	o.set("last_seen_time", alert.GetNewest())
	if source := plain(f.GetEvent().GetSource()); source != "" {
		o["data_sources"] = []string{source}
	}
	return o
}

// status is status_id: 1 new, 2 in progress, 4 resolved.
func status(state curfewv1.AlertState) (int, string) {
	switch state {
	case curfewv1.AlertState_ALERT_STATE_OPEN:
		return 1, "New"
	case curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED:
		return 2, "In Progress"
	case curfewv1.AlertState_ALERT_STATE_RESOLVED:
		return 4, "Resolved"
	default:
		return 0, "Unknown"
	}
}

// severity is severity_id; the contract has the same numbers.
func severity(s curfewv1.Severity) (int32, string) {
	names := []string{"Unknown", "Informational", "Low", "Medium", "High", "Critical"}
	if s < 0 || int(s) >= len(names) {
		return 0, names[0]
	}
	return int32(s), names[s]
}

func millis(t time.Time) int64 { return t.UnixMilli() }

func plain(text string) string { return card.Plain(text, whole) }
