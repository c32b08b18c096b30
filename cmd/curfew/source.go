// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/curfewhq/curfew/internal/yamlfile"
	"github.com/curfewhq/curfew/services/collector"
)

// sourceKeys are the keys of a source that are the collector's and not the plug-in's.
type sourceKeys struct {
	Interval time.Duration `yaml:"interval"`
	// Inventory is a length of time, or "off".
	Inventory string `yaml:"inventory"`
}

// pauses reads the keys.
func (k sourceKeys) pauses() (collector.Pauses, error) {
	p := collector.Pauses{Interval: k.Interval, Inventory: -1}
	if k.Interval < 0 {
		return p, fmt.Errorf("interval %v is before it began; write a length of time, such as 15s", k.Interval)
	}
	if k.Inventory == "off" {
		return p, nil
	}
	var err error
	if p.Inventory, err = yamlfile.Length(cmp.Or(k.Inventory, "0s")); err != nil || p.Inventory < 0 || k.Inventory != "" && p.Inventory < time.Minute {
		return p, fmt.Errorf("inventory %q is no length of time from 1m up; write one, such as 1h, or off", k.Inventory)
	}
	return p, nil
}

// openSource makes a source from its section of the configuration file.
func openSource(name string, section yamlfile.Section) (collector.Configured, error) {
	var keys sourceKeys
	rest, err := section.Split(&keys)
	if err != nil {
		return collector.Configured{}, err
	}
	pauses, err := keys.pauses()
	if err != nil {
		return collector.Configured{}, err
	}
	return collector.Open(name, rest, pauses)
}
