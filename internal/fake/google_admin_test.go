// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// askAdmin asks a path of the directory with a token for a scope, and returns the status and the body as an object.
func askAdmin(t *testing.T, google *Google, scope, method, path, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+GoogleTokenFor("fake-access-token", googleScope+scope))
	w := httptest.NewRecorder()
	google.ServeHTTP(w, r)
	var read map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &read); err != nil {
			t.Fatalf("%s %s: answer %d %q: %v", method, path, w.Code, w.Body, err)
		}
	}
	return w.Code, read
}

func TestGoogleDirectoryRefuses(t *testing.T) {
	google := NewGoogle(GoogleConfig{})
	anna := google.AddUser(GoogleUser{Email: "anna@example.com"})
	group := google.AddGroup(GoogleGroup{Email: "staff@example.com", Aliases: []string{"all@example.com"}, NonEditableAliases: []string{"staff@example.net"}})
	google.AddRole(GoogleRole{ID: "9", Name: "HELP"})
	const directory = "/admin/directory/v1/"
	users, members, security, roles := "admin.directory.user.readonly", "admin.directory.group.member", "admin.directory.user.security", "admin.directory.rolemanagement"
	member := fmt.Sprintf(`{"id":%q,"role":"MEMBER"}`, anna)
	held := fmt.Sprintf(`{"roleId":"9","assignedTo":%q,"scopeType":"CUSTOMER"}`, anna)
	for _, step := range []struct {
		scope, method, path, body string
		want                      int
	}{
		{users, "GET", directory + "users?customer=my_customer", "", 200},
		{security, "GET", directory + "users?customer=my_customer", "", 403},
		{"admin.no.such.scope", "GET", directory + "users?customer=my_customer", "", 401},
		{users, "GET", directory + "users", "", 400},
		{users, "GET", directory + "users?customer=my_customer&maxResults=501", "", 400},
		{users, "GET", directory + "users?customer=my_customer&maxResults=0", "", 400},
		{users, "GET", directory + "users?customer=my_customer&pageToken=invented", "", 400},
		{users, "GET", directory + "users/anna@example.com", "", 200},
		{users, "GET", directory + "users/ben@example.com", "", 404},
		{users, "GET", directory + "nothing", "", 404},
		{"admin.directory.group.readonly", "GET", directory + "groups/all@example.com", "", 200},
		{"admin.directory.group.readonly", "GET", directory + "groups/staff@example.net", "", 200},
		{"admin.directory.group.readonly", "GET", directory + "groups/none@example.com", "", 404},
		{members, "POST", directory + "groups/" + group + "/members", `{"id":"1","role":"MEMBER"}`, 404},
		{members, "POST", directory + "groups/" + group + "/members", `{"id":"1","role":"KING"}`, 400},
		{members, "POST", directory + "groups/" + group + "/members", member, 200},
		{members, "POST", directory + "groups/" + group + "/members", member, 409},
		{members, "PATCH", directory + "groups/" + group + "/members/" + anna, `{"role":"OWNER"}`, 200},
		{members, "DELETE", directory + "groups/" + group + "/members/" + anna, "", 204},
		{members, "DELETE", directory + "groups/" + group + "/members/" + anna, "", 404},
		{members, "GET", directory + "groups/" + group + "/hasMember/" + group, "", 400},
		{roles, "POST", directory + "customer/my_customer/roleassignments", held, 200},
		{roles, "POST", directory + "customer/my_customer/roleassignments", held, 409},
		{roles, "DELETE", directory + "customer/my_customer/roleassignments/1", "", 404},
		{security, "POST", directory + "users/" + anna + "/signOut", "", 204},
		{security, "DELETE", directory + "users/" + anna + "/tokens/none", "", 404},
	} {
		if status, body := askAdmin(t, google, step.scope, step.method, step.path, step.body); status != step.want {
			t.Errorf("%s %s: got %d %v, want %d", step.method, step.path, status, body, step.want)
		}
	}
	if google.Changes() != 5 {
		t.Errorf("got %d changes, want 5", google.Changes())
	}
}

