// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
)

// CheckSecrets reads every Secret that is set in the struct which config points to, and returns the first error, with
// the field's key in front. So a secret that is missing is said at the start and not at the first use.
func CheckSecrets(config any) error {
	value := reflect.ValueOf(config)
	for value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
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
		if _, err := secret.Value(); err != nil {
			return fmt.Errorf("%s: %w", field.Tag.Get("yaml"), err)
		}
	}
	return nil
}
