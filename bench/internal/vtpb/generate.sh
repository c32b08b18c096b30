#!/bin/sh
# SPDX-FileCopyrightText: The Curfew authors
# SPDX-License-Identifier: Apache-2.0

# Makes this package anew from the contract. Needs .tools/buf (`make fmt` builds it).
set -eu
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT
root=$(cd ../../.. && pwd)
export GOWORK=off
go build -o "$aside/bin/" google.golang.org/protobuf/cmd/protoc-gen-go github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto
mkdir -p "$aside/proto/bench/vtpb"
# A package of its own: one process cannot hold two messages of one name.
for file in event decision; do
	sed -e 's|^package curfew\.v1;|package curfew.bench.v1;|' -e 's|import "curfew/v1/|import "bench/vtpb/|' \
		-e 's|^option go_package.*|option go_package = "github.com/curfewhq/curfew/bench/internal/vtpb";|' \
		"$root/proto/curfew/v1/$file.proto" >"$aside/proto/bench/vtpb/$file.proto"
done
cat >"$aside/buf.yaml" <<-END
	version: v2
	modules:
	  - path: proto
END
cat >"$aside/buf.gen.yaml" <<-END
	version: v2
	plugins:
	  - local: protoc-gen-go
	    out: .
	    opt: module=github.com/curfewhq/curfew/bench/internal/vtpb
	  - local: protoc-gen-go-vtproto
	    out: .
	    opt: [module=github.com/curfewhq/curfew/bench/internal/vtpb, features=marshal+size+unmarshal+unmarshal_unsafe]
END
here=$(pwd)
cd "$aside"
PATH="$aside/bin:$PATH" "$root/.tools/buf" generate -o "$here"
