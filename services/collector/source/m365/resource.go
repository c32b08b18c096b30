// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// sharePointFields are those of SharePoint and OneDrive.
type sharePointFields struct {
	ItemType          event.Scalar `json:"ItemType"`
	Site              event.Scalar `json:"Site"`
	SiteURL           event.Scalar `json:"SiteUrl"`
	ListItemID        event.Scalar `json:"ListItemUniqueId"`
	ListID            event.Scalar `json:"ListId"`
	FileName          event.Scalar `json:"SourceFileName"`
	RelativeURL       event.Scalar `json:"SourceRelativeUrl"`
	TargetUserOrGroup event.Scalar `json:"TargetUserOrGroupName"`
	TargetType        event.Scalar `json:"TargetUserOrGroupType"`
	// LinkScope is seen in records; not confirmed.
	LinkScope      event.Scalar `json:"SharingLinkScope"`
	UserSharedWith event.Scalar `json:"UserSharedWith"`
	EventData      event.Scalar `json:"EventData"`
}

// exchangeFields are those of mailboxes.
type exchangeFields struct {
	MailboxGUID   event.Scalar `json:"MailboxGuid"`
	MailboxOwner  event.Scalar `json:"MailboxOwnerUPN"`
	DisplayName   event.Scalar `json:"LogonUserDisplayName"`
	TokenObjectID event.Scalar `json:"TokenObjectId"`
	MessageID     event.Scalar `json:"NetworkMessageId"`
}

// teamsFields are those of Teams.
type teamsFields struct {
	TeamGUID event.Scalar `json:"TeamGuid"`
	// GroupID is the team's id everywhere else; seen in records, not confirmed.
	GroupID     event.Scalar `json:"AADGroupId"`
	TeamName    event.Scalar `json:"TeamName"`
	ChannelGUID event.Scalar `json:"ChannelGuid"`
	ChannelName event.Scalar `json:"ChannelName"`
	ChatID      event.Scalar `json:"ChatThreadId"`
	ChatName    event.Scalar `json:"ChatName"`
	AddOnGUID   event.Scalar `json:"AddOnGuid"`
	AddOnName   event.Scalar `json:"AddOnName"`
	// AzureADAppID is seen in records; not confirmed.
	AzureADAppID event.Scalar `json:"AzureADAppId"`
	Members      []struct {
		UPN  event.Scalar `json:"UPN"`
		Role event.Scalar `json:"Role"`
	} `json:"Members"`
	SettingName event.Scalar `json:"Name"`
	OldValue    text         `json:"OldValue"`
	NewValue    text         `json:"NewValue"`
}

// otherFields are those of the other services.
type otherFields struct {
	// Power BI and Fabric
	ReportID      event.Scalar `json:"ReportId"`
	ReportName    event.Scalar `json:"ReportName"`
	DatasetID     event.Scalar `json:"DatasetId"`
	DatasetName   event.Scalar `json:"DatasetName"`
	DashboardID   event.Scalar `json:"DashboardId"`
	DashboardName event.Scalar `json:"DashboardName"`
	ArtifactID    event.Scalar `json:"ArtifactId"`
	ArtifactName  event.Scalar `json:"ArtifactName"`
	WorkspaceID   event.Scalar `json:"WorkspaceId"`
	WorkspaceName event.Scalar `json:"WorkSpaceName"`

	// Data loss prevention, alerts, eDiscovery, Forms, Dynamics 365
	SharePointMeta *struct {
		UniqueID event.Scalar `json:"UniqueId"`
		FilePath event.Scalar `json:"FilePathUrl"`
		FileName event.Scalar `json:"FileName"`
		Owner    event.Scalar `json:"FileOwner"`
	} `json:"SharePointMetaData"`
	ExchangeMeta *struct {
		MessageID event.Scalar `json:"MessageID"`
		Subject   event.Scalar `json:"Subject"`
		From      event.Scalar `json:"From"`
	} `json:"ExchangeMetaData"`
	AlertID    event.Scalar `json:"AlertId"`
	CaseID     event.Scalar `json:"CaseId"`
	CaseName   event.Scalar `json:"CaseName"`
	FormID     event.Scalar `json:"FormId"`
	FormName   event.Scalar `json:"FormName"`
	EntityID   event.Scalar `json:"EntityId"`
	EntityName event.Scalar `json:"EntityName"`
}

