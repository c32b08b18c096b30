// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

// Rank is where a level stands among those of its kind, the higher the more; below 0 where there is none of that name.
func (s *Source) Rank(kind, level string) int {
	if kind != "group" && level != "" {
		return -1
	}
	return rank(level)
}

// Expires is whether Google itself can end a privilege of a kind at a level, as configured. It asks nobody.
func (s *Source) Expires(kind, level string) bool {
	return s.config.NativeExpiry && kind == "group" && rank(level) == 0
}
