// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// m365Tenant is the tenant's id.
const m365Tenant = "11111111-2222-4333-8444-555555555555"

// M365Config is how a fake Microsoft 365 tenant is set up.
type M365Config struct {
	// ClientID and Secret are the app registration's; empty accepts any.
	ClientID, Secret string
	// Token is the access token handed out; empty makes one that names Permissions as Entra ID does. Without it nothing is
	// answered.
	Token string
	// Permissions are the application permissions that the app has; nil is all of them.
	Permissions []string
	// NoPremium is whether the tenant lacks Entra ID P1, without which there are no sign-in logs, and P2, without which no
	// role ends by itself.
	NoPremium bool
	// Subscribed are the content types that are subscribed to from the start, such as "Audit.SharePoint".
	Subscribed []string
	// Faults go wrong in every request that passed the token check.
	Faults Faults
	// LateEvery is the mean number of added records from one that reaches its log late to the next, 0 for never: a blob
	// with it is listed, or it is in the log of Graph, only after up to LateBy further requests. Every other late blob is
	// created when it is listed; the others were created when their records were added.
	LateEvery, LateBy int
	// RepeatEvery is the mean number of added records from one that comes in two blobs to the next.
	RepeatEvery int
	// ExpireEvery is the mean number of requests for a further page from one that is refused to the next.
	ExpireEvery int
	// BlobRecords is the most records of a blob; 4 if 0.
	BlobRecords int
	// ListPage is the most blobs of a page of their list; 3 if 0.
	ListPage int
	// RetryAfter is what a refusal of Graph for too many requests asks to wait, in whole seconds; it asks nothing if 0.
	RetryAfter time.Duration
	// Now is the tenant's clock; the machine's if nil.
	Now func() time.Time
}

// M365 is a Microsoft 365 tenant: the token endpoint of its app registration, the Management Activity API with its
// subscriptions and content blobs, and Microsoft Graph with the audit and sign-in logs and its directory. All three hosts
// are one here. See https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference
// and https://learn.microsoft.com/graph/api/resources/azure-ad-auditlog-overview. It is safe for concurrent use.
type M365 struct {
	config M365Config
	faults *faults
	token  string
	// Directory is the tenant's people, groups, roles and apps.
	Directory *M365Directory

	mu         sync.Mutex
	rand       *rand.Rand
	subscribed map[string]bool
	blobs      map[string][]*m365Blob
	logs       map[string][]m365Entry
	late       map[int][]func() // by the request that brings it
	requests   int
	generation int
	made       int
}

// NewM365 returns a tenant with empty logs.
func NewM365(config M365Config) *M365 {
	config.BlobRecords, config.ListPage = cmp.Or(config.BlobRecords, 4), cmp.Or(config.ListPage, 3)
	if config.Now == nil {
		config.Now = time.Now
	}
	m := &M365{
		config: config,
		faults: newFaults(config.Faults),
		token:  config.Token,
		rand:   rand.New(rand.NewPCG(config.Faults.Seed, 0x6d333635)),
		blobs:  map[string][]*m365Blob{}, logs: map[string][]m365Entry{},
		subscribed: map[string]bool{}, late: map[int][]func(){},
	}
	if m.token == "" {
		m.token = m.jwt()
	}
	for _, contentType := range config.Subscribed {
		m.subscribed[contentType] = true
	}
	m.Directory = newM365Directory(m)
	return m
}

// Tenant is the tenant's id.
func (m *M365) Tenant() string { return m365Tenant }

// jwt is an access token in Entra ID's form, with the app's permissions in it.
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
func (m *M365) jwt() string {
	permissions := m.config.Permissions
	if permissions == nil {
		permissions = m365Permissions
	}
	part := func(value any) string { return base64.RawURLEncoding.EncodeToString(m365JSON(value)) }
	return part(map[string]any{"typ": "JWT", "alg": "none"}) + "." +
		part(map[string]any{"tid": m365Tenant, "appid": cmp.Or(m.config.ClientID, "invented"), "roles": permissions}) + ".invented"
}

// m365Permissions are the application permissions that anything here asks for.
var m365Permissions = []string{
	"ActivityFeed.Read", "ActivityFeed.ReadDlp", "AuditLog.Read.All", "User.Read.All", "GroupMember.Read.All", "RoleManagement.Read.Directory",
	"Application.Read.All", "Directory.Read.All", "GroupMember.ReadWrite.All", "Group.ReadWrite.All", "RoleManagement.ReadWrite.Directory",
	"DelegatedPermissionGrant.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "User.RevokeSessions.All",
}

// has is whether the app has one of the permissions.
func (m *M365) has(permissions ...string) bool {
	return m.config.Permissions == nil || slices.ContainsFunc(permissions, func(permission string) bool {
		return slices.Contains(m.config.Permissions, permission)
	})
}

// Settle brings in what is late.
func (m *M365) Settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, request := range slices.Sorted(maps.Keys(m.late)) {
		for _, bring := range m.late[request] {
			bring()
		}
	}
	clear(m.late)
}

// Expire makes the vendor refuse every link to a further page that it has handed out.
func (m *M365) Expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation++
}

// Requests is how many requests passed the token check.
func (m *M365) Requests() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests
}

