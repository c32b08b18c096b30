// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Probe says what Open would find, and changes nothing. The error is why Open would not succeed.
func Probe(ctx context.Context, config Config) (found string, err error) {
	if config.URL == "" {
		return probeDir(config.Dir)
	}
	b := &Bus{log: slog.New(slog.DiscardHandler)}
	if err := b.connect(config); err != nil {
		return "", err
	}
	defer b.conn.Close()
	js, err := jetstream.New(b.conn, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		return "", fmt.Errorf("open JetStream: %w", err)
	}
	if _, err := js.AccountInfo(ctx); err != nil {
		return "", fmt.Errorf("ask JetStream: %w; switch it on for this account", err)
	}
	if b.MaxMessage() < minMessage {
		return "", fmt.Errorf("its max_payload is %d bytes; set at least %d, its own default", b.MaxMessage(), minMessage)
	}
	return "NATS " + b.conn.ConnectedServerVersion() + " with JetStream", nil
}

// probeDir looks at the directory of an embedded server.
func probeDir(dir string) (found string, err error) {
	lock, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return "embedded; nothing is stored yet", nil
	}
	if err != nil {
		return "", fmt.Errorf("open data directory: %w", err)
	}
	defer lock.Close() // and with it the lock, if it was taken
	if _, err := readFormat(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return "embedded in the curfew that runs now", nil
	} else if err != nil {
		return "", fmt.Errorf("lock data directory: %w", err)
	}
	return "embedded; no curfew runs on it now", nil
}
