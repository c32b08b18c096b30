// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/services/evaluator/detection"
	"github.com/curfewhq/curfew/services/notifier"
)

// checkDetections is an error where the alerts of a configuration name a detection that there is not: what is misspelt fits
// nothing, and what fits nothing reaches nobody.
func checkDetections(alerts config.Alerts) error {
	known := slices.Compact(slices.Sorted(slices.Values(append(detection.Names(), notifier.Detections()...))))
	return alerts.Detections(func(where, name string) error {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s: no detection is called %q; there are %s", where, name, strings.Join(known, ", "))
		}
		return nil
	})
}
