// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"cmp"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// target says which parameters name what an act was done to: the first target all of whose ids are there counts.
type target struct {
	kind string
	ids  []string
	name string
}

// targets are the resources of each application, in the order they are looked for. Parameters by application:
// https://developers.google.com/workspace/admin/reports/v1/appendix/activity/admin-event-names and its neighbours.
var targets = map[string][]target{
	"admin": {
		{kind: "group", ids: []string{"GROUP_EMAIL"}},
		{kind: "user", ids: []string{"USER_EMAIL"}},
		{kind: "app", ids: []string{"API_CLIENT_NAME"}},
		{kind: "app", ids: []string{"OAUTH2_APP_ID"}, name: "OAUTH2_APP_NAME"},
		{kind: "role", ids: []string{"ROLE_ID"}, name: "ROLE_NAME"},
		{kind: "role", ids: []string{"ROLE_NAME"}},
		{kind: "device", ids: []string{"DEVICE_ID"}},
		{kind: "device", ids: []string{"DEVICE_SERIAL_NUMBER"}},
		{kind: "alert", ids: []string{"ALERT_ID"}},
		{kind: "log", ids: []string{"INVESTIGATION_DATA_SOURCE"}},
		{kind: "setting", ids: []string{"APPLICATION_NAME", "SETTING_NAME"}},
		{kind: "setting", ids: []string{"SETTING_NAME"}},
		{kind: "setting", ids: []string{"SERVICE_NAME"}},
		{kind: "app", ids: []string{"APP_ID"}, name: "APPLICATION_NAME"},
		{kind: "app", ids: []string{"APPLICATION_NAME"}},
		{kind: "app", ids: []string{"MOBILE_APP_PACKAGE_ID"}},
		{kind: "rule", ids: []string{"RULE_NAME"}},
		{kind: "export", ids: []string{"OBFUSCATED_CUSTOMER_TAKEOUT_REQUEST_ID"}},
		{kind: "org_unit", ids: []string{"ORG_UNIT_NAME"}},
		{kind: "domain", ids: []string{"SECONDARY_DOMAIN_NAME"}},
		{kind: "domain", ids: []string{"DOMAIN_NAME"}},
	},
	"groups": {{kind: "group", ids: []string{"group_email"}}, {kind: "group", ids: []string{"group_id"}}},
	"groups_enterprise": {
		{kind: "group", ids: []string{"group_id"}}, {kind: "group", ids: []string{"group_email"}},
		{kind: "namespace", ids: []string{"namespace"}},
	},
	"saml": {{kind: "app", ids: []string{"application_name"}}},
	"calendar": {
		{kind: "calendar", ids: []string{"calendar_id", "event_id"}, name: "event_title"},
		{kind: "calendar", ids: []string{"calendar_id"}},
		{kind: "calendar", ids: []string{"target_calendar_id"}},
	},
	"chat": {{kind: "room", ids: []string{"room_id"}, name: "room_name"}},
	"rules": {
		{kind: "item", ids: []string{"resource_id"}, name: "resource_title"},
		{kind: "rule", ids: []string{"rule_resource_name"}, name: "rule_name"},
		{kind: "rule", ids: []string{"rule_id"}, name: "rule_name"},
		{kind: "rule", ids: []string{"rule_name"}},
	},
	"mobile": {
		{kind: "device", ids: []string{"DEVICE_ID"}, name: "DEVICE_MODEL"},
		{kind: "device", ids: []string{"SERIAL_NUMBER"}, name: "DEVICE_MODEL"},
	},
	"chrome": {
		{kind: "device", ids: []string{"DIRECTORY_DEVICE_ID"}, name: "DEVICE_NAME"},
		{kind: "device", ids: []string{"DEVICE_ID"}, name: "DEVICE_NAME"},
		{kind: "device", ids: []string{"DEVICE_NAME"}},
	},
	"context_aware_access": {{kind: "app", ids: []string{"CAA_APPLICATION"}}},
	"data_studio":          {{kind: "report", ids: []string{"ASSET_ID"}, name: "ASSET_NAME"}},
	"gcp":                  {{kind: "user", ids: []string{"USER_EMAIL"}}},
	"keep":                 {{kind: "note", ids: []string{"note_name"}}},
	"meet": {
		{kind: "meeting", ids: []string{"meeting_code"}},
		{kind: "meeting", ids: []string{"conference_id"}},
	},
	"vault": {{kind: "matter", ids: []string{"matter_id"}, name: "matter_name"}},
}

// resource is what the act was done to.
func (d *decoding) resource(action string, a *act) *curfewv1.Resource {
	switch d.feed {
	case "drive":
		return driveResource(action, a)
	case "token":
		return found("app", a.text("client_id"), a.text("app_name"))
	case "login", "user_accounts":
		return d.accountResource(a)
	case "gmail":
		if info := a.find("message_info").messages(); len(info) > 0 {
			return found("mail", info[0].text("rfc2822_message_id"), info[0].text("subject"))
		}
		return nil
	}
	for _, t := range targets[d.feed] {
		ids := make([]string, 0, 2)
		for _, name := range t.ids {
			if id := a.text(name); id != "" {
				ids = append(ids, id)
			}
		}
		if len(ids) < len(t.ids) {
			continue
		}
		return &curfewv1.Resource{
			Path:       event.Path(t.kind, ids...),
			Kind:       t.kind,
			Name:       cmp.Or(a.text(t.name), strings.Join(ids, ": ")),
			Owner:      a.first("owner_email", "OWNER_EMAIL"),
			Visibility: a.first("VISIBILITY"),
		}
	}
	return nil
}

