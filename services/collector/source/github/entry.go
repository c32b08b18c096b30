// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"encoding/json"

	"github.com/curfewhq/curfew/internal/event"
)

// entry is what is read of an audit log entry. Which fields an action has:
// https://docs.github.com/en/enterprise-cloud@latest/admin/monitoring-activity-in-your-enterprise/reviewing-audit-logs-for-your-enterprise/audit-log-events-for-your-enterprise.
type entry struct {
	DocumentID event.Scalar `json:"_document_id"`
	Timestamp  event.Scalar `json:"@timestamp"`
	CreatedAt  event.Scalar `json:"created_at"`
	Action     event.Scalar `json:"action"`

	Actor        event.Scalar `json:"actor"`
	ActorID      event.Scalar `json:"actor_id"`
	ActorIP      event.Scalar `json:"actor_ip"`
	ActorIsBot   event.Scalar `json:"actor_is_bot"`
	ActorIsAgent event.Scalar `json:"actor_is_agent"`
	Location     struct {
		CountryCode event.Scalar `json:"country_code"`
		CountryName event.Scalar `json:"country_name"`
		IP          event.Scalar `json:"ip"`
	} `json:"actor_location"`
	NameID    event.Scalar `json:"external_identity_nameid"`
	UserAgent event.Scalar `json:"user_agent"`

	Org        first        `json:"org"`
	Repo       event.Scalar `json:"repo"`
	Repository event.Scalar `json:"repository"`
	Team       event.Scalar `json:"team"`
	TeamID     event.Scalar `json:"team_id"`
	User       event.Scalar `json:"user"`
	UserID     event.Scalar `json:"user_id"`
	Business   event.Scalar `json:"business"`
	Name       event.Scalar `json:"name"`

	Visibility       event.Scalar `json:"visibility"`
	PublicRepo       event.Scalar `json:"public_repo"`
	RepositoryPublic event.Scalar `json:"repository_public"`
	StatusCode       event.Scalar `json:"status_code"`

	apps
	values

	// Data holds the fields of some events, in older logs of most.
	Data json.RawMessage `json:"data"`
}

// first is a name, the first one where GitHub writes a list of them, as it does of organisations now and then:
// https://github.com/google/go-github, AuditEntry.
type first struct {
	event.Scalar
	several bool
}

// UnmarshalJSON never fails.
func (f *first) UnmarshalJSON(value []byte) error {
	if value[0] != '[' {
		return f.Scalar.UnmarshalJSON(value)
	}
	var names []event.Scalar
	// What is of a wrong type stays empty.
	_ = json.Unmarshal(value, &names)
	if f.Odd = len(names) == 0 || names[0].Odd; !f.Odd {
		f.Scalar, f.several = names[0], len(names) > 1
	}
	return nil
}

// apps are the fields that name an application or a token.
type apps struct {
	Integration        event.Scalar `json:"integration"`
	ApplicationClient  event.Scalar `json:"application_client_id"`
	InstallationID     event.Scalar `json:"installation_id"`
	OAuthApplicationID event.Scalar `json:"oauth_application_id"`
	OAuthName          event.Scalar `json:"oauth_application_name"`
	OAuthApplication   event.Scalar `json:"oauth_application"`
	ApplicationName    event.Scalar `json:"application_name"`
	ProgrammaticID     event.Scalar `json:"user_programmatic_access_id"`
	ProgrammaticName   event.Scalar `json:"user_programmatic_access_name"`
	TokenID            event.Scalar `json:"token_id"`
	HashedToken        event.Scalar `json:"hashed_token"`
	TokenScopes        scopes       `json:"token_scopes"`
	Scopes             scopes       `json:"scopes"`
	Permissions        scopes       `json:"permissions"`
}

// values are the fields that say what was before and what is after.
type values struct {
	PreviousVisibility event.Scalar `json:"previous_visibility"`
	Permission         event.Scalar `json:"permission"`
	OldPermission      event.Scalar `json:"old_permission"`
	OldRepoPermission  event.Scalar `json:"old_repo_permission"`
	NewRepoPermission  event.Scalar `json:"new_repo_permission"`
	OldRepoRole        event.Scalar `json:"old_repo_base_role"`
	NewRepoRole        event.Scalar `json:"new_repo_base_role"`
	Role               event.Scalar `json:"organization_role_name"`
	RoleID             event.Scalar `json:"organization_role_id"`
	OldName            event.Scalar `json:"old_name"`
	OldUser            event.Scalar `json:"old_user"`
	OldValue           event.Scalar `json:"old_value"`
	NewValue           event.Scalar `json:"new_value"`
	OldEnforcement     event.Scalar `json:"ruleset_old_enforcement"`
	Enforcement        event.Scalar `json:"ruleset_enforcement"`
	Key                event.Scalar `json:"key"`
	Title              event.Scalar `json:"title"`
	Branch             event.Scalar `json:"branch"`
	Config             struct {
		URL event.Scalar `json:"url"`
	} `json:"config"`
}
