// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var (
	anna = fake.NewM365Person("anna.berg", "example.com")
	ben  = fake.NewM365Person("ben.okafor", "example.com")
	cleo = fake.NewM365Person("cleo.lang", "example.com")

	payments = fake.M365ID("group", "Payments")
	refunds  = fake.M365ID("group", "Refunds")
	inner    = fake.M365ID("group", "Payments leads")
	reader   = fake.M365ID("role", "Reports Reader")
	helper   = fake.M365ID("role", "Helpdesk Administrator")
	unit     = "/administrativeUnits/" + fake.M365ID("unit", "Lund")
	merge    = fake.M365ID("principal", "Mail merge")
	payroll  = fake.M365ID("principal", "Payroll")
	graph    = fake.M365ID("principal", "Microsoft Graph")
	mail     = fake.M365ID("app role", "Mail.Read")
)

// registry is a fake tenant at which privileges are held.
type registry struct {
	*fake.M365
	*fake.M365Directory
}

func newRegistry(seed uint64, setup fake.M365Config) *registry {
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 12, ServerErrorEvery: 14, DropReplyEvery: 10, LieEvery: 4, AwayAfter: 30, AwayFor: 4}
	}
	tenant := fake.NewM365(setup)
	r := &registry{tenant, tenant.Directory}
	for _, person := range []fake.M365Person{anna, ben, cleo} {
		r.Put(fake.M365User{M365Person: person})
	}
	r.Put(
		fake.M365Group{ID: payments, Name: "Payments"}, fake.M365Group{ID: refunds, Name: "Refunds", Team: true}, fake.M365Group{ID: inner, Name: "Payments leads"},
		fake.M365Role{ID: reader, Name: "Reports Reader"}, fake.M365Role{ID: helper, Name: "Helpdesk Administrator"},
		fake.M365Principal{ID: merge, AppID: fake.M365ID("app", "Mail merge"), Name: "Mail merge"},
		fake.M365Principal{ID: payroll, AppID: fake.M365ID("app", "Payroll"), Name: "Payroll"},
		fake.M365Principal{ID: graph, AppID: fake.M365ID("app", "Microsoft Graph"), Name: "Microsoft Graph", Owner: microsoft, Roles: map[string]string{mail: "Mail.Read"}},
	)
	// A team has an owner all the time.
	r.Own(refunds, merge)
	return r
}

func (r *registry) relation(p *curfewv1.Privilege) []string {
	if p.GetLevel() == "owner" {
		return r.Snapshot().Owners[p.GetResource()]
	}
	return r.Snapshot().Members[p.GetResource()]
}

// holding is the id of what the holder has; "" where they have nothing.
func (r *registry) holding(p *curfewv1.Privilege) (id, level string) {
	s := r.Snapshot()
	switch p.GetKind() {
	case "directory_role":
		for _, a := range s.Assignments {
			if a.Holder == p.GetHolder() && a.Role == p.GetResource() && strings.TrimSuffix(a.Scope, "/") == p.GetScope() && !a.Eligible {
				return a.ID, ""
			}
		}
	case "delegated_grant":
		for _, g := range s.Grants {
			if g.Client == p.GetHolder() && g.Resource == p.GetResource() && g.Principal == p.GetScope() {
				return g.ID, g.Scope
			}
		}
	case "app_role":
		for _, a := range s.AppRoles {
			if a.Holder == p.GetHolder() && a.Resource+"/"+a.Role == p.GetResource() {
				return a.ID, ""
			}
		}
	}
	return "", ""
}

func (r *registry) Holds(p *curfewv1.Privilege) (string, bool) {
	if p.GetKind() == "group" {
		return p.GetLevel(), slices.Contains(r.relation(p), p.GetHolder())
	}
	id, level := r.holding(p)
	return level, id != ""
}

func (r *registry) Hold(p *curfewv1.Privilege, level string, held bool) {
	if p.GetKind() == "group" {
		switch owner := p.GetLevel() == "owner"; {
		case owner && held:
			r.Own(p.GetResource(), p.GetHolder())
		case owner:
			r.Disown(p.GetResource(), p.GetHolder())
		case held:
			r.Join(p.GetResource(), p.GetHolder())
		default:
			r.Leave(p.GetResource(), p.GetHolder())
		}
		return
	}
	id, _ := r.holding(p)
	r.Delete(id)
	if !held {
		return
	}
	switch p.GetKind() {
	case "directory_role":
		r.Put(fake.M365RoleAssignment{Role: p.GetResource(), Holder: p.GetHolder(), Scope: p.GetScope()})
	case "delegated_grant":
		r.Put(fake.M365Grant{Client: p.GetHolder(), Resource: p.GetResource(), Principal: p.GetScope(), Scope: level})
	case "app_role":
		resource, role, _ := strings.Cut(p.GetResource(), "/")
		r.Put(fake.M365AppRole{Holder: p.GetHolder(), Resource: resource, Role: role})
	}
}

func (r *registry) Remove(holder string) { r.Delete(holder) }
