// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// elapsed is CLOCK_BOOTTIME, which counts suspended time too
// (https://man7.org/linux/man-pages/man2/clock_gettime.2.html).
func (b boot) elapsed() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return b.running.elapsed() // a kernel from before 2.6.39
	}
	return time.Duration(t.Nano())
}
