// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/curfewhq/curfew/internal/state"
	"github.com/curfewhq/curfew/internal/state/statetest"
)

func TestMemory(t *testing.T) {
	statetest.Run(t, time.Second, func(*testing.T) (state.Store, func(time.Duration)) {
		m, now := state.NewMemory(), time.Now()
		m.SetNow(func() time.Time { return now })
		return m, func(d time.Duration) { now = now.Add(d) }
	})
}

func TestMiniredis(t *testing.T) {
	statetest.Run(t, time.Second, func(t *testing.T) (state.Store, func(time.Duration)) {
		server := miniredis.RunT(t)
		return openRedis(t, "redis://"+server.Addr()), server.FastForward
	})
}

// TestRedis runs against the servers that CURFEW_TEST_REDIS names, none on a bare machine; .ci/run starts a real one. It
// empties them.
func TestRedis(t *testing.T) {
	for _, url := range strings.Fields(os.Getenv("CURFEW_TEST_REDIS")) {
		statetest.Run(t, 50*time.Millisecond, func(t *testing.T) (state.Store, func(time.Duration)) {
			options, err := redis.ParseURL(url)
			if err != nil {
				t.Fatal(err)
			}
			client := redis.NewClient(options)
			if err := client.FlushDB(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			return openRedis(t, url), func(d time.Duration) { <-time.After(d) }
		})
	}
}

func openRedis(t *testing.T, url string) state.Store {
	t.Helper()
	store, err := state.OpenRedis(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestAnUnreachableRedisIsOneLine(t *testing.T) {
	_, err := state.OpenRedis(t.Context(), "redis://:hunter2@127.0.0.1:1")
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Fatalf("got %v", err)
	}
	if _, err := state.OpenRedis(t.Context(), "hunter2"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
}
