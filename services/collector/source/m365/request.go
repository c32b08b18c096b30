// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// endpoint is one of the APIs: each has its own host and wants tokens of its own.
type endpoint struct {
	name   string
	base   *url.URL
	tokens *vendorhttp.Tokens
}

// fetchToken gets a new access token for the API at a host, with all the permissions that an administrator gave the app
// registration. Its error holds no secret.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func (s *Source) fetchToken(ctx context.Context, base *url.URL) (*oauth2.Token, error) {
	secret, err := s.config.ClientSecret.Value()
	if err != nil {
		return nil, err
	}
	app := clientcredentials.Config{
		ClientID: s.config.ClientID, ClientSecret: secret,
		TokenURL:  s.login.JoinPath(s.config.TenantID, "oauth2/v2.0/token").String(),
		Scopes:    []string{base.String() + "/.default"},
		AuthStyle: oauth2.AuthStyleInParams,
	}
	token, err := s.client.OAuth(ctx, app.TokenSource)
	var refused *vendorhttp.TokenRefused
	if errors.As(err, &refused) {
		return nil, tokenRefusal(refused)
	}
	return token, err
}

// tokenRefusal says why there is no token and what to do.
func tokenRefusal(refused *vendorhttp.TokenRefused) error {
	advice := map[string]string{
		"invalid_client":      "client_secret is not valid, or no longer: make one in the Entra admin center at the app registration, under Certificates & secrets",
		"unauthorized_client": "there is no such app registration in the tenant: check client_id and tenant_id",
		"invalid_request":     "check tenant_id and client_id",
		"invalid_resource":    "the app registration has no permission of this API yet: add one, and let an administrator consent",
		"invalid_scope":       "check activity_url and graph_url",
	}[refused.Code]
	if advice == "" {
		return refused
	}
	return fmt.Errorf("%w (%s); %s", refused, refused.Code, advice)
}

// ask asks an API. An access token that is refused is replaced once. The permission is what the request takes, for advice.
// Its error holds no secret.
func (s *Source) ask(ctx context.Context, api *endpoint, permission string, request vendorhttp.Request) (*vendorhttp.Answer, error) {
	request.Scheme = "Bearer"
	for renewed := false; ; renewed = true {
		token, err := api.tokens.Token(ctx)
		if err != nil {
			return nil, err
		}
		request.Secret = token
		answer, err := s.client.Do(ctx, request)
		var refused *vendorhttp.Refused
		switch {
		case err == nil && request.Method == http.MethodGet && !isJSON(answer):
			return nil, errors.New("read page: it is not JSON, by its own word; something else than Microsoft answers there")
		case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && code(err) != codeNoPermission && !renewed:
			// The token may have ended early, or been revoked.
			api.tokens.Forget(token)
		default:
			return answer, s.advise(err, api, permission)
		}
	}
}

// get asks an API for a page.
func (s *Source) get(ctx context.Context, api *endpoint, permission, path string, query url.Values) (*vendorhttp.Answer, error) {
	address := api.base.JoinPath(path)
	address.RawQuery = encode(query)
	return s.ask(ctx, api, permission, vendorhttp.Request{Method: http.MethodGet, Address: address.String()})
}

// encode is a query with spaces as %20: that "+" is read as one is not confirmed for OData.
func encode(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }

func isJSON(answer *vendorhttp.Answer) bool {
	media, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// Error codes of the Management Activity API, AF..., and of Graph:
// https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference#errors,
// https://learn.microsoft.com/graph/errors. AF20024 and what Graph says of permissions and plans are not documented; they
// are seen in reports of users.
const (
	codeThrottled    = "AF429"
	codeNoPermission = "AF10001"
	codeOtherTenant  = "AF20010"
	codeNoTenant     = "AF20011"
	codeNoAudit      = "AF20012"
	codeUnsubscribed = "AF20022"
	codeDisabled     = "AF20023"
	codeSubscribed   = "AF20024"
	codeBadPage      = "AF20031"
	codeNoContent    = "AF20050"
	codeExpired      = "AF20051"
	codeInternal     = "AF50000"
	codeNotPremium   = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
)

// judge says what Microsoft refused, and whether the same request may be granted later: the Management Activity API says
// 403 for too many requests and names it in the body.
// https://learn.microsoft.com/office/office-365-management-api/troubleshooting-the-office-365-management-activity-api
func judge(answer *vendorhttp.Answer) vendorhttp.Verdict {
	var told struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	// Without a body that can be read the status alone has to do.
	_ = json.Unmarshal(answer.Body, &told)
	verdict := vendorhttp.Verdict{Wait: answer.RetryAfter()}
	if told.Error.Code != "" {
		verdict.Reason = answer.Quote(told.Error.Code, 80) + ": " + answer.Quote(told.Error.Message, 300)
	}
	switch answer.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		verdict.Later = true
	case http.StatusForbidden:
		verdict.Later = told.Error.Code == codeThrottled
	case http.StatusInternalServerError:
		verdict.Later = told.Error.Code == codeInternal
	}
	return verdict
}

// code is Microsoft's error code of a refusal; "" where there is none.
func code(err error) string {
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) {
		return ""
	}
	code, _, _ := strings.Cut(refused.Reason, ":")
	return code
}

// advise adds to a refusal what to do about it.
func (s *Source) advise(err error, api *endpoint, permission string) error {
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) {
		return err
	}
	told := code(err)
	switch {
	case told == codeNotPremium:
		return fmt.Errorf("%w; sign-in logs take Entra ID P1 or P2: leave sign_ins out of feeds, audit_azure_active_directory has the sign-ins too", err)
	case slices.Contains([]string{codeOtherTenant, codeNoTenant}, told):
		return fmt.Errorf("%w; check tenant_id", err)
	case told == codeNoAudit || strings.Contains(refused.Reason, "does not exist") && strings.Contains(refused.Reason, "Tenant"):
		return fmt.Errorf("%w; turn on auditing in the Microsoft Purview portal, under Audit", err)
	case told == codeDisabled:
		return fmt.Errorf("%w; an administrator turned the subscription off and has to turn it on again", err)
	case told == codeNoPermission, refused.Status == http.StatusForbidden && told != codeThrottled:
		return fmt.Errorf("%w; give the app registration the application permission %s of %s, and let an administrator consent", err, permission, api.name)
	case refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w; the access token is not accepted: check tenant_id, and that the hosts are of the same cloud", err)
	}
	return err
}
