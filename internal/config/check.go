// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
)

// CheckSecrets makes the relative paths of every Secret in the struct that config points to relative to dir, reads each
// that is set, and returns the first error with the field's key in front. So a secret that is missing is said at the
// start and not at the first use.
func CheckSecrets(config any, dir string) error {
	value := reflect.ValueOf(config).Elem()
	if value.Kind() != reflect.Struct {
		return nil
	}
	for field, content := range value.Fields() {
		if !field.IsExported() {
			continue
		}
		secret, isSecret := content.Interface().(Secret)
		if !isSecret || !secret.IsSet() {
			continue
		}
		secret = secret.In(dir)
		content.Set(reflect.ValueOf(secret))
		if _, err := secret.Value(); err != nil {
			return fmt.Errorf("%s: %w", field.Tag.Get("yaml"), err)
		}
	}
	return nil
}
