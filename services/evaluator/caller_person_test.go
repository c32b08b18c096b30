// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Whoever the directory has let go calls no more, from the moment that an inventory shows it.
func TestWhoWasLetGoCannotCall(t *testing.T) {
	account := func(id, email, status string) *curfewv1.Entry {
		e := person(id, email)
		e.GetAccount().Status = status
		return e
	}
	ann, bob := account("00uann", "ann@example.com", "active"), account("00ubob", "bob@corp.example.com", "active")
	const stated = "directory: okta\npeople: [{id: ann, accounts: {okta: [00uann]}}, {id: dan}]\n"
	for _, c := range []struct {
		name, identities, subject string
		shows                     []*curfewv1.Entry
		code                      codes.Code
		want                      string
	}{
		{"active", "directory: okta\n" + callersPeople, "person:ann", []*curfewv1.Entry{ann, bob}, codes.OK, ""},
		{"suspended", "directory: okta\n" + callersPeople, "person:ann", []*curfewv1.Entry{account("00uann", "ann@example.com", "suspended"), bob}, codes.PermissionDenied, "person:ann cannot call: the account in the directory (okta) is suspended"},
		{"deleted", "directory: okta\n" + callersPeople, "person:ann", []*curfewv1.Entry{account("00uann", "ann@example.com", "deleted"), bob}, codes.PermissionDenied, "is gone"},
		{"no longer shown", "directory: okta\n" + callersPeople, "person:ann", []*curfewv1.Entry{bob}, codes.PermissionDenied, "is gone"},
		{"stated, and deleted", stated, "person:ann", []*curfewv1.Entry{account("00uann", "", "deleted"), bob}, codes.PermissionDenied, "is deleted"},
		{"stated, and no longer shown", stated, "person:ann", []*curfewv1.Entry{bob}, codes.PermissionDenied, "is gone"},
		{"with two accounts, one active", "directory: okta\n" + callersPeople, "person:bob", []*curfewv1.Entry{ann, account("00ubob", "bob@corp.example.com", "suspended"), account("00ubo2", "bob@example.com", "active")}, codes.OK, ""},
		{"by the directory alone", "directory: okta\n", "person:00uann", []*curfewv1.Entry{ann}, codes.OK, ""},
		{"by the directory alone, and gone", "directory: okta\n", "person:00uann", []*curfewv1.Entry{bob}, codes.PermissionDenied, "is gone"},
		{"without an account ever", stated, "person:dan", []*curfewv1.Entry{bob}, codes.OK, ""},
		{"no directory is asked", callersPeople, "person:ann", []*curfewv1.Entry{bob}, codes.OK, ""},
		{"a service", "directory: okta\n", "service:ci", []*curfewv1.Entry{bob}, codes.OK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bustest.New(t)
			dir := callers(t, c.identities)
			conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
			okta := &shelf{t: t, bus: b, kind: "people"}
			start := time.Now().Add(-time.Hour)
			okta.read(start, start, ann, bob)
			_, shown := makeToken(t, admin, conn, c.subject)
			list := func() error {
				_, err := curfewv1.NewTokenServiceClient(conn).ListTokens(showing(t, shown), &curfewv1.ListTokensRequest{})
				return err
			}
			said(t, "before", list(), codes.OK, "")
			okta.read(start.Add(time.Minute), start.Add(time.Minute), c.shows...)
			said(t, "after", list(), c.code, c.want)
			_, err := curfewv1.NewTokenServiceClient(conn).CreateToken(admin, &curfewv1.CreateTokenRequest{Subject: c.subject, Duration: durationpb.New(time.Hour)})
			if c.code == codes.OK {
				said(t, "a new token", err, codes.OK, "")
			} else {
				said(t, "a new token", err, codes.InvalidArgument, c.want)
			}
		})
	}
}

// Who was taken out of identities.yaml calls no more, from the moment that the revision without them is in force.
func TestWhoWasTakenOutCannotCall(t *testing.T) {
	b := bustest.New(t)
	dir := callers(t, callersPeople)
	conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	_, shown := makeToken(t, admin, conn, "person:ann")
	_, err := curfewv1.NewPolicyServiceClient(conn).ApplyPolicy(admin, &curfewv1.ApplyPolicyRequest{Reason: "ann left", Files: map[string][]byte{
		"policy.csv": []byte(adminRow + "p, role:anyone, *, *, level:low, *, allow\n"), "identities.yaml": []byte("people: [{id: bob}]\n"),
	}})
	for err == nil { // it comes into force two seconds later
		_, err = curfewv1.NewTokenServiceClient(conn).ListTokens(showing(t, shown), &curfewv1.ListTokensRequest{})
	}
	said(t, "ann", err, codes.PermissionDenied, "person:ann is nobody: the policy's identities.yaml has no such id")
}
