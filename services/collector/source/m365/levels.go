// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

// Expires is whether Microsoft itself can end a privilege of a kind, where the tenant's plan has that. It asks nobody.
func (s *Source) Expires(kind, _ string) bool { return kind == "directory_role" }
