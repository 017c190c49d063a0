#!/usr/bin/env bash
# Puts the program on the PATH: from the cache, from a release, or built from the action's own sources.
set -euo pipefail

folder="$RUNNER_TOOL_CACHE/gitops-brain/$VERSION"
program="$folder/gitops-brain"

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

fail() {
  echo "::error::$1"
  exit 1
}

download() {
  local target
  case "$RUNNER_OS-$RUNNER_ARCH" in
    Linux-X64) target=x86_64-unknown-linux-musl ;;
    Linux-ARM64) target=aarch64-unknown-linux-musl ;;
    *)
      echo "there is no release for $RUNNER_OS on $RUNNER_ARCH"
      return 1
      ;;
  esac
  local name="gitops-brain-$VERSION-$target.tar.gz"
  local get=(curl --fail --silent --show-error --location --retry 3 --retry-connrefused)
  if ! "${get[@]}" --output "$temporary/$name" "$DOWNLOAD_URL/$VERSION/$name"; then
    echo "there is no $name to be downloaded"
    return 1
  fi
  # Whatever is wrong with what was downloaded must not be run, and not be built around either. `set -e`
  # does not hold in here: the caller asks how it ended.
  "${get[@]}" --output "$temporary/$name.sha256" "$DOWNLOAD_URL/$VERSION/$name.sha256" ||
    fail "there is no checksum of $name to be downloaded"
  (cd "$temporary" && sha256sum --check --status "$name.sha256") ||
    fail "$name is not what its checksum says"
  tar -xzf "$temporary/$name" -C "$temporary" gitops-brain || fail "there is no program in $name"
  mkdir -p "$folder" || fail "cannot make $folder"
  mv "$temporary/gitops-brain" "$program" || fail "cannot write to $folder"
}

build() {
  command -v cargo >/dev/null ||
    fail "there is no release to download, and no Rust to build one: name a release with \`version\`"
  cargo install --locked --path "$ACTION_PATH/crates/gitops-brain-cli" --root "$folder" --no-track
  mv "$folder/bin/gitops-brain" "$program"
  rmdir "$folder/bin"
}

if [[ ! -x "$program" ]]; then
  case "$BUILD" in
    always) build ;;
    fallback) download || build ;;
    *) download || fail "there is no release $VERSION for $RUNNER_OS on $RUNNER_ARCH at $DOWNLOAD_URL" ;;
  esac
fi
echo "$folder" >>"$GITHUB_PATH"
"$program" --version