func TestGoogleLies(t *testing.T) {
	google := NewGoogle(GoogleConfig{Faults: Faults{LieEvery: 1}})
	anna := google.AddUser(GoogleUser{Email: "anna@example.com"})
	group := google.AddGroup(GoogleGroup{Email: "staff@example.com"})
	status, body := askAdmin(t, google, "admin.directory.group.member", http.MethodPost, "/admin/directory/v1/groups/"+group+"/members", fmt.Sprintf(`{"id":%q,"role":"MEMBER"}`, anna))
	if status != 200 || body["id"] != anna || len(google.State().Members) != 0 || google.Changes() != 0 {
		t.Errorf("got %d %v and members %v, want success and none", status, body, google.State().Members)
	}
}

func TestGoogleListsDoNotShift(t *testing.T) {
	google := NewGoogle(GoogleConfig{})
	for i := range 7 {
		google.AddUser(GoogleUser{ID: fmt.Sprint(10 + i), Email: fmt.Sprintf("person%d@example.com", i)})
	}
	var ids []string
	path := "/admin/directory/v1/users?customer=my_customer&maxResults=3"
	for next := path; next != ""; {
		status, page := askAdmin(t, google, "admin.directory.user.readonly", http.MethodGet, next, "")
		if status != 200 {
			t.Fatalf("got %d %v", status, page)
		}
		users, _ := page["users"].([]any)
		for _, u := range users {
			fields, _ := u.(map[string]any)
			ids = append(ids, fmt.Sprint(fields["id"]))
		}
		// What goes shifts nothing.
		google.Delete("10")
		next = ""
		if token, more := page["nextPageToken"].(string); more {
			next = path + "&pageToken=" + token
		}
	}
	if strings.Join(ids, " ") != "10 11 12 13 14 15 16" {
		t.Errorf("got users %v, want each once", ids)
	}
}

func TestGoogleEndsMemberships(t *testing.T) {
	google := NewGoogle(GoogleConfig{})
	anna := google.AddUser(GoogleUser{Email: "anna@example.com"})
	group := google.AddGroup(GoogleGroup{Email: "staff@example.com"})
	google.SetMember(GoogleMember{Group: group, Member: anna, Expires: time.Now().Add(-time.Second)})
	if members := google.State().Members; len(members) != 0 {
		t.Errorf("got %v, want the membership ended", members)
	}
}

func TestGooglePushes(t *testing.T) {
	google := NewGoogle(GoogleConfig{})
	var states []string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		states = append(states, r.Header.Get("X-Goog-Channel-ID")+" "+r.Header.Get("X-Goog-Message-Number")+" "+r.Header.Get("X-Goog-Resource-State"))
		if len(states) == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(receiver.Close)
	watch := func(application, id, address string) int {
		status, _ := askAdmin(t, google, "admin.reports.audit.readonly", http.MethodPost, "/admin/reports/v1/activity/users/all/applications/"+application+"/watch",
			fmt.Sprintf(`{"id":%q,"type":"web_hook","address":%q,"token":"invented","payload":true}`, id, address))
		return status
	}
	if got := []int{watch("login", "one", receiver.URL), watch("login", "one", receiver.URL), watch("login", "a b", receiver.URL), watch("login", "two", "http://192.0.2.1/")}; fmt.Sprint(got) != "[200 400 400 400]" {
		t.Errorf("got %v, want the first channel opened, its id used up, and no other", got)
	}
	google.Add("login", GoogleActivity{}.JSON(), GoogleActivity{Number: 1}.JSON())
	google.Add("token", GoogleActivity{Application: "token"}.JSON())
	if err := google.SendPushes(t.Context(), receiver.Client()); err == nil {
		t.Error("a receiver that fails: got no error, want one")
	}
	if err := google.SendPushes(t.Context(), receiver.Client()); err != nil {
		t.Error(err)
	}
	google.EndChannels()
	google.Add("login", GoogleActivity{Number: 2}.JSON())
	if err := google.SendPushes(t.Context(), receiver.Client()); err != nil || strings.Join(states, ", ") != "one 1 sync, one 2 login_success, one 2 login_success, one 3 login_success" {
		t.Errorf("got messages %q, %v, want each until it is taken, and none behind the end", states, err)
	}
}
