// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"cmp"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// pair is a change that two parameters tell: what was before and what is after. A pair whose needed parameter is not
// there tells none.
type pair struct {
	field, before, after, needs string
}

var pairs = map[string][]pair{
	"drive": {
		{field: "target_user", after: "target_user"},
		{field: "target_domain", after: "target_domain"},
		{field: "value", before: "old_value", after: "new_value"},
		{field: "visibility", before: "old_visibility", after: "visibility", needs: "old_visibility"},
		{field: "visibility_change", after: "visibility_change"},
		{field: "owner", before: "owner", after: "new_owner", needs: "new_owner"},
		{field: "folder", before: "source_folder_id", after: "destination_folder_id"},
		{field: "target", after: "target"},
		{field: "membership_change_type", after: "membership_change_type"},
		{field: "role", before: "removed_role", after: "added_role"},
		{field: "settings_state", before: "old_settings_state", after: "new_settings_state"},
		{field: "publish_visibility", before: "old_publish_visibility_value", after: "new_publish_visibility_value"},
		{field: "label", after: "label_title"},
	},
	"calendar": {
		{field: "grantee_email", after: "grantee_email"},
		{field: "access_level", after: "access_level"},
		{field: "event_guest", after: "event_guest"},
		{field: "event_title", before: "old_event_title", after: "event_title", needs: "old_event_title"},
	},
	"chat": {
		{field: "target_users", after: "target_users"},
		{field: "target_user_role", after: "target_user_role"},
	},
	"login":         {{field: "email_forwarding_destination_address", after: "email_forwarding_destination_address"}},
	"user_accounts": {{field: "email_forwarding_destination_address", after: "email_forwarding_destination_address"}},
	"data_studio": {
		{field: "target_user_email", after: "TARGET_USER_EMAIL"},
		{field: "value", before: "OLD_VALUE", after: "NEW_VALUE"},
		{field: "visibility", before: "PREVIOUS_VISIBILITY", after: "VISIBILITY", needs: "PREVIOUS_VISIBILITY"},
	},
}

// changes are the values that the act changed, as far as the record says.
func changes(feed, action string, a *act) []*curfewv1.Change {
	if len(a.Parameters) == 0 {
		return nil
	}
	var list []*curfewv1.Change
	add := func(field, before, after string) {
		if before != after {
			list = append(list, &curfewv1.Change{Field: field, Before: before, After: after})
		}
	}
	switch feed {
	case "admin":
		adminChanges(action, a, add)
	case "groups", "groups_enterprise":
		groupChanges(action, a, add)
	default:
		for _, p := range pairs[feed] {
			if p.needs == "" || a.text(p.needs) != "" {
				add(p.field, a.text(p.before), a.text(p.after))
			}
		}
	}
	return list
}

func adminChanges(action string, a *act, add func(field, before, after string)) {
	taken := strings.HasPrefix(action, "REMOVE_") || strings.HasPrefix(action, "UNASSIGN_") || strings.HasPrefix(action, "REVOKE_")
	moved := func(field, value string) {
		if taken {
			add(field, value, "")
			return
		}
		add(field, "", value)
	}
	user := a.text("USER_EMAIL")
	if user != "" && a.text("GROUP_EMAIL") != "" {
		moved("member", user)
	}
	if user != "" {
		moved("role", a.text("ROLE_NAME"))
	}
	moved("privilege", a.text("PRIVILEGE_NAME"))
	add(cmp.Or(a.first("SETTING_NAME", "USER_CUSTOM_FIELD", "SERVICE_NAME"), "value"), a.text("OLD_VALUE"), a.text("NEW_VALUE"))
}

func groupChanges(action string, a *act, add func(field, before, after string)) {
	taken := false
	for _, prefix := range [...]string{"remove_", "revoke_", "ban_", "reject_", "delete_", "unsubscribe_"} {
		taken = taken || strings.HasPrefix(action, prefix)
	}
	moved := func(field, value string) {
		if taken {
			add(field, value, "")
			return
		}
		add(field, "", value)
	}
	if member := a.first("member_id", "user_email"); strings.HasSuffix(action, "_role") || strings.HasSuffix(action, "_expiry") {
		// Whom it is about: the member stays.
		add("member", "", member)
	} else {
		moved("member", member)
	}
	moved("member_role", a.text("member_role"))
	moved("membership_expiry", a.text("membership_expiry"))
	setting := a.first("security_setting", "basic_setting", "identity_setting", "info_setting", "acl_permission",
		"new_members_restrictions_setting", "post_replies_setting", "spam_moderation_setting", "topic_setting", "setting")
	before, after := a.text("old_value"), cmp.Or(a.text("new_value"), a.text("value"))
	if taken && before == "" {
		before, after = after, ""
	}
	add(cmp.Or(setting, "value"), before, after)
}
