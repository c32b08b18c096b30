// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// M365Person is somebody of the tenant.
type M365Person struct {
	// ID is the object id, Login the user principal name, Name the display name.
	ID, Login, Name string
}

// NewM365Person is a person of the tenant: anna.berg at example.com becomes Anna Berg, with an id made of the login.
func NewM365Person(name, domain string) M365Person {
	words := strings.Split(name, ".")
	for i, word := range words {
		if word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	login := name + "@" + domain
	return M365Person{ID: M365ID("user", login), Login: login, Name: strings.Join(words, " ")}
}

// M365ID is an object id for something with a name: the same name has the same id.
func M365ID(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + " " + name))
	return fmt.Sprintf("%x-%x-4%03x-8%03x-%x", sum[0:4], sum[4:6], int(sum[6])<<4|int(sum[7])>>4, int(sum[8])<<4|int(sum[9])>>4, sum[10:16])
}

// M365Activity builds a record of the Management Activity API. What is not set gets a value that a quiet tenant would
// show, so that the zero value is a sound record: somebody opened a file.
type M365Activity struct {
	// Seed and Number make the Id.
	Seed, Number uint64
	// Operation, RecordType and Workload are what was done; FileAccessed, 6 and SharePoint if Operation is empty.
	Operation  string
	RecordType int
	Workload   string
	// Time is when it happened; 2026-03-02T08:00:00Z if zero.
	Time time.Time
	// User is who did it; anna.berg@example.com if empty.
	User M365Person
	// IP is the client's address; 192.0.2.30 if empty, none if "-".
	IP string
	// Fields are the service's own; those of a file if Operation is empty. They stand over all others.
	Fields map[string]any
}

// ID is the record's Id.
func (a M365Activity) ID() string { return M365ID("record", fmt.Sprintf("%d %d", a.Seed, a.Number)) }

// JSON is the record. It is the same for the same a.
func (a M365Activity) JSON() json.RawMessage {
	if a.Operation == "" {
		a.Operation, a.RecordType, a.Workload = "FileAccessed", 6, "SharePoint"
		a.Fields = mergedFields(M365File("orders", "plan.xlsx"), a.Fields)
	}
	if a.User.Login == "" {
		a.User = NewM365Person("anna.berg", "example.com")
	}
	if a.Time.IsZero() {
		a.Time = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)
	}
	record := map[string]any{
		"Id": a.ID(), "CreationTime": a.Time.UTC().Format("2006-01-02T15:04:05"), "Operation": a.Operation,
		"RecordType": a.RecordType, "Workload": a.Workload, "OrganizationId": m365Tenant, "UserType": 0, "Version": 1,
		"UserId": a.User.Login, "UserKey": a.User.ID,
	}
	if a.IP != "-" {
		record["ClientIP"] = cmp.Or(a.IP, "192.0.2.30")
	}
	return m365JSON(mergedFields(record, a.Fields))
}

// M365File is the fields of a record about a file of a site.
func M365File(site, name string) map[string]any {
	url := "https://shop.sharepoint.com/sites/" + site
	return map[string]any{
		"ItemType": "File", "Site": M365ID("site", site), "SiteUrl": url + "/", "ListItemUniqueId": M365ID("file", site+"/"+name),
		"ObjectId": url + "/Shared Documents/" + name, "SourceRelativeUrl": "Shared Documents", "SourceFileName": name,
		"EventSource": "SharePoint", "UserAgent": "Mozilla/5.0 (X11; Linux x86_64) Invented/1.0",
	}
}

// M365SignIn builds a signIn of Graph: a sound one where nothing is set.
type M365SignIn struct {
	// Seed and Number make the id.
	Seed, Number uint64
	// Time is when it happened; 2026-03-02T08:00:00Z if zero.
	Time time.Time
	// User is who signed in; anna.berg@example.com if empty.
	User M365Person
	// App and AppID are the app through which; an invented one if empty.
	App, AppID string
	// IP is the client's address; 192.0.2.31 if empty.
	IP string
	// Country is where it is said to be; "SE" if empty.
	Country string
	// ErrorCode and Failure are why it was refused; 0 is a success.
	ErrorCode int
	Failure   string
}

// ID is the signIn's id.
func (s M365SignIn) ID() string { return M365ID("signIn", fmt.Sprintf("%d %d", s.Seed, s.Number)) }

