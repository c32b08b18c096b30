// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package vtpb is the contract's batches as vtprotobuf would read and write them: a copy of the messages, for the
// benchmark alone.
package vtpb

//go:generate ./generate.sh
