#!/usr/bin/env bash
# Packs a built program as a release has it: deploy/archive.sh PROGRAM VERSION TARGET FOLDER
#   deploy/archive.sh target/x86_64-unknown-linux-musl/release/gitops-brain v0.1.0 x86_64-unknown-linux-musl dist
set -euo pipefail

program=$1 name="gitops-brain-$2-$3.tar.gz" folder=$4
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$folder"
# The same bytes for the same program, whoever packs it.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - \
  -C "$(dirname "$program")" "$(basename "$program")" \
  -C "$root" LICENSE LICENSE-APACHE LICENSE-MIT |
  gzip --no-name >"$folder/$name"
cd "$folder"
sha256sum "$name" >"$name.sha256"
