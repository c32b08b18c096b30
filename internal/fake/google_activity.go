// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// GoogleActivity builds a record of Activities.list. What is not set gets a value that a quiet Workspace would show, so
// that the zero value is a sound record: a sign-in.
type GoogleActivity struct {
	// Seed and Number make the uniqueQualifier, and so the record's identity.
	Seed, Number uint64
	// Application is the log it is in; "login" if empty.
	Application string
	// Time is when it happened; 2026-03-02T08:00:00Z if zero.
	Time time.Time
	// Email is who acted; "anna@example.com" if empty, nobody if "-".
	Email string
	// IP is the client's address; 192.0.2.20 if empty, none if "-".
	IP string
	// Acts are what was done; one login_success if empty.
	Acts []GoogleAct
}

// GoogleAct is one entry of events[].
type GoogleAct struct {
	// Type and Name are the event's, such as "access" and "download".
	Type, Name string
	// Parameters are its parameters in order. A string becomes a value, a bool a boolValue, an int an intValue, a
	// []string a multiValue; of a map[string]any the keys stand beside the name; anything else becomes a value as it is.
	Parameters []GoogleParameter
}

// GoogleParameter is a name and its value.
type GoogleParameter struct {
	Name  string
	Value any
}

// JSON is the record.
func (a GoogleActivity) JSON() json.RawMessage {
	at := a.Time
	if at.IsZero() {
		at = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)
	}
	record := map[string]any{
		"kind": "admin#reports#activity",
		"etag": fmt.Sprintf("\"invented-%d-%d\"", a.Seed, a.Number),
		"id": map[string]any{
			"time":            at.UTC().Format("2006-01-02T15:04:05.000Z"),
			"uniqueQualifier": a.qualifier(),
			"applicationName": cmp.Or(a.Application, "login"),
			"customerId":      "C0invented",
		},
	}
	if email := cmp.Or(a.Email, "anna@example.com"); email != "-" {
		record["actor"] = map[string]any{"callerType": "USER", "email": email, "profileId": GoogleProfile(email)}
	}
	if ip := cmp.Or(a.IP, "192.0.2.20"); ip != "-" {
		record["ipAddress"] = ip
	}
	acts := a.Acts
	if len(acts) == 0 {
		acts = []GoogleAct{{Type: "login", Name: "login_success", Parameters: []GoogleParameter{
			{"login_type", "google_password"},
			{"login_challenge_method", []string{"password", "google_authenticator"}},
			{"is_suspicious", false},
		}}}
	}
	events := make([]any, 0, len(acts))
	for _, act := range acts {
		events = append(events, act.object())
	}
	record["events"] = events
	text, err := json.Marshal(record)
	if err != nil {
		panic(fmt.Sprintf("a parameter is no JSON: %v", err))
	}
	return text
}

// qualifier is a number that is the same for the same activity, as Google writes it: 64 bits with a sign, as text.
func (a GoogleActivity) qualifier() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "google %d %d", a.Seed, a.Number))
	return strconv.FormatInt(int64(binary.BigEndian.Uint64(sum[:8])), 10)
}

// GoogleProfile is the profile id of an e-mail: 21 digits, the same each time.
func GoogleProfile(email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	return fmt.Sprintf("1%020d", binary.BigEndian.Uint64(sum[:8]))
}

func (a GoogleAct) object() map[string]any {
	parameters := make([]any, 0, len(a.Parameters))
	for _, p := range a.Parameters {
		parameter := map[string]any{"name": p.Name}
		switch value := p.Value.(type) {
		case string:
			parameter["value"] = value
		case bool:
			parameter["boolValue"] = value
		case int:
			parameter["intValue"] = strconv.Itoa(value)
		case []string:
			parameter["multiValue"] = value
		case map[string]any:
			for name, part := range value {
				parameter[name] = part
			}
		default:
			parameter["value"] = value
		}
		parameters = append(parameters, parameter)
	}
	return map[string]any{"type": a.Type, "name": a.Name, "parameters": parameters}
}

// GoogleConsent is the act of an app taking scopes in its user's name.
func GoogleConsent(clientID, appName string, scopes ...string) GoogleAct {
	data := make([]any, 0, len(scopes))
	for _, scope := range scopes {
		data = append(data, map[string]any{"parameter": []any{
			map[string]any{"name": "scope_name", "value": scope},
			map[string]any{"name": "product_bucket", "multiValue": []string{"OTHER"}},
		}})
	}
	return GoogleAct{Type: "auth", Name: "authorize", Parameters: []GoogleParameter{
		{"client_id", clientID}, {"app_name", appName}, {"client_type", "WEB"},
		{"scope_data", map[string]any{"multiMessageValue": data}}, {"scope", scopes},
	}}
}

// GoogleFileAct is an act on a Drive file, such as "view" or "download".
func GoogleFileAct(name, fileID, title, owner, visibility string) GoogleAct {
	return GoogleAct{Type: "access", Name: name, Parameters: []GoogleParameter{
		{"primary_event", true}, {"billable", true}, {"doc_id", fileID}, {"doc_type", "spreadsheet"},
		{"is_encrypted", false}, {"doc_title", title}, {"visibility", visibility},
		{"actor_is_collaborator_account", false}, {"owner", owner}, {"owner_is_shared_drive", false},
		{"owner_is_team_drive", false},
	}}
}

// GoogleRoleAct is the act of an administrator on somebody's role: ASSIGN_ROLE or UNASSIGN_ROLE.
func GoogleRoleAct(name, email, role string) GoogleAct {
	return GoogleAct{Type: "DELEGATED_ADMIN_SETTINGS", Name: name, Parameters: []GoogleParameter{{"ROLE_NAME", role}, {"USER_EMAIL", email}}}
}

// GoogleGroupAct is the act of an administrator on somebody's place in a group: ADD_GROUP_MEMBER or REMOVE_GROUP_MEMBER.
func GoogleGroupAct(name, email, group string) GoogleAct {
	return GoogleAct{Type: "GROUP_SETTINGS", Name: name, Parameters: []GoogleParameter{{"USER_EMAIL", email}, {"GROUP_EMAIL", group}}}
}
