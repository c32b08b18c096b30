// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// burstSize is how many alerts BenchmarkBurst tells at once.
const burstSize = 1000

// alerts is what reaches Slack and how soon, beside what a peer's notifier brings to the same Slack.
func (s *sheet) alerts(peers string) {
	burst := func(unit string) float64 { return s.median("curfew Burst", unit) }
	behind := func(unit string) float64 { return s.median("curfew CriticalBehind", unit) }
	path := func(unit string) float64 { return s.median("curfew EventToSlack", unit) }
	runs := burst("runs")
	s.say("## Alerts that arrive")
	s.say(`A fake Slack on loopback takes one message a second in a channel, five at once, and answers 429 with Retry-After to what is more. A
burst is %s alerts at once, each of another person, told by three notifiers in processes of their own, up to 45 in a message; one
notifier is killed at a random moment of the first 20 s and comes back, and one post's reply is lost. Ten bursts go on side by
side, and five notifiers with 5,000 low alerts each. An event's time is from being in EVENTS to Slack's own time stamp, with
collector, evaluator and notifier in one process.`, whole(burstSize))
	s.table(
		[]string{"", "measured", "goal"},
		append([]string{"lost, of " + whole(runs*burstSize) + " alerts in " + whole(runs) + " bursts"}, atMost(0).against(burst("lost"), "")...),
		append([]string{"shown twice"}, atMost(0).against(burst("twice"), "")...),
		append([]string{"all of a burst shown, the slowest (median: " + number(burst("s-median")) + " s)"}, atMost(30).against(burst("s-max"), " s")...),
		append([]string{"a critical alert while 5,000 low ones wait, p99 of " + whole(behind("alerts")) + " (p50: " + number(behind("ms-p50")) + " ms)"}, atMost(1000).against(behind("ms-p99"), " ms")...),
		append([]string{"event to Slack at 1,000 events a second, p99 of " + whole(path("alerts")) + " violations (p50: " + number(path("ms-p50")) + " ms)"}, under(1000).against(path("ms-p99"), " ms")...),
	)
	s.say(`The peer is Alertmanager %s in the same run: its own notifier for Slack and its own retrying, a group an alert, to the same fake
without any kill or lost reply. It takes 429 for final. By default a group is flushed again after five minutes (%s), when
an alert that was not sent again is over (%s). Grouped into one message a burst arrives there too, but then nobody can
acknowledge or revoke one of it.`,
		s.version(peers, "github.com/prometheus/alertmanager"), "`group_interval`", "`resolve_timeout`")
	rows := [][]string{{"", "alerts", "shown", "lost"}}
	for _, alerts := range []float64{200, burstSize} {
		peer := func(unit string) string {
			return number(s.median(fmt.Sprintf("bench Alertmanager/%.0f", alerts), unit))
		}
		rows = append(rows, []string{"Alertmanager, nothing fails", whole(alerts), peer("delivered"), peer("lost")})
	}
	rows = append(rows, []string{"Curfew, one of three killed, a reply lost", whole(runs * burstSize), whole(runs*burstSize - burst("lost")), whole(burst("lost"))})
	s.table(rows...)
	s.say(`Measured separately, once, on a like machine with two cores: one Alertmanager killed after it had delivered 200 alerts showed all
200 again when they were sent again; three that nothing happened to showed 41 of 1,000 twice, and with one killed 487 of 500.
falcosidekick answered 200 to each of 200 events, and delivered 5.`)
}
