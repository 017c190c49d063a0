#!/bin/sh
# `Event.GetRevision` of Flux's event packages does not give the revision that the controller reconciled, if the object
# has the annotation `event.toolkit.fluxcd.io/commit` or the artifact an origin revision: `commit` comes first, then
# `originRevision`, and only then `revision`. The annotation is what the author of a manifest wrote, often by a template.
#
# So who correlates commits must read the three keys himself, and decide which of them to believe of which controller.
#
# Seen with github.com/fluxcd/pkg/apis/event v0.30.0 (packages v1 and v1beta1 alike), Go 1.26:
#
#   commit, originRevision and revision: commit commit
#   originRevision and revision: originRevision originRevision
#   revision: revision revision
#
# Needs Go and its module proxy.
set -eu
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
mkdir "$folder/program"
cd "$folder/program"
export GOPATH="$folder/go" GOFLAGS=-mod=mod

cat >main.go <<'GO'
package main

import (
	"fmt"

	v1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/fluxcd/pkg/apis/event/v1beta1"
)

func main() {
	for _, keys := range [][]string{{"commit", "originRevision", "revision"}, {"originRevision", "revision"}, {"revision"}} {
		metadata := map[string]string{}
		names := ""
		for place, key := range keys {
			metadata[key] = key
			switch {
			case place == 0:
				names = key
			case place == len(keys)-1:
				names += " and " + key
			default:
				names += ", " + key
			}
		}
		new, _ := (&v1.Event{Metadata: metadata}).GetRevision()
		old, _ := (&v1beta1.Event{Metadata: metadata}).GetRevision()
		fmt.Printf("%s: %s %s\n", names, new, old)
	}
}
GO

go mod init finding >log 2>&1 || { cat log; exit 2; }
go get github.com/fluxcd/pkg/apis/event@v0.30.0 >log 2>&1 || { cat log; exit 2; }
go mod tidy >log 2>&1 || { cat log; exit 2; }
seen=$(go run .)
printf '%s\n' "$seen"
expected='commit, originRevision and revision: commit commit
originRevision and revision: originRevision originRevision
revision: revision revision'
test "$seen" = "$expected" || { echo "this changed"; exit 1; }
