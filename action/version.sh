#!/usr/bin/env bash
# Which release to install: the one that was asked for, or that of the action's own sources. A branch of
# the action has no release, and is built. What is built is the action's own version: it must not stand in
# for another one that was asked for.
set -euo pipefail

own=$(sed -n 's/^version = "\(.*\)"$/v\1/p' "$ACTION_PATH/Cargo.toml" | head -n 1)
build=fallback
case "$VERSION" in
  "")
    release=$own
    # A tag, or the commit of one.
    if ! [[ "$ACTION_REF" =~ ^v[0-9] || "$ACTION_REF" =~ ^[0-9a-f]{40}$ ]]; then
      build=always
    fi
    ;;
  source)
    release=$own
    build=always
    ;;
  v[0-9]*)
    release=$VERSION
    [[ "$release" == "$own" ]] || build=never
    ;;
  *)
    echo "::error::version is \`v0.1.0\` or \`source\`"
    exit 2
    ;;
esac
if [[ ! "$release" =~ ^v[0-9A-Za-z.+-]+$ ]]; then
  echo "::error::there is no such version"
  exit 2
fi
if [[ "$build" == always ]]; then
  # What is built differs with each commit of the action.
  sources=$(cd "$ACTION_PATH" && find crates Cargo.lock -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
  release="$release-${sources:0:16}"
fi
{
  echo "version=$release"
  echo "build=$build"
} >>"$GITHUB_OUTPUT"