// resource is what was acted on, by whichever of its fields the service fills; nil where it fills none.
func (d *decoding) resource() *curfewv1.Resource {
	switch {
	case d.feed == feedEntra:
		return d.directoryObject()
	case d.SharePointMeta != nil:
		meta := d.SharePointMeta
		r := d.thing("file", cmp.Or(named(meta.FilePath.Text), meta.FileName.Text), meta.UniqueID.Text)
		if r != nil {
			r.Owner = d.clean("FileOwner", named(meta.Owner.Text))
		}
		return r
	case d.ExchangeMeta != nil:
		meta := d.ExchangeMeta
		return d.thing("mail", meta.Subject.Text, meta.MessageID.Text)
	case d.feed == feedSharePoint || d.Site.Text != "" || d.SiteURL.Text != "":
		return d.item()
	case named(d.MailboxGUID.Text) != "" || named(d.MailboxOwner.Text) != "":
		r := d.thing("mailbox", d.MailboxOwner.Text, cmp.Or(named(d.MailboxGUID.Text), d.MailboxOwner.Text))
		r.Owner = r.Name
		return r
	case isCmdlet(d.operation):
		return d.cmdletObject()
	case named(d.ChatID.Text) != "":
		return d.thing("chat", d.ChatName.Text, d.ChatID.Text)
	case named(d.ChannelGUID.Text) != "":
		return d.thing("channel", d.ChannelName.Text, cmp.Or(named(d.GroupID.Text), d.TeamGUID.Text), d.ChannelGUID.Text)
	case named(d.TeamGUID.Text) != "":
		return d.thing("team", d.TeamName.Text, cmp.Or(named(d.GroupID.Text), d.TeamGUID.Text))
	}
	return d.otherObject()
}

// otherObject is the object of the services that have neither files nor mail nor chats.
func (d *decoding) otherObject() *curfewv1.Resource {
	for _, o := range [...]struct{ kind, name, id string }{
		{"report", d.ReportName.Text, d.ReportID.Text},
		{"dashboard", d.DashboardName.Text, d.DashboardID.Text},
		{"dataset", d.DatasetName.Text, d.DatasetID.Text},
		{"artifact", d.ArtifactName.Text, d.ArtifactID.Text},
		{"workspace", d.WorkspaceName.Text, d.WorkspaceID.Text},
		{"mail", "", d.MessageID.Text},
		{"alert", d.SettingName.Text, d.AlertID.Text},
		{"case", d.CaseName.Text, d.CaseID.Text},
		{"form", d.FormName.Text, d.FormID.Text},
		{"app", d.AddOnName.Text, cmp.Or(named(d.AzureADAppID.Text), d.AddOnGUID.Text)},
	} {
		if named(o.id) != "" {
			return d.thing(o.kind, o.name, o.id)
		}
	}
	if named(d.EntityName.Text) != "" {
		return d.thing("record", d.EntityName.Text, d.EntityName.Text, d.EntityID.Text)
	}
	id := named(d.ObjectID.Text)
	if strings.HasPrefix(id, "https://") {
		return d.thing("object", id, urlParts(id)...)
	}
	return d.thing("object", d.SettingName.Text, id)
}

// thing is a resource of a kind; nil where no id is known.
func (n *notes) thing(kind, name string, ids ...string) *curfewv1.Resource {
	known := ids[:0:0]
	for _, id := range ids {
		if id = named(id); id != "" {
			known = append(known, id)
		}
	}
	if len(known) == 0 {
		return nil
	}
	n.clean("ObjectId", known[len(known)-1]) // Names a cut: Path cuts as Clean does.
	return &curfewv1.Resource{Path: event.Path(kind, known...), Kind: kind, Name: n.clean("ObjectId", named(name))}
}

// item is a file, folder, list, page or site. The ids of site and item stay when it is renamed; where a record has none,
// its address stands for it.
func (d *decoding) item() *curfewv1.Resource {
	kind := itemKind(d.ItemType.Text)
	address, site := d.address(), named(d.Site.Text)
	var ids []string
	switch {
	case kind == "site" && site != "":
		ids = []string{site}
	case named(d.ListItemID.Text) != "":
		ids = []string{site, named(d.ListItemID.Text)}
	case kind == "list" && named(d.ListID.Text) != "":
		ids = []string{site, named(d.ListID.Text)}
	case site != "" && address != "":
		ids = append([]string{site}, within(address, d.SiteURL.Text)...)
	case strings.Contains(address, "://"):
		ids = urlParts(address)
	default:
		ids = []string{site, address}
	}
	// The name alone, as people and patterns of classes.yaml know it; where it is, the record says.
	r := d.thing(kind, cmp.Or(named(d.FileName.Text), address), ids...)
	if r != nil {
		r.Visibility = d.visibility()
	}
	return r
}

