// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// SetNow gives a test the store's clock.
func (m *Memory) SetNow(now func() time.Time) { m.now = now }
