// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// embedded is a NATS server inside this process: no open port, every acknowledged message on disk.
type embedded struct {
	server *server.Server
	lock   *os.File
}

// startEmbedded starts a server over dir. Nats-server takes no lock on its directory and a second one would start on
// it happily, so ours is taken first.
func startEmbedded(dir string) (*embedded, error) {
	if dir == "" {
		return nil, errors.New("start the embedded NATS server: no data directory is set; set data in the configuration")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{lock: lock}
	if err := checkFormat(dir); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	e.server, err = server.NewServer(&server.Options{
		ServerName: "curfew", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Join(dir, "nats"), SyncAlways: true,
		JetStreamMaxMemory: 64 << 20,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded NATS server: %w", err), e.stop())
	}
	e.server.Start()
	// After a crash the server reads every block anew: about a second for each gigabyte.
	if !e.server.ReadyForConnections(10 * time.Minute) {
		return nil, errors.Join(errors.New("start the embedded NATS server: it was not ready within ten minutes"), e.stop())
	}
	return e, nil
}

// lockDir takes the directory for this process. The lock goes with the process, however it ends.
func lockDir(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("lock data directory %s: another curfew process uses it; stop that one or set another data directory", dir), lock.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data directory %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// checkFormat refuses a directory that a newer version wrote, and marks a new one.
func checkFormat(dir string) error {
	_, err := readFormat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return os.WriteFile(filepath.Join(dir, "FORMAT"), []byte(strconv.Itoa(Format)+"\n"), 0o600)
	}
	return err
}

// readFormat is the format of a directory. The error is os.ErrNotExist where it has none yet, or says why it cannot be used.
func readFormat(dir string) (int, error) {
	path := filepath.Join(dir, "FORMAT")
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read data directory's format: %w", err)
	}
	format, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || format < 1 {
		return 0, fmt.Errorf("read %s: %q is no format number; is this a data directory of curfew?", path, content)
	}
	if format > Format {
		return 0, fmt.Errorf("open data directory %s: its format is %d, this version knows up to %d; use the newer curfew that wrote it", dir, format, Format)
	}
	return format, nil
}

// stop ends the server once its files are written, and frees the directory. It may be called twice.
func (e *embedded) stop() error {
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	if e.lock == nil {
		return nil
	}
	err := e.lock.Close()
	e.lock = nil
	return err
}
