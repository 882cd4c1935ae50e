# shellcheck shell=bash
# What the scripts of this folder share: names of places and how they speak. Sourced, never run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # used by those who source this
kube=$root/tests/kube/up
export WARREN_CACHE=${WARREN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/warren}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$WARREN_CACHE/target}
export WARREN_IMAGE=${WARREN_IMAGE:-localhost/warren:dev}
cd "$root"

say() { printf '\n==> %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }

# The container engine: docker where its daemon answers, else podman, which needs none.
engine() {
	if [ -n "${WARREN_ENGINE:-}" ]; then echo "$WARREN_ENGINE"
	elif have docker && docker info >/dev/null 2>&1; then echo docker
	else echo podman; fi
}

# Whether the Kubernetes to use is the one of tests/kube: nobody named another.
ours() {
	[ -z "${KUBECONFIG:-}" ] || [ "$("$kube" env | grep -o 'KUBECONFIG=[^ ]*')" = "KUBECONFIG=$KUBECONFIG" ]
}
