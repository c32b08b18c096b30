// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/curfewhq/curfew/internal/fake"
)

// act is one moment of the demo's story.
type act struct {
	says string
	// events is how many decisions come of it, and alerts how many messages in the channel.
	events, alerts int
	happen         happening
}

// happening makes something happen at a fake vendor, at a time, the nth of the story.
type happening func(d *demo, now time.Time, n uint64)

// customers is the act at the customer list that Ann owns.
func customers(act string) fake.GoogleAct {
	return fake.GoogleFileAct(act, "1-customer-export-2026", "Customers 2026", mail("ann"), "shared_internally")
}

func payouts() map[string]any { return fake.M365File("finance", "Payouts 2026.xlsx") }

// morning is how the day begins.
func morning() []act {
	drive := fake.OktaEntity{ID: "0oadrive00000000001", Type: "AppInstance", AlternateID: "Google Workspace", DisplayName: "Google Workspace"}
	return []act{
		{"Ann, who counts, and Sam, who helps customers, sign in.", 2, 0, func(d *demo, now time.Time, n uint64) {
			atOkta("ann", "user.session.start")(d, now, n)
			atOkta("sam", "user.authentication.sso", drive)(d, now, n+100)
		}},
		{"Sam looks a customer up in it. Support may.", 1, 0, atGoogle("sam", "drive", customers("view"))},
		{"Sam downloads the whole customer list. Support may read it, not take it away.", 1, 1, atGoogle("sam", "drive", customers("download"))},
	}
}

// meanwhile is what happens in the shop while Okta is asked whether what was taken is gone.
func meanwhile() []act {
	return []act{
		{"Ann downloads the customer list for her count. Analysts may.", 1, 0, atGoogle("ann", "drive", customers("download"))},
		{"Max writes the newsletter.", 1, 0, atGoogle("max", "drive", fake.GoogleFileAct("edit", "1-newsletter", "Newsletter", mail("max"), "private"))},
		{"Kim opens Slack.", 1, 0, atSlack("kim", "user_login")},
		{"Pat clones the shop's code at GitHub. Engineers may.", 1, 0, atGitHub("pat-linden", "git.clone", "shop")},
		{"Kim looks into the payouts on SharePoint. Finance may.", 1, 0, atM365("kim", "FileAccessed", payouts())},
		{"Max connects the address book that the shop uses. It stands in the policy.", 1, 0, atGoogle("max", "token", fake.GoogleConsent("1076-address-book.apps.example.com", "Address Book", "https://www.googleapis.com/auth/contacts"))},
		{"Pat, the engineer, downloads the payouts.", 1, 1, atM365("pat", "FileDownloaded", payouts())},
		{"Max tries an app that writes mails by itself. It takes his whole mailbox and all his files.", 1, 1, atGoogle("max", "token", fake.GoogleConsent("9921-mail-magic.apps.example.com", "Mail Magic", "https://mail.google.com/", "https://www.googleapis.com/auth/drive"))},
	}
}

// mail is the address of somebody of the shop.
func mail(login string) string { return login + "@linden-lark.example.com" }

func atOkta(login, eventType string, targets ...fake.OktaEntity) happening {
	return func(d *demo, now time.Time, n uint64) {
		person := fake.OktaPerson(login)
		person.AlternateID, person.ID = mail(login), "00u"+login+"0000000000001"
		d.okta.Add(fake.OktaEvent{Seed: 7, Number: n, Type: eventType, Published: now, Actor: person, Targets: targets}.JSON())
	}
}

func atGoogle(login, application string, a fake.GoogleAct) happening {
	return func(d *demo, now time.Time, n uint64) {
		d.google.Add(application, fake.GoogleActivity{
			Seed: 7, Number: n, Application: application, Time: now, Email: mail(login), Acts: []fake.GoogleAct{a},
		}.JSON())
	}
}

func atGitHub(login, action, repo string) happening {
	return func(d *demo, now time.Time, n uint64) {
		d.github.Add(fake.GitHubEvent{Seed: 7, Number: n, Action: action, Time: now, Actor: login, Org: "linden-lark", Repo: repo}.JSON())
	}
}

func atM365(login, operation string, file map[string]any) happening {
	return func(d *demo, now time.Time, n uint64) {
		d.m365.Add("Audit.SharePoint", fake.M365Activity{
			Seed: 7, Number: n, Operation: operation, RecordType: 6, Workload: "SharePoint", Time: now,
			User: fake.NewM365Person(login, "linden-lark.example.com"), Fields: file,
		}.JSON())
	}
}

func atSlack(login, action string) happening {
	return func(d *demo, now time.Time, n uint64) {
		person := fake.SlackPerson(login)
		person.Email = mail(login)
		d.slack.Add(fake.SlackAuditLog, fake.SlackAudit{Seed: 7, Number: n, Action: action, Time: now, Actor: person}.JSON())
	}
}
