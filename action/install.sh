#!/usr/bin/env bash
# Puts the program on the PATH: from the cache, from a release, or built from the action's own sources.
set -euo pipefail

folder="$RUNNER_TOOL_CACHE/gitops-brain/$VERSION"
program="$folder/gitops-brain"

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
  local name="gitops-brain-$VERSION-$target.tar.gz" temporary
  temporary=$(mktemp -d)
  local get=(curl --fail --silent --show-error --location --retry 3 --retry-connrefused)
  if ! "${get[@]}" --output "$temporary/$name" "$DOWNLOAD_URL/$VERSION/$name"; then
    echo "there is no $name to be downloaded"
    return 1
  fi
  "${get[@]}" --output "$temporary/$name.sha256" "$DOWNLOAD_URL/$VERSION/$name.sha256"
  # Whatever is wrong with what was downloaded must not be run, and not be built around either.
  if ! (cd "$temporary" && sha256sum --check --status "$name.sha256"); then
    echo "::error::$name is not what its checksum says"
    exit 1
  fi
  mkdir -p "$folder"
  tar -xzf "$temporary/$name" -C "$folder" gitops-brain
}

build() {
  if ! command -v cargo >/dev/null; then
    echo "::error::there is no release to download, and no Rust to build one: name a release with \`version\`"
    exit 1
  fi
  cargo install --locked --path "$ACTION_PATH/crates/gitops-brain-cli" --root "$folder" --no-track
  mv "$folder/bin/gitops-brain" "$program"
  rmdir "$folder/bin"
}

if [[ ! -x "$program" ]]; then
  if [[ "$BUILD" == true ]]; then
    build
  else
    download || build
  fi
fi
echo "$folder" >>"$GITHUB_PATH"
"$program" --version
