// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"strings"
	"testing"

	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestCatalog(t *testing.T) {
	var named []string
	for feed, names := range map[string]string{feedSharePoint: sharePointNames, feedExchange: exchangeNames, feedGeneral: generalNames} {
		for name := range strings.FieldsSeq(names) {
			named = append(named, feed+"/"+name)
		}
	}
	for name := range strings.SplitSeq(strings.TrimSpace(entraNames), "\n") {
		// The Management Activity API writes a full stop behind them.
		named = append(named, feedDirectory+"/"+name, feedEntra+"/"+name+".")
	}
	sourcetest.Catalog(t, sourcetest.CatalogCase{
		Source: source,
		Actions: map[string]string{
			"audit_azure_active_directory/UserLoggedIn":                                  "login identity.basic",
			"audit_azure_active_directory/UserLoginFailed":                               "login identity.basic",
			"sign_ins/Sign-in activity":                                                  "login identity.basic",
			"sign_ins/Something new":                                                     "login identity.basic",
			"audit_azure_active_directory/Consent to application.":                       "consent app",
			"directory_audits/Consent to application":                                    "consent app",
			"directory_audits/Add delegated permission grant":                            "consent app",
			"audit_azure_active_directory/Add OAuth2PermissionGrant.":                    "consent app",
			"directory_audits/Add app role assignment to service principal":              "consent app",
			"directory_audits/Remove delegated permission grant":                         "administer internal",
			"audit_azure_active_directory/Add app role assignment grant to user.":        "administer admin",
			"directory_audits/Add member to role":                                        "administer admin",
			"audit_azure_active_directory/Add member to role.":                           "administer admin",
			"directory_audits/Add member to role completed (PIM activation)":             "administer admin",
			"directory_audits/Add member to group":                                       "administer admin",
			"directory_audits/Add group":                                                 "administer internal",
			"directory_audits/Update user":                                               "update identity.basic",
			"directory_audits/Update user flow":                                          "administer admin",
			"directory_audits/Change user password":                                      "update identity.basic",
			"directory_audits/Reset user password":                                       "administer admin",
			"directory_audits/User registered security info":                             "update identity.basic",
			"directory_audits/Admin registered security info":                            "administer admin",
			"directory_audits/Disable Strong Authentication":                             "administer admin",
			"directory_audits/Update conditional access policy":                          "administer admin",
			"directory_audits/Add service principal credentials":                         "administer secret",
			"directory_audits/Update application – Certificates and secrets management ": "administer secret",
			"directory_audits/Read BitLocker key":                                        "read secret",
			"directory_audits/Download users - finished (bulk)":                          "export pii.hr",
			"directory_audits/Get tenant details":                                        "read internal",
			"directory_audits/assignDeviceManagementScript DeviceManagementScript":       "administer admin",
			"directory_audits/Authentication Methods Policy Update":                      "administer admin",
			"security_alerts/AnonymousLogin":                                             "read internal",
			"risk_detections/unfamiliarFeatures":                                         "read internal",
			"audit_sharepoint/FileAccessed":                                              "read",
			"audit_sharepoint/FileDownloaded":                                            "export",
			"audit_sharepoint/FileSyncDownloadedFull":                                    "export",
			"audit_sharepoint/FileSomethingNew":                                          "update",
			"audit_sharepoint/SharingSet":                                                "share",
			"audit_sharepoint/AnonymousLinkCreated":                                      "share",
			"audit_sharepoint/AnonymousLinkUsed":                                         "read",
			"audit_sharepoint/SiteCollectionAdminAdded":                                  "administer admin",
			"audit_exchange/MailItemsAccessed":                                           "read content.mail",
			"audit_exchange/Create":                                                      "create content.mail",
			"audit_exchange/New-InboxRule":                                               "administer content.mail",
			"audit_exchange/Set-Mailbox":                                                 "administer admin",
			"audit_exchange/Set-MailboxAutoReplyConfiguration":                           "update identity.basic",
			"audit_exchange/Add-MailboxPermission":                                       "administer admin",
			"audit_exchange/New-SomethingOfTomorrow":                                     "administer admin",
			"audit_exchange/Get-SomethingOfTomorrow":                                     "read internal",
			"audit_general/New-ComplianceSearchAction":                                   "export content.mail",
			"audit_general/SearchExported":                                               "export content.mail",
			"audit_general/Search-UnifiedAuditLog":                                       "search audit",
			"audit_general/MemberAdded":                                                  "share",
			"audit_general/AppInstalled":                                                 "consent content.chat app",
			"audit_general/MessageSent":                                                  "create content.chat",
			"audit_general/TeamsTenantSettingChanged":                                    "administer admin",
			"audit_general/ViewReport":                                                   "read",
			"audit_general/ExportReport":                                                 "export",
			"audit_general/Create":                                                       "create customer",
			"audit_general/CopilotInteraction":                                           "read content.files",
			"audit_general/AlertTriggered":                                               "read internal",
			"audit_general/QuarantineExport":                                             "export content.mail",
			"dlp_all/DlpRuleMatch":                                                       "read",
			"audit_general/nothing_of_microsoft":                                         "",
			"directory_audits/":                                                          "",
		},
		Named: named,
		Scopes: map[string]string{
			"openid": "identity.basic", "User.Read": "identity.basic", "offline_access": "identity.basic", "Mail.Read": "content.mail",
			"Mail.Send": "content.mail", "Mail.ReadWrite.Shared": "content.mail", "MailboxSettings.ReadWrite": "admin",
			"full_access_as_app": "content.mail", "Files.ReadWrite.All": "content.files", "Sites.FullControl.All": "content.files",
			"Chat.Read": "content.chat", "ChatMessage.Read": "content.chat", "Contacts.Read": "pii.contact", "User.Read.All": "pii.hr",
			"User.Export.All": "pii.hr", "User.ReadWrite.All": "admin", "Directory.ReadWrite.All": "admin", "Directory.Read.All": "pii.hr",
			"RoleManagement.ReadWrite.Directory": "admin", "RoleManagement.Read.Directory": "internal", "AppRoleAssignment.ReadWrite.All": "admin",
			"Application.ReadWrite.All": "admin", "Policy.ReadWrite.ConditionalAccess": "admin", "Policy.Read.All": "internal",
			"AuditLog.Read.All": "audit", "ActivityFeed.Read": "audit", "BitlockerKey.Read.All": "secret",
			"DeviceManagementConfiguration.ReadWrite.All": "admin", "DelegatedPermissionGrant.ReadWrite.All": "admin",
			// A scope of an API of the tenant's own says nothing to Curfew.
			"Orders.Read": "",
		},
		Kinds: map[string]string{"file": "content.files", "mailbox": "content.mail", "chat": "content.chat", "user": "identity.basic"},
	})
}