// JSON is the signIn. It is the same for the same s.
func (s M365SignIn) JSON() json.RawMessage {
	if s.User.Login == "" {
		s.User = NewM365Person("anna.berg", "example.com")
	}
	if s.Time.IsZero() {
		s.Time = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)
	}
	app := cmp.Or(s.App, "Invented Mail")
	return m365JSON(map[string]any{
		"id": s.ID(), "createdDateTime": s.Time.UTC().Format("2006-01-02T15:04:05Z"),
		"userDisplayName": s.User.Name, "userPrincipalName": s.User.Login, "userId": s.User.ID,
		"appId": cmp.Or(s.AppID, M365ID("app", app)), "appDisplayName": app, "ipAddress": cmp.Or(s.IP, "192.0.2.31"),
		"clientAppUsed": "Browser", "correlationId": M365ID("correlation", s.ID()), "conditionalAccessStatus": "success",
		"isInteractive": true, "riskState": "none", "resourceDisplayName": "Microsoft Graph",
		"resourceId":   "00000003-0000-0000-c000-000000000000",
		"status":       map[string]any{"errorCode": s.ErrorCode, "failureReason": cmp.Or(s.Failure, "Other."), "additionalDetails": nil},
		"deviceDetail": map[string]any{"operatingSystem": "Linux", "browser": "Invented 1.0", "isCompliant": false},
		"location":     map[string]any{"city": "Lund", "state": nil, "countryOrRegion": cmp.Or(s.Country, "SE")},
	})
}

// M365Audit builds a directoryAudit of Graph: a sound one where nothing is set.
type M365Audit struct {
	// Seed and Number make the id.
	Seed, Number uint64
	// Activity is what was done, Category its category; "Update user", "UserManagement" if Activity is empty.
	Activity, Category string
	// Time is when it happened; 2026-03-02T08:00:00Z if zero.
	Time time.Time
	// User is who did it; anna.berg@example.com if empty.
	User M365Person
	// Targets are what it was done to.
	Targets []M365Target
}

// M365Target is one of the targetResources of a directoryAudit.
type M365Target struct {
	// ID, Type and Name are the object's; Login is a person's user principal name.
	ID, Type, Name, Login string
	// Modified are its modifiedProperties: the new values, as Graph writes them; where they are Removed, the old ones.
	Modified map[string]string
	Removed  bool
}

// ID is the directoryAudit's id.
func (a M365Audit) ID() string {
	return "Directory_" + M365ID("audit", fmt.Sprintf("%d %d", a.Seed, a.Number))
}

// JSON is the directoryAudit. It is the same for the same a.
func (a M365Audit) JSON() json.RawMessage {
	if a.Activity == "" {
		a.Activity, a.Category = "Update user", "UserManagement"
	}
	if a.User.Login == "" {
		a.User = NewM365Person("anna.berg", "example.com")
	}
	if a.Time.IsZero() {
		a.Time = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)
	}
	targets := []any{}
	for _, target := range a.Targets {
		modified := []any{}
		for _, name := range slices.Sorted(maps.Keys(target.Modified)) {
			property := map[string]any{"displayName": name, "oldValue": nil, "newValue": target.Modified[name]}
			if target.Removed {
				property["oldValue"], property["newValue"] = target.Modified[name], nil
			}
			modified = append(modified, property)
		}
		targets = append(targets, map[string]any{
			"id": target.ID, "type": target.Type, "displayName": m365Null(target.Name), "userPrincipalName": m365Null(target.Login),
			"groupType": nil, "modifiedProperties": modified,
		})
	}
	return m365JSON(map[string]any{
		"id": a.ID(), "category": a.Category, "correlationId": M365ID("correlation", a.ID()), "result": "success", "resultReason": "",
		"activityDisplayName": a.Activity, "activityDateTime": a.Time.UTC().Format("2006-01-02T15:04:05.0000000Z"),
		"loggedByService": "Core Directory", "operationType": "Update", "additionalDetails": []any{},
		"initiatedBy": map[string]any{"app": nil, "user": map[string]any{
			"id": a.User.ID, "displayName": nil, "userPrincipalName": a.User.Login, "ipAddress": "192.0.2.32",
		}},
		"targetResources": targets,
	})
}

// M365Consent is a person's consent to an app as Entra ID's audit log has it.
func M365Consent(number uint64, at time.Time, who M365Person, app string, scopes ...string) M365Audit {
	id := M365ID("app", app)
	permissions := fmt.Sprintf("[] => [[Id: invented, ClientId: %s, PrincipalId: %s, ResourceId: %s, ConsentType: Principal, Scope: %s, CreatedDateTime: , LastModifiedDateTime ]];  ",
		M365ID("principal", app), who.ID, M365ID("principal", "Microsoft Graph"), strings.Join(scopes, " "))
	return M365Audit{
		Number: number, Activity: "Consent to application", Category: "ApplicationManagement", Time: at, User: who,
		Targets: []M365Target{{ID: M365ID("principal", app), Type: "ServicePrincipal", Name: app, Modified: map[string]string{
			"ConsentContext.IsAdminConsent":  `"False"`,
			"ConsentAction.Permissions":      string(m365JSON(permissions)),
			"TargetId.ServicePrincipalNames": string(m365JSON(id)),
		}}},
	}
}

func mergedFields(fields ...map[string]any) map[string]any {
	all := map[string]any{}
	for _, some := range fields {
		maps.Copy(all, some)
	}
	return all
}

func m365JSON(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // Fields alone could do it, and only a programmer sets them.
	}
	return text
}

func m365Null(text string) any {
	if text == "" {
		return nil
	}
	return text
}
