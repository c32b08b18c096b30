// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake"
)

// m365Names stand for ids in what is asked.
var m365Names = strings.NewReplacer(
	"{anna}", fake.M365ID("user", "anna.berg@example.com"), "{group}", fake.M365ID("group", "Payments"), "{team}", fake.M365ID("group", "Team"),
	"{synced}", fake.M365ID("group", "Synced"), "{role}", fake.M365ID("role", "Reader"), "{app}", fake.M365ID("principal", "Payroll"),
	"{api}", fake.M365ID("principal", "Graph"), "{mail}", fake.M365ID("app role", "Mail.Read"), "{nobody}", fake.M365ID("user", "nobody"),
	"REF", "https://graph.microsoft.com/v1.0/directoryObjects/",
)

func administered(t *testing.T, setup fake.M365Config) (tenant *fake.M365, address string) {
	t.Helper()
	tenant, address = serveM365(t, setup)
	id := func(name string) string { return m365Names.Replace("{" + name + "}") }
	tenant.Directory.Put(
		fake.M365User{M365Person: fake.NewM365Person("anna.berg", "example.com")},
		fake.M365Group{ID: id("group"), Name: "Payments"}, fake.M365Group{ID: id("team"), Name: "Team", Team: true}, fake.M365Group{ID: id("synced"), Name: "Synced", Synced: true},
		fake.M365Role{ID: id("role"), Name: "Reader"}, fake.M365Principal{ID: id("app"), Name: "Payroll"},
		fake.M365Principal{ID: id("api"), Name: "Graph", Roles: map[string]string{id("mail"): "Mail.Read"}},
	)
	tenant.Directory.Own(id("team"), id("anna"))
	tenant.Directory.Join(id("synced"), id("anna"))
	return tenant, address
}