// Operations that Microsoft documents: https://learn.microsoft.com/purview/audit-log-activities and
// https://learn.microsoft.com/entra/identity/monitoring-health/reference-audit-activities.
const (
	sharePointNames = `
FileAccessed FileAccessedExtended ComplianceSettingChanged LockRecord UnlockRecord FileCheckedIn FileCheckedOut FileCopied FileDeleted
FileDeletedFirstStageRecycleBin FileDeletedSecondStageRecycleBin RecordDelete DocumentSensitivityMismatchDetected FileMalwareDetected
FileCheckOutDiscarded FileDownloaded FileModified FileModifiedExtended FileMoved FilePreviewed SearchQueryPerformed FileRecycled
FolderRecycled FileVersionsAllMinorsRecycled FileVersionsAllRecycled FileVersionRecycled FileRenamed FileRestored FileUploaded PageViewed
PageViewedExtended ClientViewSignaled PagePrefetched FolderCopied FolderCreated FolderDeleted FolderModified FolderMoved FolderRenamed
FolderRestored ListCreated ListColumnCreated ListContentTypeCreated ListItemCreated SiteColumnCreated ListDeleted ListItemRecycled
ListRestored ListUpdated ListItemUpdated SiteColumnUpdated PermissionLevelAdded AccessRequestAccepted SharingInvitationAccepted
SharingInvitationBlocked AccessRequestCreated CompanyLinkCreated AnonymousLinkCreated SecureLinkCreated SharingInvitationCreated
SecureLinkDeleted AccessRequestDenied CompanyLinkRemoved AnonymousLinkRemoved SharingSet AccessRequestUpdated AnonymousLinkUpdated
SharingInvitationUpdated AnonymousLinkUsed SharingRevoked CompanyLinkUsed SecureLinkUsed AddedToSecureLink RemovedFromSecureLink
SharingInvitationRevoked ManagedSyncClientAllowed UnmanagedSyncClientBlocked FileSyncDownloadedFull FileSyncDownloadedPartial
FileSyncUploadedFull FileSyncUploadedPartial SiteCollectionAdminAdded AddedToGroup PermissionLevelsInheritanceBroken
SharingInheritanceBroken GroupAdded GroupRemoved WebRequestAccessModified WebMembersCanShareModified PermissionLevelModified
SitePermissionsModified PermissionLevelRemoved SiteCollectionAdminRemoved RemovedFromGroup SiteAdminChangeRequest SharingInheritanceReset
GroupUpdated AllowedDataLocationAdded ExemptUserAgentSet GeoAdminAdded AllowGroupCreationSet SiteGeoMoveCancelled SharingPolicyChanged
DeviceAccessPolicyChanged CustomizeExemptUsers NetworkAccessPolicyChanged SiteGeoMoveCompleted SendToConnectionAdded SiteCollectionCreated
HubSiteOrphanHubDeleted SiteDeleted PreviewModeEnabledSet LegacyWorkflowEnabledSet OfficeOnDemandSet PeopleResultsScopeSet NewsFeedEnabledSet
HubSiteJoined SiteCollectionQuotaModified HubSiteRegistered AllowedDataLocationDeleted GeoAdminDeleted SiteRenamed SiteGeoMoveScheduled
HostSiteSet GeoQuotaAllocated HubSiteUnjoined HubSiteUnregistered SegmentsAdded AccessInvitationCreated AccessInvitationExpired
AdministratorAddedToTermStore AppCatalogCreated AuditPolicyUpdate ContainerTypeCreated CreateSSOApplication eDiscoveryHoldApplied
eDiscoverySearchPerformed FeatureActivated LanguageAddedToTermStore MaxQuotaModified ProjectAccessed ProjectDeleted PWASettingsModified
QuotaWarningEnabledModified ResourceModified SSOGroupCredentialsSet SharedLinkCreated SharedLinkDisabled SitePermanentlyDeleted
SyncGetChanges TenantWideThemeCreated TimesheetSaved UserAddedToGroup UserRemovedFromGroup WebThemeApplied CommentCreated
SiteSensitivityLabelApplied FileSensitivityLabelApplied SensitivityLabelApplied SensitivityLabelUpdated SensitivityLabelRemoved`
	exchangeNames = `
MailItemsAccessed Add-MailboxPermission UpdateCalendarDelegation AddFolderPermissions Copy Create New-InboxRule SoftDelete ApplyRecordLabel
Move MoveToDeletedItems UpdateFolderPermissions Set-InboxRule HardDelete Remove-MailboxPermission RemoveFolderPermissions Send SendAs
SendOnBehalf UpdateInboxRules Update MailboxLogin FolderBind MessageBind RecordDelete Set-TransportRule Add-RoleGroupMember
New-ManagementRoleAssignment Set-AdminAuditLogConfig Enable-Mailbox Disable-TransportRule Install-AdminAuditLogConfig Set-CASMailbox
Set-OrganizationConfig Start-MailboxImportRequest SearchQueryInitiatedExchange`
	generalNames = `
CaseMemberAdded SearchUpdated CaseAdminUpdated CaseUpdated CaseMemberUpdated SearchPermissionUpdated HoldUpdated PreviewItemDownloaded
PreviewItemListed PreviewItemRendered SearchCreated CaseAdminAdded CaseAdded SearchPermissionCreated HoldCreated SearchRemoved CaseAdminRemoved
CaseRemoved SearchPermissionRemoved HoldRemoved SearchExportDownloaded SearchPreviewed SearchResultsPurged RemovedSearchResultsSentToZoom
RemovedSearchExported CaseMemberRemoved RemovedSearchPreviewed SearchReportRemoved SearchResultsSentToZoom SearchStarted SearchExported
SearchReport SearchStopped CaseViewed SearchViewed ViewedSearchExported ViewedSearchPreviewed AddWorkingSetQueryToWorkingSet
AddQueryToWorkingSet AddNonOffice365DataToWorkingSet AddRemediatedData RunAlgo AnnotateDocument LoadComparisonJob BurnJob CreateWorkingSet
CreateWorkingSetSearch CreateTag DeleteWorkingSetSearch DeleteTag DownloadDocument UpdateTag ExportJob UpdateCaseSettings
UpdateWorkingSetSearch PreviewWorkingSetSearch ErrorRemediationJob TagFiles TagJob ViewDocument BotAddedToTeam ChannelAdded ConnectorAdded
MemberAdded TabAdded ChannelSettingChanged TeamsTenantSettingChanged MemberRoleChanged TeamSettingChanged TeamCreated ChannelDeleted
TeamDeleted BotRemovedFromTeam ConnectorRemoved MemberRemoved TabRemoved ConnectorUpdated TabUpdated TeamsSessionStarted AppInstalled
AppUninstalled AppUpgraded MessageSent MessageDeleted ChatCreated MessagesListed MeetingDetail SoftDeleteSettingsUpdated
NetworkConfigurationUpdated ProcessProfileFields SupervisorAdminToggled NetworkSecurityConfigurationUpdated FileCreated GroupCreation
MessageCreated GroupDeletion DataExport CommunityAccessFailure FileAccessFailure MessageAccessFailure FileShared NetworkUserSuspended
UserSuspension FileUpdateDescription FileUpdateName MessageUpdated FileVisited MessageViewed LabelContentExplorerAccessedItem
QuarantineDelete QuarantineExport QuarantinePreview QuarantineRelease QuarantineViewHeader QuarantineReleaseRequest CreateComment
CreateForm EditForm MoveForm DeleteForm ViewForm PreviewForm ExportForm AllowShareFormForCopy DisallowShareFormForCopy AddFormCoauthor
RemoveFormCoauthor ViewRuntimeForm CreateResponse UpdateResponse DeleteAllResponses ViewResponses ViewResponse GetSummaryLink
DeleteSummaryLink UpdatePhishingStatus UpdateUserPhishingStatus ProInvitation UpdateFormSetting UpdateUserSetting ListForms SubmitResponse
AllowAnonymousResponse DisallowAnonymousResponse EnableSpecificResponse DisableSpecificResponse AddSpecificResponder
RemoveSpecificResponder DisableCollaboration EnableWorkOrSchoolCollaboration EnableSameOrgCollaboration EnableSpecificCollaboration
ConnectToExcelWorkbook CollectionCreated MovedFormIntoCollection ApplicableAdaptiveScopeChange NewRetentionComplianceRule NewAdaptiveScope
NewComplianceTag NewRetentionCompliancePolicy RemoveRetentionCompliancePolicy SetRestrictiveRetentionUI SetComplianceTag
UpdatedOrganizationBriefingSettings ApproveDisposal ExtendRetention RelabelItem AddReviewer SupervisionPolicyCreated SupervisionRuleMatch
SupervisoryReviewTag UpdateUsageReportsPrivacySetting DataShareCreated GenerateCopyOfLakeData AccessedOdataLink CanceledQuery
MeetingExclusionCreated DeletedResult DownloadedReport ExecutedQuery UpdatedPrivacySetting UploadedOrgData ViewedExplore AlertTriggered
AlertEntityGenerated AlertUpdated DlpRuleMatch DlpRuleUndo DlpInfo ViewReport ViewDashboard CreateDashboard DeleteReport ExportTile
ShareReport PublishToWebReport PrintReport AnalyzeInExcel UpdatedAdminFeatureSwitch CreateApp InstallApp GenerateEmbedToken EditReport
RefreshDataset TakeOverDataset CreateFlow EditFlow DeleteFlow PutPermissions CreatePowerApp LaunchPowerApp PlanCreated TaskRead
RosterDeleted CopilotInteraction CrmDefaultActivity ExportToExcel StreamInvokeVideoView AirInvestigationData TIMailData TIUrlClickData`
	entraNames = `
Add user
Change user license
Change user password
Delete user
Reset user password
Set force change user password
Set license properties
Update user
Add group
Add member to group
Delete group
Remove member from group
Update group
Add delegation entry
Add service principal
Add service principal credentials
Remove delegation entry
Remove service principal
Remove service principal credentials
Set delegation entry
Add member to role
Remove member from role
Set company contact information
Add domain to company
Add partner to company
Remove domain from company
Set company information
Set domain authentication
Set federation settings on domain
Set password policy
Set DirSyncEnabled flag
Update domain
Verify domain
Verify email verified domain
Create access review
Access review ended
Apply decision
Bulk Approve decisions
Request expired
Approve all requests in business flow
Add provisioning configuration
Process escrow
Synchronization rule action
Enable Desktop Sso
Register connector
Assign Hardware Oath Token
Authentication Strength Policy Update
POST Tenant.CreateBlockedUser
PATCH Tenant.Patch
DELETE Tenant.DeleteCaches
Subscription.CreateProvider
DSR Export: MFA.PostgreSQL.blocked_users
Admin deleted security info
User started password change
Dismiss recommendation
Fraud reported - no action taken
Suspicious activity reported
Redeem extern user invite
Add V2 application permissions
Get V2 applications
Retrieve V2 application service principals
A self-service sign-up request was completed
An API was called as part of a user flow
Exchange token
Issue an access token to the application
Make phone call to verify phone number
Validate local account credentials
verify one time password
Check whether the resource name is available
Generate key
Initialize tenant
Move resources
Upload secret into policy key
Validate move resources
Add named location
Delete Conditional Access policy
Update security defaults
Add administrative unit
Hard Delete administrative unit
Restore administrative unit
Cancel application update with safe rollout
Complete application update after safe rollout
Restore consent
Unset verified publisher
Migrated partner cross-tenant access settings to the scalable model
Reset the cross-tenant access default setting
Add registered owner to device
Device no longer compliant
Demote partner
Directory deleted
Get cross-cloud verification code for domain
Promote company to partner
Schedule Add sharedEmailDomain
Finish applying group based license to user
Grant contextual consent to application
Trigger group license recalculation
Approval approved
Request canceled
Tenant joining MultiTenantOrg tenant
Add EligibleRoleAssignment to RoleDefinition
Convert federated user to managed
Create application password for user
Disable account
Update StsRefreshTokenValidFrom Timestamp
pre-create device
Reveal local administrator password
Unregister device
Read BitLocker key
Delete FIDO2 security key(s)
Administrator directly assigns user to access package
Approve access package assignment request
Auto approve access package assignment request
Entitlement Management creates access package assignment request for user
Execute custom extension
Extend access package assignment
Failed access package assignment request
Fulfill access package resource assignment
Partially fulfill access package assignment request
Ready to fulfill access package assignment request
User requests access package assignment
Onboarding Process Started
Update Forwarding Policy
ConfirmAccountCompromised
DismissUser
Invite external user
Email not sent, user unsubscribed
Viral user creation
On-demand workflow execution completed
User Password Registration
Add eligible member to role in PIM completed (permanent)
Approve request - direct role assignment
PIM policy removed
Role definition created
Offboarded resource from PIM
Process role removal request
Resource updated
Deactivate PIM alert
Resolve PIM alert
Triggered PIM alert
Approval_Get
Autorenew group
Approve a pending request to join a group
Features_GetFeaturesAsync
Group_AddMember
GroupsODataV4_Get
LcmPolicy_RenewGroup
Renew group
Request to join a group
Settings_GetSettingsAsync
Updated MyApps feature value
Blocked from self-service password reset
Reset password (by admin)
Security info saved for self-service password reset
Unlock user account (self-service)
Accept Terms Of Use
Publish Terms Of Use
Process POST /authorities/:issuerId/didInfo/signingKeys/rotate request
Revoke credential
Rotate signing key
Tenant onboarding`
)