func (m *M365) hit(every int) bool {
	draw := m.rand.Float64()
	return every > 0 && draw*float64(every) < 1
}

// isLate is whether something that is added now is late, and by the request that brings it.
func (m *M365) isLate() (request int, late bool) {
	if !m.hit(m.config.LateEvery) || m.config.LateBy == 0 {
		return 0, false
	}
	return m.requests + 1 + m.rand.IntN(m.config.LateBy), true
}

// arrive counts a request and brings in what is due.
func (m *M365) arrive() {
	m.requests++
	for _, bring := range m.late[m.requests] {
		bring()
	}
	delete(m.late, m.requests)
}

// ServeHTTP answers as Microsoft does.
func (m *M365) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path, isLogin := strings.CutSuffix(r.URL.Path, "/oauth2/v2.0/token"); isLogin {
		m.serveToken(w, r, strings.Trim(path, "/"))
		return
	}
	refuse, limited := m365GraphError, http.StatusTooManyRequests
	feed, isActivity := strings.CutPrefix(r.URL.Path, "/api/v1.0/")
	if isActivity {
		// https://learn.microsoft.com/office/office-365-management-api/troubleshooting-the-office-365-management-activity-api
		refuse, limited = m365ActivityError, http.StatusForbidden
	}
	if r.Header.Get("Authorization") != "Bearer "+m.token {
		refuse(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is missing or invalid.")
		return
	}
	answer := &m365Answer{header: http.Header{}}
	switch wrong := m.faults.next(); wrong {
	case faultRateLimit:
		if seconds := int(m.config.RetryAfter / time.Second); seconds > 0 && !isActivity {
			w.Header().Set("Retry-After", strconv.Itoa(seconds))
		}
		refuse(w, limited, map[bool]string{true: "AF429", false: "TooManyRequests"}[isActivity], "Too many requests. Method=GetBlob, PublisherId="+m365Tenant)
		return
	case faultServerError:
		refuse(w, http.StatusInternalServerError, map[bool]string{true: "AF50000", false: "InternalServerError"}[isActivity], "An internal error occurred. Retry the request.")
		return
	case faultAway:
		goAway()
	case faultDropReply:
		defer func() { dropReply(w, answer.body) }()
	case faultNone:
		defer answer.write(w)
	}
	if isActivity {
		m.serveActivity(answer, r, feed)
		return
	}
	m.serveGraph(answer, r)
}

// m365Answer is an answer before it is sent.
type m365Answer struct {
	status int
	header http.Header
	body   []byte
}

// Header is an http.ResponseWriter's, as WriteHeader and Write are.
func (a *m365Answer) Header() http.Header { return a.header }

// WriteHeader keeps the status.
func (a *m365Answer) WriteHeader(status int) { a.status = status }

// Write keeps the body.
func (a *m365Answer) Write(body []byte) (int, error) {
	a.body = append(a.body, body...)
	return len(body), nil
}

// json makes a value the answer.
func (a *m365Answer) json(status int, value any) {
	a.header.Set("Content-Type", "application/json; charset=utf-8")
	a.status, a.body = status, m365JSON(value)
}

func (a *m365Answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(cmp.Or(a.status, http.StatusOK))
	// The client may have gone; it will ask again.
	_, _ = w.Write(a.body)
}

// serveToken gives a token for a client id and a secret:
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow.
func (m *M365) serveToken(w http.ResponseWriter, r *http.Request, tenant string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	refuse := func(status, number int, code, description string) {
		w.WriteHeader(status)
		// The client may have gone; it will ask again.
		_ = json.NewEncoder(w).Encode(map[string]any{"error": code, "error_description": description, "error_codes": []int{number}})
	}
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.PostForm.Get("grant_type") != "client_credentials" {
		refuse(http.StatusBadRequest, 70003, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.")
		return
	}
	switch form := r.PostForm; {
	case tenant != m365Tenant:
		refuse(http.StatusBadRequest, 90002, "invalid_request", "AADSTS90002: Tenant not found.")
	case m.config.ClientID != "" && form.Get("client_id") != m.config.ClientID:
		refuse(http.StatusBadRequest, 700016, "unauthorized_client", "AADSTS700016: Application was not found in the directory.")
	case m.config.Secret != "" && form.Get("client_secret") != m.config.Secret:
		refuse(http.StatusUnauthorized, 7000215, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
	case !strings.HasSuffix(form.Get("scope"), "/.default"):
		refuse(http.StatusBadRequest, 70011, "invalid_scope", "AADSTS70011: The provided value for the input parameter 'scope' is not valid.")
	default:
		// The client may have gone; it will ask again.
		_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": m.token})
	}
}

// m365ActivityError and m365GraphError answer with an error in the APIs' forms.
func m365ActivityError(w http.ResponseWriter, status int, code, message string) {
	m365Error(w, status, map[string]any{"code": code, "message": message})
}

func m365GraphError(w http.ResponseWriter, status int, code, message string) {
	m365Error(w, status, map[string]any{"code": code, "message": message, "innerError": map[string]any{"request-id": "invented"}})
}

func m365Error(w http.ResponseWriter, status int, told map[string]any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	// The client may have gone; it will ask again.
	_, _ = w.Write(m365JSON(map[string]any{"error": told}))
}