// address is where an item is, put together where the record does not say it whole.
func (d *decoding) address() string {
	if whole := named(d.ObjectID.Text); whole != "" {
		return whole
	}
	address := named(d.SiteURL.Text)
	for _, part := range [...]string{d.RelativeURL.Text, d.FileName.Text} {
		if part != "" && !strings.HasSuffix(address, "/"+part) {
			address = strings.TrimSuffix(address, "/") + "/" + part
		}
	}
	return address
}

// itemKind is a kind for SharePoint's word:
// https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema#itemtype.
func itemKind(itemType string) string {
	switch strings.ToLower(itemType) {
	case "", "file", "1":
		return "file"
	case "folder", "5":
		return "folder"
	case "web", "site", "6", "7":
		return "site"
	case "tenant", "8":
		return "tenant"
	case "documentlibrary", "9":
		return "library"
	case "page", "11":
		return "page"
	case "list":
		return "list"
	case "listitem":
		return "list_item"
	}
	return "object"
}

// visibility is who can see it by what was done.
func (d *decoding) visibility() string {
	switch {
	case named(d.LinkScope.Text) != "":
		return d.clean("SharingLinkScope", d.LinkScope.Text)
	case strings.HasPrefix(d.operation, "AnonymousLink") && d.operation != "AnonymousLinkRemoved":
		return "Anyone"
	case strings.HasPrefix(d.operation, "CompanyLink") && d.operation != "CompanyLinkRemoved":
		return "Organization"
	}
	return d.clean("TargetUserOrGroupType", named(d.TargetType.Text))
}

// within is the parts of an address below a site's.
func within(address, site string) []string {
	below, found := strings.CutPrefix(address, strings.TrimSuffix(site, "/"))
	if site == "" || !found {
		return urlParts(address)
	}
	return urlParts(below)
}

// urlParts is host and path of an address, part by part.
func urlParts(address string) []string {
	if _, rest, found := strings.Cut(address, "://"); found {
		address = rest
	}
	parts := strings.Split(address, "/")
	for i, part := range parts {
		if plain, err := url.PathUnescape(part); err == nil {
			parts[i] = plain
		}
	}
	return parts
}

// isCmdlet is whether an operation is a PowerShell cmdlet: a verb, a hyphen and a noun.
func isCmdlet(operation string) bool {
	verb, noun, found := strings.Cut(operation, "-")
	return found && isWord(verb) && isWord(strings.TrimRight(noun, "0123456789"))
}

// cmdletObject is what a cmdlet of Exchange or Security & Compliance changed.
func (d *decoding) cmdletObject() *curfewv1.Resource {
	_, noun, _ := strings.Cut(d.operation, "-")
	kind := cmdletKind(noun)
	object := named(d.ObjectID.Text)
	if cut := strings.LastIndexByte(object, '\\'); kind == "mailbox" && cut > 0 {
		object = object[:cut] // behind it stands what within the mailbox
	}
	if cut := strings.LastIndexByte(object, '/'); cut >= 0 {
		object = object[cut+1:] // an Active Directory path: the name is its last part
	}
	identity, mailbox := value(d.Parameters.items, "Identity"), value(d.Parameters.items, "Mailbox")
	if kind == "mailbox" {
		for _, login := range [...]string{mailbox, object, identity} {
			if isLogin(login) || isGUID(login) {
				return d.thing(kind, login, login)
			}
		}
		if object == "" && noun == "InboxRule" {
			object = d.UserID.Text // one's own
		}
	}
	name := cmp.Or(value(d.Parameters.items, "Name"), identity)
	if cut := strings.LastIndexByte(identity, '/'); object == "" && cut >= 0 {
		identity = identity[cut+1:]
	}
	return d.thing(kind, cmp.Or(name, object), cmp.Or(object, mailbox, identity, name))
}

// cmdletKind is the kind of what a cmdlet's noun names.
func cmdletKind(noun string) string {
	switch {
	case strings.Contains(noun, "Mailbox"), strings.HasPrefix(noun, "InboxRule"), noun == "RecipientPermission",
		strings.HasPrefix(noun, "Calendar"), noun == "SweepRule", noun == "MailUser":
		return "mailbox"
	case strings.HasPrefix(noun, "RoleGroup"), strings.HasPrefix(noun, "ManagementRole"), strings.HasPrefix(noun, "ManagementScope"),
		strings.Contains(noun, "CaseAdmin"):
		return "role"
	case strings.Contains(noun, "Group"):
		return "group"
	case strings.HasPrefix(noun, "ComplianceSearch"), strings.HasPrefix(noun, "ComplianceCase"), strings.HasPrefix(noun, "CaseHold"):
		return "case"
	}
	return "setting"
}