func TestM365Administration(t *testing.T) {
	steps := []struct {
		method, path, body string
		status             int
		want               string // in the body
	}{
		{"GET", "/users/{anna}?$select=id,employeeId", "", 200, `"employeeId":null`},
		{"GET", "/users/anna.berg@example.com", "", 200, "{anna}"},
		{"GET", "/users/{nobody}", "", 404, "Request_ResourceNotFound"},
		{"GET", "/users?$top=1000", "", 400, "Invalid page size"},
		{"GET", "/users?$skiptoken=eA", "", 400, "Directory_ExpiredPageToken"},
		{"GET", "/faxes", "", 400, "BadRequest"},

		{"POST", "/groups/{group}/members/$ref", `{"@odata.id":"REF{anna}"}`, 204, ""},
		{"POST", "/groups/{group}/members/$ref", `{"@odata.id":"REF{anna}"}`, 400, "already exist"},
		{"POST", "/groups/{group}/members/$ref", `{"@odata.id":"REF{app}"}`, 204, ""},
		{"POST", "/groups/{group}/members/$ref", `{"@odata.id":"REF{nobody}"}`, 404, "Request_ResourceNotFound"},
		{"POST", "/groups/{group}/members/$ref", `{"@odata.id":"{anna}"}`, 400, "Invalid URL"},
		{"POST", "/groups/{synced}/members/$ref", `{"@odata.id":"REF{app}"}`, 400, "on-premises mastered"},
		{"DELETE", "/groups/{synced}/members/{anna}/$ref", "", 400, "on-premises mastered"},
		{"GET", "/groups/{group}/members", "", 200, "{anna}"},
		{"GET", "/servicePrincipals/{app}/memberOf", "", 200, "{group}"},
		{"GET", "/groups/{group}/members/microsoft.graph.group", "", 400, "ConsistencyLevel"},
		{"POST", "/users/{anna}/checkMemberGroups", `{"groupIds":["{group}","{team}"]}`, 200, `["{group}"]`},
		{"POST", "/users/{anna}/checkMemberGroups", `{"groupIds":[]}`, 400, "1 to 20"},
		{"DELETE", "/groups/{group}/members/{anna}/$ref", "", 204, ""},
		{"DELETE", "/groups/{group}/members/{anna}/$ref", "", 404, "Request_ResourceNotFound"},
		{"DELETE", "/groups/{team}/owners/{anna}/$ref", "", 400, "at least one owner"},

		{"POST", "/roleManagement/directory/roleAssignments", `{"roleDefinitionId":"{role}","principalId":"{anna}","directoryScopeId":"/"}`, 201, "{role}"},
		{"POST", "/roleManagement/directory/roleAssignments", `{"roleDefinitionId":"{role}","principalId":"{anna}","directoryScopeId":"/"}`, 400, "conflicting object"},
		{"POST", "/roleManagement/directory/roleAssignments", `{"roleDefinitionId":"{role}","principalId":"{nobody}","directoryScopeId":"/"}`, 404, "Request_ResourceNotFound"},
		{"POST", "/roleManagement/directory/roleAssignmentScheduleRequests", `{"action":"adminAssign","roleDefinitionId":"{role}","principalId":"{app}","directoryScopeId":"/"}`, 400, "Request_BadRequest"},
		{"GET", "/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'{anna}'", "", 200, "{anna}"},
		{"GET", "/roleManagement/directory/roleAssignments?$filter=scope%20eq%20'x'", "", 400, "Request_UnsupportedQuery"},
		{"DELETE", "/roleManagement/directory/roleAssignments/none", "", 404, "Request_ResourceNotFound"},

		{"POST", "/oauth2PermissionGrants", `{"clientId":"{app}","resourceId":"{api}","consentType":"Principal","principalId":"{anna}","scope":"Mail.Read"}`, 201, "Mail.Read"},
		{"POST", "/oauth2PermissionGrants", `{"clientId":"{app}","resourceId":"{api}","consentType":"Principal","principalId":"{anna}","scope":"User.Read"}`, 409, "already exists"},
		{"POST", "/oauth2PermissionGrants", `{"clientId":"{app}","resourceId":"{api}","consentType":"Principal","principalId":null,"scope":"x"}`, 400, "consentType"},
		{"PATCH", "/oauth2PermissionGrants/none", `{"scope":"x"}`, 404, "Request_ResourceNotFound"},

		{"POST", "/servicePrincipals/{api}/appRoleAssignedTo", `{"principalId":"{app}","resourceId":"{api}","appRoleId":"{mail}"}`, 201, "ServicePrincipal"},
		{"POST", "/servicePrincipals/{api}/appRoleAssignedTo", `{"principalId":"{app}","resourceId":"{api}","appRoleId":"{mail}"}`, 400, "already exists"},
		{"POST", "/servicePrincipals/{api}/appRoleAssignedTo", `{"principalId":"{app}","resourceId":"{api}","appRoleId":"{role}"}`, 400, "was not found on application"},
		{"DELETE", "/servicePrincipals/{api}/appRoleAssignedTo/none", "", 404, "Request_ResourceNotFound"},

		{"POST", "/users/{anna}/revokeSignInSessions", "", 200, "true"},
		// Without $ref the member itself goes.
		{"DELETE", "/groups/{group}/members/{app}", "", 204, ""},
		{"GET", "/servicePrincipals/{app}", "", 404, "Request_ResourceNotFound"},
	}
	tenant, address := administered(t, fake.M365Config{})
	for _, step := range steps {
		status, body, _ := askM365(t, step.method, address+"/v1.0"+m365Names.Replace(step.path), m365Names.Replace(step.body))
		if status != step.status || !strings.Contains(body, m365Names.Replace(step.want)) {
			t.Errorf("%s %s %s: got %d %s, want %d with %s", step.method, step.path, step.body, status, body, step.status, step.want)
		}
	}
	if tenant.Directory.Changes() != 8 {
		t.Errorf("got %d changes, want 8", tenant.Directory.Changes())
	}
	if s := tenant.Directory.Snapshot(); len(s.Grants)+len(s.AppRoles) != 0 || len(s.Assignments) != 1 {
		t.Errorf("got %v, want what the app held to be gone with it", s)
	}
}

func TestM365Lies(t *testing.T) {
	tenant, address := administered(t, fake.M365Config{Faults: fake.Faults{LieEvery: 1}})
	status, _, _ := askM365(t, http.MethodPost, address+"/v1.0"+m365Names.Replace("/groups/{group}/members/$ref"), m365Names.Replace(`{"@odata.id":"REF{anna}"}`))
	if status != http.StatusNoContent || tenant.Directory.Changes() != 0 {
		t.Errorf("got %d and %d changes, want success and none", status, tenant.Directory.Changes())
	}
}

func TestM365PagesOfPeople(t *testing.T) {
	tenant, address := serveM365(t, fake.M365Config{})
	tenant.Directory.Churn(0)
	tenant.Directory.Churn(1)
	seen := 0
	next := address + "/v1.0/users?$top=2"
	for pages := 0; next != ""; pages++ {
		_, body, _ := askM365(t, http.MethodGet, next, "")
		var page struct {
			Value []struct{ ID string }
			Next  string `json:"@odata.nextLink"`
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Value) > 2 {
			t.Fatalf("got %s, %v, want a page of two", body, err)
		}
		seen, next = seen+len(page.Value), page.Next
	}
	if want := len(tenant.Directory.Snapshot().Users); seen != want || want != 7 {
		t.Errorf("got %d people of %d, want 7", seen, want)
	}
	tenant.Directory.Forbid("GET /v1.0/users")
	if status, body, _ := askM365(t, http.MethodGet, address+"/v1.0/users", ""); status != http.StatusForbidden || !strings.Contains(body, "Authorization_RequestDenied") {
		t.Errorf("got %d %s, want it refused as for a missing permission", status, body)
	}
}
