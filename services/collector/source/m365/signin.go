// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"cmp"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// actor is who acted: whom initiatedBy names, else who signed in, else whom the envelope names.
func (d *graphDecoding) actor() *curfewv1.Actor {
	if by := d.InitiatedBy; by != nil {
		if user := by.User; user != nil {
			if actor := d.person(user.ID.Text, user.Name.Text, user.Display.Text); actor != nil {
				return actor
			}
		}
		if app := by.App; app != nil {
			if actor := d.application(app.AppID.Text, app.PrincipalID.Text, cmp.Or(app.Display.Text, app.PrincipalName.Text)); actor != nil {
				return actor
			}
		}
	}
	if intune := d.IntuneActor; intune != nil {
		if actor := d.person(intune.ObjectID.Text, intune.Name.Text, ""); actor != nil {
			return actor
		}
		if actor := d.application(intune.Application.Text, "", intune.ApplicationName.Text); actor != nil {
			return actor
		}
	}
	if actor := d.person(d.UserID.Text, d.UserName.Text, d.UserDisplay.Text); actor != nil {
		return actor
	}
	if named(d.PrincipalID.Text) != "" || named(d.PrincipalName.Text) != "" {
		return d.application(d.AppID.Text, d.PrincipalID.Text, d.PrincipalName.Text)
	}
	if actor := d.accountConcerned(); actor != nil {
		return actor
	}
	if name := named(string(d.envelope.Identity)); name != "" && name[0] != '{' {
		// A name alone, of a person or of an app.
		actor := &curfewv1.Actor{Id: d.clean("identity", name), Name: d.clean("identity", name)}
		if isLogin(name) {
			actor.Type, actor.Email = curfewv1.ActorType_ACTOR_TYPE_PERSON, actor.Id
		}
		return actor
	}
	return nil
}

// person is the actor of a user; nil where nothing names one.
func (d *graphDecoding) person(id, login, display string) *curfewv1.Actor {
	id, login, display = named(id), named(login), named(display)
	if id == "" && login == "" {
		return nil
	}
	actor := &curfewv1.Actor{
		Type: curfewv1.ActorType_ACTOR_TYPE_PERSON,
		Id:   d.clean("userId", cmp.Or(id, login)),
		Name: d.clean("userDisplayName", display),
	}
	if isLogin(login) {
		actor.Email = d.clean("userPrincipalName", login)
	} else if actor.Name == "" && login != actor.Id {
		actor.Name = d.clean("userPrincipalName", login)
	}
	return actor
}

// application is the actor of an app; nil where nothing names one. Its client id is what every other log knows it by.
func (d *graphDecoding) application(client, principal, name string) *curfewv1.Actor {
	client, principal, name = named(client), named(principal), named(name)
	if client == "" && principal == "" && name == "" {
		return nil
	}
	return &curfewv1.Actor{
		Type: curfewv1.ActorType_ACTOR_TYPE_APP,
		Id:   d.clean("appId", cmp.Or(client, principal, name)),
		Name: d.clean("appDisplayName", name),
	}
}

// initiatingApp is the app that acted, by itself or for a person.
func (d *graphDecoding) initiatingApp() *curfewv1.App {
	if by := d.InitiatedBy; by != nil && by.App != nil {
		app := by.App
		return newApp(
			d.clean("appId", cmp.Or(named(app.AppID.Text), named(app.PrincipalID.Text))),
			d.clean("appDisplayName", cmp.Or(named(app.Display.Text), named(app.PrincipalName.Text))),
		)
	}
	if intune := d.IntuneActor; intune != nil {
		return newApp(d.clean("Application", named(intune.Application.Text)), d.clean("ApplicationName", named(intune.ApplicationName.Text)))
	}
	return nil
}

// readTargets reads what the entry is about, whichever way it says it.
func (d *graphDecoding) readTargets() {
	for i := range d.TargetResources {
		if i == maxParts {
			d.odd("targetResources: more than 1000; the rest stands in the record")
			break
		}
		resource := &d.TargetResources[i]
		if resource.Properties.odd || resource.ID.Odd {
			d.odd("targetResources: not what belongs there")
		}
		d.targets = append(d.targets, target{
			party: party{
				kind: named(resource.Type.Text), id: named(resource.ID.Text), upn: named(resource.Name.Text), name: named(resource.Display.Text),
			},
			properties: resource.Properties.items,
		})
	}
	d.intuneTargets()
}

// auditOutcome is how an act in the directory ended.
func (d *graphDecoding) auditOutcome() *curfewv1.Outcome {
	result := cmp.Or(named(d.Result.Text), named(d.envelope.Result.Text), named(d.envelope.ResultType.Text))
	reason := cmp.Or(named(d.ResultReason.Text), named(d.envelope.ResultText.Text))
	if result == "" && d.IntuneResult.Text == "1" {
		result = "Success"
	}
	outcome := &curfewv1.Outcome{Status: status(result), Reason: d.clean("resultReason", reason)}
	if outcome.Reason == "" && result != "" && !plain(result) {
		outcome.Reason = d.clean("result", result)
	}
	if outcome.Status == curfewv1.OutcomeStatus_OUTCOME_STATUS_UNSPECIFIED && outcome.Reason == "" {
		return nil
	}
	return outcome
}

// signedInTo is the API that a sign-in gives access to, or else the app itself.
func (d *graphDecoding) signedInTo() *curfewv1.Resource {
	if api := d.thing("app", d.ResourceName.Text, cmp.Or(named(d.ResourceID.Text), named(d.ResourceName.Text))); api != nil {
		return api
	}
	return d.thing("app", d.AppName.Text, cmp.Or(named(d.AppID.Text), named(d.AppName.Text)))
}

// signInOutcome is how a sign-in ended: by its error code, of which 0 is none; where it has none, by the envelope's.
// What was interrupted, for a second factor or for consent, gave no access and counts as a failure.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
func (d *graphDecoding) signInOutcome() *curfewv1.Outcome {
	code, reason := named(d.envelope.ResultType.Text), named(d.envelope.ResultText.Text)
	if told := d.Status.value; told != nil && told.ErrorCode.Text != "" {
		code, reason = told.ErrorCode.Text, cmp.Or(named(told.Reason.Text), reason)
	}
	outcome := &curfewv1.Outcome{}
	switch {
	case code == "0" || strings.EqualFold(code, "success"):
		outcome.Status = curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS
	case code == "":
		return nil
	default:
		outcome.Status = curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE
		outcome.Reason = d.clean("status", reason)
		if code = d.clean("status", code); code[0] >= '0' && code[0] <= '9' {
			outcome.Reason = strings.TrimSuffix(code+": "+outcome.Reason, ": ")
		}
	}
	return outcome
}

// secondFactor is whether a sign-in shows that a second factor was given, now or earlier in its session.
func (d *graphDecoding) secondFactor(outcome *curfewv1.Outcome) bool {
	if outcome.GetStatus() != curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS {
		return false
	}
	if d.Requirement.Text == "multiFactorAuthentication" || d.MFA != nil && named(d.MFA.Method.Text) != "" {
		return true
	}
	told := d.Status.value
	return told != nil && (strings.HasPrefix(told.Details.Text, "MFA requirement satisfied") || strings.HasPrefix(told.Details.Text, "MFA completed"))
}
