// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"encoding/json"

	"github.com/curfewhq/curfew/internal/event"
)

// subjects are the things that payloads of one type each are about.
type subjects struct {
	Alert           *thing  `json:"alert"`
	CheckRun        *thing  `json:"check_run"`
	CheckSuite      *thing  `json:"check_suite"`
	Comment         *remark `json:"comment"`
	Deployment      *thing  `json:"deployment"`
	DeploymentState *thing  `json:"deployment_status"`
	Discussion      *thing  `json:"discussion"`
	Issue           *thing  `json:"issue"`
	Milestone       *thing  `json:"milestone"`
	PullRequest     *thing  `json:"pull_request"`
	Release         *thing  `json:"release"`
	Review          *thing  `json:"review"`
	Advisory        *thing  `json:"security_advisory"`
	OwnAdvisory     *thing  `json:"repository_advisory"`
	Ruleset         *thing  `json:"repository_ruleset"`
	Purchase        *thing  `json:"marketplace_purchase"`
	Sponsorship     *thing  `json:"sponsorship"`
	Exemption       *thing  `json:"exemption_request"`
	WorkflowJob     *thing  `json:"workflow_job"`
	WorkflowRun     *thing  `json:"workflow_run"`
	// CreatedAt is of a status, CompletedAt of a scan for secrets, StarredAt of a star.
	CreatedAt   event.Scalar `json:"created_at"`
	CompletedAt event.Scalar `json:"completed_at"`
	StarredAt   marked       `json:"starred_at"`
}

// thing is what is read of any of them.
type thing struct {
	Number      event.Scalar `json:"number"`
	Name        event.Scalar `json:"name"`
	TagName     event.Scalar `json:"tag_name"`
	State       event.Scalar `json:"state"`
	Status      event.Scalar `json:"status"`
	Conclusion  event.Scalar `json:"conclusion"`
	Enforcement event.Scalar `json:"enforcement"`
	Resolution  event.Scalar `json:"resolution"`
	SecretType  event.Scalar `json:"secret_type"`
	RequestType event.Scalar `json:"request_type"`
	Tool        there        `json:"tool"`
	Dependency  there        `json:"dependency"`
	Advisory    there        `json:"security_advisory"`
	Package     there        `json:"affected_package_name"`
	Account     account      `json:"account"`
	Sponsorable account      `json:"sponsorable"`

	CreatedAt       event.Scalar `json:"created_at"`
	ClosedAt        event.Scalar `json:"closed_at"`
	SubmittedAt     event.Scalar `json:"submitted_at"`
	PublishedAt     event.Scalar `json:"published_at"`
	StartedAt       event.Scalar `json:"started_at"`
	CompletedAt     event.Scalar `json:"completed_at"`
	DismissedAt     event.Scalar `json:"dismissed_at"`
	AutoDismissedAt event.Scalar `json:"auto_dismissed_at"`
	FixedAt         event.Scalar `json:"fixed_at"`
	ResolvedAt      event.Scalar `json:"resolved_at"`
	AnsweredAt      event.Scalar `json:"answer_chosen_at"`
}

// remark is a comment, which reviews of deployments have as a text.
type remark struct{ thing }

// UnmarshalJSON never fails.
func (r *remark) UnmarshalJSON(value []byte) error {
	if value[0] == '{' {
		// What is of a wrong type stays empty.
		_ = json.Unmarshal(value, &r.thing)
	}
	return nil
}

// marks are the fields that tell types apart by being there.
type marks struct {
	Answer           there `json:"answer"`
	Blocked          there `json:"blocked_issue"`
	Blocking         there `json:"blocking_issue"`
	Build            there `json:"build"`
	CacheLocation    there `json:"cache_location"`
	CallbackURL      there `json:"deployment_callback_url"`
	ClientPayload    there `json:"client_payload"`
	CommitOID        there `json:"commit_oid"`
	Commits          there `json:"commits"`
	ContentReference there `json:"content_reference"`
	Context          there `json:"context"`
	Definition       there `json:"definition"`
	HeadCommit       there `json:"head_commit"`
	HookID           there `json:"hook_id"`
	Inputs           there `json:"inputs"`
	Label            there `json:"label"`
	Location         there `json:"location"`
	MasterBranch     there `json:"master_branch"`
	MergeGroup       there `json:"merge_group"`
	NewValues        there `json:"new_property_values"`
	Package          there `json:"package"`
	Pages            there `json:"pages"`
	ParentIssue      there `json:"parent_issue"`
	Project          there `json:"project"`
	ProjectCard      there `json:"project_card"`
	ProjectColumn    there `json:"project_column"`
	ProjectsV2       there `json:"projects_v2"`
	ProjectsV2Item   there `json:"projects_v2_item"`
	ProjectsV2State  there `json:"projects_v2_status_update"`
	RegistryPackage  there `json:"registry_package"`
	RelatedIssue     there `json:"related_issue"`
	SecretTypes      there `json:"secret_types"`
	SHA              there `json:"sha"`
	Since            there `json:"since"`
	Status           there `json:"status"`
	Stored           there `json:"payload"`
	SubIssue         there `json:"sub_issue"`
	TargetType       there `json:"target_type"`
	Thread           there `json:"thread"`
	Workflow         there `json:"workflow"`
	Zen              there `json:"zen"`
}

// there is whether a field has a value.
type there bool

// UnmarshalJSON never fails.
func (t *there) UnmarshalJSON(value []byte) error {
	*t = value[0] != 'n'
	return nil
}

// marked is a text and whether its field is there, be it null.
type marked struct {
	event.Scalar
	there bool
}

// UnmarshalJSON never fails.
func (m *marked) UnmarshalJSON(value []byte) error {
	m.there = true
	return m.Scalar.UnmarshalJSON(value)
}
