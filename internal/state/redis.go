// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// prefix is in front of every key, with the one hash tag that keeps a script's keys on one node of a cluster.
const prefix = "{curfew}:"

// Redis is derived state shared by many processes. Scripts go by EVALSHA, so that Redis 6 and later and its forks serve.
type Redis struct{ client redis.UniversalClient }

// OpenRedis connects to a URL such as "redis://127.0.0.1:6379/0" (https://pkg.go.dev/github.com/redis/go-redis/v9#ParseURL).
// An error means that the server did not answer; it holds no password.
func OpenRedis(ctx context.Context, url string) (*Redis, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("read redis.url: it is no URL of the form redis://HOST:PORT/DB")
	}
	options.ContextTimeoutEnabled = true // a caller that waits no longer is not kept waiting
	r := &Redis{client: redis.NewClient(options)}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := r.Ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to Redis at %s: %w; check that the server runs and that redis.url is right", options.Addr, err), r.Close())
	}
	return r, nil
}

// Add notes a member of a set: a key for each member, so that each ends by itself.
func (r *Redis) Add(ctx context.Context, set, member string, ttl time.Duration) (bool, error) {
	key := fmt.Sprintf("%sset:%d:%s:%s", prefix, len(set), set, member)
	was, err := r.client.SetArgs(ctx, key, "1", redis.SetArgs{TTL: max(ttl, time.Millisecond), Get: true}).Result()
	if errors.Is(err, redis.Nil) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("add to set in Redis: %w", err)
	}
	return was == "", nil
}

// score is a time as Redis orders it: whole microseconds, which a double holds exactly until the year 2255.
func score(t time.Time) float64 { return float64(t.UnixMicro()) }

// Note puts a member into a window.
func (r *Redis) Note(ctx context.Context, window, member string, at time.Time, keep time.Duration) error {
	key := prefix + "window:" + window
	if err := noteScript.Run(ctx, r.client, []string{key}, at.UnixMicro(), member, keep.Microseconds()).Err(); err != nil {
		return fmt.Errorf("note in window in Redis: %w", err)
	}
	return nil
}

// Count returns how many members of a window happened in [from, until).
func (r *Redis) Count(ctx context.Context, window string, from, until time.Time) (int, error) {
	count, err := r.client.ZCount(ctx, prefix+"window:"+window, fmt.Sprint(from.UnixMicro()), fmt.Sprintf("(%d", until.UnixMicro())).Result()
	if err != nil {
		return 0, fmt.Errorf("count window in Redis: %w", err)
	}
	return int(count), nil
}

// Take takes a token from a bucket, by the server's clock.
func (r *Redis) Take(ctx context.Context, bucket string, burst int, interval time.Duration) (time.Duration, error) {
	wait, err := takeScript.Run(ctx, r.client, []string{prefix + "bucket:" + bucket}, burst, interval.Microseconds()).Int64()
	if err != nil {
		return 0, fmt.Errorf("take token in Redis: %w", err)
	}
	return time.Duration(wait) * time.Microsecond, nil
}

// Schedule sets when an item is due.
func (r *Redis) Schedule(ctx context.Context, index, item string, due time.Time) error {
	if err := r.client.ZAdd(ctx, prefix+"due:"+index, redis.Z{Score: score(due), Member: item}).Err(); err != nil {
		return fmt.Errorf("schedule in Redis: %w", err)
	}
	return nil
}

// chunk is how many items go to the server in one command: more would keep others waiting.
const chunk = 1000

// ScheduleAll sets when items are due.
func (r *Redis) ScheduleAll(ctx context.Context, index string, due map[string]time.Time) error {
	key := prefix + "due:" + index
	set, gone := make([]redis.Z, 0, len(due)), make([]any, 0)
	for item, at := range due {
		if at.IsZero() {
			gone = append(gone, item)
			continue
		}
		set = append(set, redis.Z{Score: score(at), Member: item})
	}
	for some := range slices.Chunk(set, chunk) {
		if err := r.client.ZAdd(ctx, key, some...).Err(); err != nil {
			return fmt.Errorf("schedule in Redis: %w", err)
		}
	}
	for some := range slices.Chunk(gone, chunk) {
		if err := r.client.ZRem(ctx, key, some...).Err(); err != nil {
			return fmt.Errorf("unschedule in Redis: %w", err)
		}
	}
	return nil
}

// Unschedule takes an item from an index.
func (r *Redis) Unschedule(ctx context.Context, index, item string) error {
	if err := r.client.ZRem(ctx, prefix+"due:"+index, item).Err(); err != nil {
		return fmt.Errorf("unschedule in Redis: %w", err)
	}
	return nil
}

// Claim returns items that are due.
func (r *Redis) Claim(ctx context.Context, index string, now time.Time, hold time.Duration, limit int) ([]string, error) {
	items, err := claimScript.Run(ctx, r.client, []string{prefix + "due:" + index}, now.UnixMicro(), now.Add(hold).UnixMicro(), limit).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("claim due items in Redis: %w", err)
	}
	return items, nil
}

// Next is when the first item of an index is due.
func (r *Redis) Next(ctx context.Context, index string) (time.Time, bool, error) {
	first, err := r.client.ZRangeWithScores(ctx, prefix+"due:"+index, 0, 0).Result()
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read next due item in Redis: %w", err)
	}
	if len(first) == 0 {
		return time.Time{}, false, nil
	}
	return time.UnixMicro(int64(first[0].Score)), true, nil
}

// Ready says whether the server answers.
func (r *Redis) Ready(ctx context.Context) error { return r.client.Ping(ctx).Err() }

// Close ends the connections.
func (r *Redis) Close() error { return r.client.Close() }

var (
	noteScript = redis.NewScript(`
redis.call('ZADD', KEYS[1], 'GT', ARGV[1], ARGV[2])
local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', tonumber(newest[2]) - tonumber(ARGV[3])))
return 1`)

	takeScript = redis.NewScript(`
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local interval = tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = full + interval - now - tonumber(ARGV[1]) * interval
if wait > 0 then return math.ceil(wait) end
full = full + interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
return 0`)

	claimScript = redis.NewScript(`
local items = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, item in ipairs(items) do redis.call('ZADD', KEYS[1], ARGV[2], item) end
return items`)
)