// found is the resource of that id, or of its name alone where the record has no id; nil where it has neither.
func found(kind, id, name string) *curfewv1.Resource {
	if id == "" && name == "" {
		return nil
	}
	return &curfewv1.Resource{Path: event.Path(kind, id), Kind: kind, Name: cmp.Or(name, id)}
}

// driveResource is the file or shared drive. A title alone makes no path: two files may share it.
func driveResource(action string, a *act) *curfewv1.Resource {
	if action == "storage_usage_update" {
		return nil
	}
	id, kind := a.text("doc_id"), "file"
	docType := a.text("doc_type")
	drive := a.first("shared_drive_id", "team_drive_id")
	if docType == "shared_drive" || docType == "team_drive" || strings.HasPrefix(action, "shared_drive_") || strings.HasPrefix(action, "team_drive_") {
		id, kind = cmp.Or(drive, id), "drive"
	} else if id == "" && drive != "" && a.text("doc_title") == "" {
		id, kind = drive, "drive"
	}
	return &curfewv1.Resource{
		Path: event.Path(kind, id), Kind: kind, Name: a.text("doc_title"), Owner: a.text("owner"), Visibility: a.text("visibility"),
	}
}

// accountResource is the account signed in to or changed: the one the act names, else the actor's own.
func (d *decoding) accountResource(a *act) *curfewv1.Resource {
	affected := a.text("affected_email_address")
	actor := d.actor()
	email := actor.GetEmail()
	if affected != "" && !strings.EqualFold(affected, email) {
		return found("user", affected, "")
	}
	return found("user", actor.GetId(), email)
}

// actApp is the application that an act gives access to, takes it from, or was done with.
func actApp(feed, action string, a *act) *curfewv1.App {
	switch {
	case feed == "token":
		return newApp(a.text("client_id"), a.text("app_name"), tokenScopes(a))
	case feed == "drive":
		// The Google Cloud project of the app, not an OAuth client.
		return newApp(a.text("originating_app_id"), "", nil)
	case action == "AUTHORIZE_API_CLIENT_ACCESS" || action == "REMOVE_API_CLIENT_ACCESS":
		// Domain-wide delegation. The separators of API_SCOPES are not confirmed.
		scopes := strings.FieldsFunc(a.text("API_SCOPES"), func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
		return newApp(a.text("API_CLIENT_NAME"), "", scopes[:min(len(scopes), maxValues)])
	case a.find("OAUTH2_APP_ID") != nil:
		return newApp(a.text("OAUTH2_APP_ID"), a.text("OAUTH2_APP_NAME"), nil)
	case action == "ADD_APPLICATION" || action == "REMOVE_APPLICATION":
		return newApp(a.text("APP_ID"), a.text("APPLICATION_NAME"), nil)
	}
	return nil
}

// tokenScopes are the scopes of scope and of scope_data, each once, in the record's order.
func tokenScopes(a *act) []string {
	scopes := a.values("scope")
	size := 0
	for _, scope := range scopes {
		size += len(scope)
	}
	for _, data := range a.find("scope_data").messages() {
		name := data.text("scope_name")
		if name == "" || slices.Contains(scopes, name) {
			continue
		}
		if size += len(name); size > maxList || len(scopes) == maxValues {
			break
		}
		scopes = append(scopes, name)
	}
	return scopes
}

// outcome is how the act ended, where the record says.
func outcome(feed, action string, a *act) *curfewv1.Outcome {
	success := &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS}
	failure := &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE}
	switch action {
	case "login_success":
		success.Reason = a.text("saml_status_code")
		return success
	case "login_failure":
		failure.Reason = a.first("login_failure_type", "failure_type", "saml_status_code")
		return failure
	case "login_challenge", "login_verification":
		status := a.text("login_challenge_status")
		switch lower := strings.ToLower(status); {
		case strings.Contains(lower, "pass"):
			success.Reason = status
			return success
		case strings.Contains(lower, "fail") || strings.Contains(lower, "incorrect"):
			failure.Reason = status
			return failure
		}
	case "risky_sensitive_action_blocked":
		return failure
	}
	switch {
	case feed == "access_evaluation" && strings.HasPrefix(action, "allow_"):
		success.Reason = a.text("configuration_source")
		return success
	case feed == "access_evaluation" && strings.HasPrefix(action, "deny_"):
		// That refusals have such names is not confirmed.
		failure.Reason = a.text("configuration_source")
		return failure
	}
	if feed == "context_aware_access" && strings.HasPrefix(action, "ACCESS_DENY") {
		failure.Reason = a.text("CAA_ACCESS_STATE")
		return failure
	}
	return nil
}

// secondFactors are the values of login_challenge_method that are a second factor.
var secondFactors = []string{
	"google_authenticator", "google_prompt", "security_key", "security_key_otp", "offline_otp", "backup_code",
	"idv_preregistered_phone", "idv_any_phone", "internal_two_factor",
}

// secondFactor reports whether the record itself shows a second factor: it says so, or names one among the methods of
// a sign-in that went well.
func secondFactor(a *act, outcome *curfewv1.Outcome) bool {
	if outcome.GetStatus() != curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS {
		return false
	}
	if said := a.find("is_second_factor"); said != nil {
		return said.text() == "true"
	}
	return slices.ContainsFunc(a.values("login_challenge_method"), func(method string) bool {
		return slices.Contains(secondFactors, method)
	})
}
