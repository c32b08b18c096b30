// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import "time"

// limits are how often what may be called. Its user holds the workspace's lock.
type limits struct {
	options Options
	buckets map[string]*bucket
	windows map[string][]time.Time
}

// bucket has credit for what was not used.
type bucket struct {
	credit time.Duration
	at     time.Time
}

func newLimits(o Options) limits {
	if o.Burst == 0 {
		o.Burst = 5
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.UpdatesPerMinute == 0 {
		o.UpdatesPerMinute = tier3
	}
	return limits{o, map[string]*bucket{}, map[string][]time.Time{}}
}

// take is how long to wait until a method may be called, 0 if it was called now.
func (l *limits) take(method string, tier int, now time.Time) time.Duration {
	if method == "chat.update" {
		tier = l.options.UpdatesPerMinute
	}
	if own, ok := l.options.PerMinute[method]; ok {
		tier = own
	}
	if tier <= 0 {
		return 0
	}
	// What was refused does not count.
	times := l.windows[method]
	for len(times) > 0 && now.Sub(times[0]) >= time.Minute {
		times = times[1:]
	}
	if len(times) >= tier {
		l.windows[method] = times
		return times[len(times)-tier].Add(time.Minute).Sub(now)
	}
	l.windows[method] = append(times, now)
	return 0
}

// takePost is how long to wait until a channel takes a message, 0 if it was taken now.
func (l *limits) takePost(channel string, now time.Time) time.Duration {
	if l.options.Burst < 0 {
		return 0
	}
	full := time.Duration(l.options.Burst) * l.options.Every
	b := l.buckets[channel]
	if b == nil {
		b = &bucket{full, now}
		l.buckets[channel] = b
	}
	if now.After(b.at) {
		b.credit, b.at = min(full, b.credit+now.Sub(b.at)), now
	}
	if b.credit < l.options.Every {
		return l.options.Every - b.credit
	}
	b.credit -= l.options.Every
	return 0
}
