#!/bin/sh
# An event of Flux's API v1, read with the types of v1beta1 and written again, as a notification-controller does that
# knows v1beta1 alone: no error, and `action` and `relatedObject` are gone. The rest stays.
#
# So a receiver cannot take a missing `action` for "an older controller sent this": any controller on the way can drop
# it, and one cluster may send both forms in turn.
#
# Seen with github.com/fluxcd/pkg/apis/event v0.30.0 (packages v1 and v1beta1), Go 1.26:
#
#   v1:      action="Finalize" relatedObject=true revision="main@sha1:5394cb7f"
#   v1beta1: action=false relatedObject=false revision="main@sha1:5394cb7f" error=<nil>
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
	"encoding/json"
	"fmt"

	v1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/fluxcd/pkg/apis/event/v1beta1"
	corev1 "k8s.io/api/core/v1"
)

func main() {
	sent := v1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"},
		RelatedObject:  &corev1.ObjectReference{Kind: "GitRepository", Namespace: "flux-system", Name: "repository"},
		Severity:       "info",
		Reason:         "ReconciliationSucceeded",
		Message:        "Deployment/shop/web deleted",
		Action:         "Finalize",
		Metadata:       map[string]string{"revision": "main@sha1:5394cb7f"},
	}
	body, err := json.Marshal(sent)
	if err != nil {
		panic(err)
	}
	fmt.Printf("v1:      action=%q relatedObject=%t revision=%q\n", sent.Action, sent.RelatedObject != nil, sent.Metadata["revision"])

	var read v1beta1.Event
	failed := json.Unmarshal(body, &read)
	again, err := json.Marshal(read)
	if err != nil {
		panic(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(again, &fields); err != nil {
		panic(err)
	}
	_, action := fields["action"]
	_, related := fields["relatedObject"]
	fmt.Printf("v1beta1: action=%t relatedObject=%t revision=%q error=%v\n", action, related, read.Metadata["revision"], failed)
}
GO

go mod init finding >log 2>&1 || { cat log; exit 2; }
go get github.com/fluxcd/pkg/apis/event@v0.30.0 >log 2>&1 || { cat log; exit 2; }
go mod tidy >log 2>&1 || { cat log; exit 2; }
seen=$(go run .)
printf '%s\n' "$seen"
expected='v1:      action="Finalize" relatedObject=true revision="main@sha1:5394cb7f"
v1beta1: action=false relatedObject=false revision="main@sha1:5394cb7f" error=<nil>'
test "$seen" = "$expected" || { echo "this changed"; exit 1; }
