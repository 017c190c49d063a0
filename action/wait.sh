#!/usr/bin/env bash
# Waits with what the inputs say. Each becomes one argument, whatever is in it.
set -euo pipefail

if [[ -z "$ENVIRONMENT" ]]; then
  echo "::error::the input \`environment\` is missing"
  exit 2
fi
arguments=(wait -C "$CHECKOUT" "--environment=$ENVIRONMENT" "--timeout=$TIMEOUT")
[[ -z "$FOR" ]] || arguments+=("--for=$FOR")
[[ -z "$FAILURE_GRACE" ]] || arguments+=("--failure-grace=$FAILURE_GRACE")
[[ "$EXACT" != true ]] || arguments+=(--exact)
while IFS= read -r line; do
  [[ -z "$line" ]] || arguments+=("--reconciler=$line")
done <<<"$RECONCILER"
while IFS= read -r line; do
  [[ -z "$line" ]] || arguments+=("--label=$line")
done <<<"$LABEL"
exec gitops-brain "${arguments[@]}" -- "$COMMIT"
