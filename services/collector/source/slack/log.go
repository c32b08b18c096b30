// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"time"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// integration is a record of team.integrationLogs: https://docs.slack.dev/reference/methods/team.integrationLogs.
type integration struct {
	ServiceID   event.Scalar `json:"service_id"`
	ServiceType event.Scalar `json:"service_type"`
	AppID       event.Scalar `json:"app_id"`
	AppType     event.Scalar `json:"app_type"`
	UserID      event.Scalar `json:"user_id"`
	UserName    event.Scalar `json:"user_name"`
	Channel     event.Scalar `json:"channel"`
	Date        event.Scalar `json:"date"`
	ChangeType  event.Scalar `json:"change_type"`
	Scope       texts        `json:"scope"`
	Reason      event.Scalar `json:"reason"`
	Resolution  event.Scalar `json:"resolution"`
	FeedChange  event.Scalar `json:"rss_feed_change_type"`
	FeedTitle   event.Scalar `json:"rss_feed_title"`
}

// decodeIntegration turns a record of team.integrationLogs into its event. Such a record has no id: its whole content is
// its key, but for the names of the person and the app, which are shown as they are today. Two acts of one second that
// differ in nothing are one event.
func decodeIntegration(record []byte) ([]*curfewv1.Event, error) {
	var d struct {
		decoding
		integration
	}
	oddities, err := event.Unmarshal(record, &d.integration)
	if err != nil {
		return nil, err
	}
	d.oddities = oddities
	unnamed := []string{"user_name"}
	if first(d.AppID, d.ServiceID).Text != "" {
		unnamed = append(unnamed, "app_type", "service_type")
	}
	app := &curfewv1.App{
		Id: d.text("app_id", first(d.AppID, d.ServiceID)), Name: d.text("app_type", first(d.AppType, d.ServiceType)), Scopes: d.Scope.list,
	}
	d.whole("scope", d.Scope)
	decoded := &curfewv1.Event{
		Id:     event.ID(source, contentKey(integrationLogs, record, unnamed...), 0),
		Source: source,
		Feed:   integrationLogs,
		Action: "integration." + d.text("change_type", d.ChangeType),
		Time:   d.when(field{"date", d.Date}),
		Actor:  d.account("user", "user", d.UserID, d.UserName, event.Scalar{}),
	}
	if key := first(d.AppID, d.ServiceID, d.AppType, d.ServiceType); key.Text != "" {
		decoded.Resource = &curfewv1.Resource{Path: event.Path("app", d.text("app_id", key)), Kind: "app", Name: app.Name}
	}
	if app.Id != "" || app.Name != "" || len(app.Scopes) > 0 {
		decoded.App = app
	}
	if reason := d.text("reason", d.Reason); reason != "" {
		decoded.Outcome = &curfewv1.Outcome{Reason: reason}
	}
	d.change("channel", "", d.Channel.Text)
	d.change("resolution", "", d.Resolution.Text)
	// A feed's address may hold a secret; its title does not.
	d.change("rss_feed."+d.FeedChange.Text, "", d.FeedTitle.Text)
	decoded.Changes = d.changed
	if d.AppID.Text != "" {
		decoded.Echo = echo(decoded, decoded.GetActor().GetId())
	}
	decoded.Oddities = d.oddities
	return []*curfewv1.Event{decoded}, nil
}

// login is a record of team.accessLogs: https://docs.slack.dev/reference/methods/team.accessLogs. It is no event but a
// sum: how often one account came from one address with one client, between the first time and the last.
type login struct {
	UserID    event.Scalar `json:"user_id"`
	Username  event.Scalar `json:"username"`
	DateFirst event.Scalar `json:"date_first"`
	DateLast  event.Scalar `json:"date_last"`
	Count     event.Scalar `json:"count"`
	IP        event.Scalar `json:"ip"`
	UserAgent event.Scalar `json:"user_agent"`
	Country   event.Scalar `json:"country"`
}

// decodeAccess turns a record of team.accessLogs into an event: the newest access that the sum tells of, at the time of
// that access. Its id is "slack:access-<which sum>:<count>:<date_last>". A sum that has grown is so another event, and
// nothing that was seen is seen twice; whoever counts accesses takes, of the events of one sum, the one with the greatest
// count, which stands in the change "count".
func decodeAccess(record []byte) ([]*curfewv1.Event, error) {
	var d struct {
		decoding
		login
	}
	oddities, err := event.Unmarshal(record, &d.login)
	if err != nil {
		return nil, err
	}
	d.oddities = oddities
	sum := event.ContentKey(source, accessLogs, d.UserID.Text, d.IP.Text, d.UserAgent.Text, d.DateFirst.Text)
	if d.UserID.Text == "" {
		sum = contentKey(accessLogs, record)
	}
	count := d.text("count", d.Count)
	decoded := &curfewv1.Event{
		Id:     event.ID(source, "access-"+sum+":"+count+":"+event.Clean(d.DateLast.Text), 0),
		Source: source,
		Feed:   accessLogs,
		Action: "access",
		Time:   d.when(field{"date_last", d.DateLast}, field{"date_first", d.DateFirst}),
		Actor:  d.account("user", "user", d.UserID, d.Username, event.Scalar{}),
		Context: &curfewv1.Context{
			Ip: event.IP(d.IP.Text), UserAgent: d.text("user_agent", d.UserAgent), Country: d.text("country", d.Country),
		},
	}
	if id := decoded.GetActor().GetId(); id != "" {
		decoded.Resource = &curfewv1.Resource{Path: event.Path("user", id), Kind: "user", Name: decoded.GetActor().GetName()}
	}
	if d.IP.Odd || d.IP.Text != "" && decoded.GetContext().GetIp() == "" {
		d.odd("ip: not an address")
	}
	d.change("count", "", count)
	if from := parseTime(d.DateFirst.Text); from != nil {
		d.change("date_first", "", from.AsTime().Format(time.RFC3339))
	}
	decoded.Changes = d.changed
	decoded.Oddities = d.oddities
	return []*curfewv1.Event{decoded}, nil
}
