// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// membershipRole is what is read and written of a MembershipRole. The role MEMBER alone can have an end:
// https://cloud.google.com/identity/docs/how-to/manage-expirations.
type membershipRole struct {
	Name         string `json:"name"`
	ExpiryDetail struct {
		ExpireTime string `json:"expireTime,omitempty"`
	} `json:"expiryDetail,omitzero"`
}

// membership finds the holder's membership in Cloud Identity, which names groups and members by their e-mails: those that
// the ids have now. https://cloud.google.com/identity/docs/reference/rest/v1/groups.memberships/lookup
func (w *work) membership(ctx context.Context) (name string, err error) {
	var found struct {
		Name string `json:"name"`
	}
	query := url.Values{"groupKey.id": {w.group.Email}}
	if err := w.get(ctx, scopeIdentity, address(w.identity, "/v1/groups:lookup")+"?"+query.Encode(), &found); err != nil {
		return "", err
	}
	group, isGroup := strings.CutPrefix(found.Name, "groups/")
	if !isGroup || checkIDs(group, group) != nil {
		return "", errors.New("read answer: no name of a group")
	}
	query = url.Values{"memberKey.id": {w.user.PrimaryEmail}}
	if err := w.get(ctx, scopeIdentity, address(w.identity, "/v1/groups", group)+"/memberships:lookup?"+query.Encode(), &found); err != nil {
		return "", err
	}
	id, isMembership := strings.CutPrefix(found.Name, "groups/"+group+"/memberships/")
	if !isMembership || checkIDs(id, id) != nil {
		return "", errors.New("read answer: no name of a membership")
	}
	return address(w.identity, "/v1/groups", group, "memberships", id), nil
}

// readExpiry reads when Google itself ends the membership, where it is asked to end any. That it could not be read is
// told and no error: it is the second belt.
func (w *work) readExpiry(ctx context.Context) error {
	if !w.Expires("group", w.state.GetLevel()) || w.state.GetPresence() != curfewv1.Presence_PRESENCE_PRESENT || w.user == nil {
		return nil
	}
	name, err := w.membership(ctx)
	var found struct {
		Roles []membershipRole `json:"roles"`
	}
	if err == nil {
		err = w.get(ctx, scopeIdentity, name, &found)
	}
	if err != nil {
		w.endErr = err
		w.tell("when Google ends it could not be read")
		return ctx.Err()
	}
	w.endRead = true
	for _, role := range found.Roles {
		if role.Name == "MEMBER" {
			w.state.ExpiresAt = event.ParseTime(role.ExpiryDetail.ExpireTime)
		}
	}
	return nil
}

// setExpiry makes Google itself end the membership:
// https://cloud.google.com/identity/docs/reference/rest/v1/groups.memberships/modifyMembershipRoles.
func (w *work) setExpiry(ctx context.Context, at *timestamppb.Timestamp) error {
	name, err := w.membership(ctx)
	if err != nil {
		return err
	}
	role := membershipRole{Name: "MEMBER"}
	role.ExpiryDetail.ExpireTime = at.AsTime().UTC().Format(time.RFC3339)
	return w.change(ctx, scopeIdentity, http.MethodPost, name+":modifyMembershipRoles", map[string]any{
		"updateRolesParams": []any{map[string]any{"fieldMask": "expiry_detail.expire_time", "membershipRole": role}},
	})
}
