#!/usr/bin/env bash
# Build the images without a Docker engine and without a registry for the base image. As root, on Debian:
#
#   apt-get install --no-install-recommends podman netavark runc mmdebstrap
#   deploy/build-here.sh                                    both images
#   deploy/build-here.sh bot --build-arg EXTRAS=            one of them, with further options for `podman build`
#
# PODMAN     the command, with its options ("podman --root /elsewhere")
# BASE       an existing base image; without it the script makes one from Debian's packages (SUITE, MIRROR)
# CA_BUNDLE  certificates that pip trusts during the build, behind a proxy with its own certificate authority
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra podman <<<"${PODMAN:-podman}"
targets=(bot worker)
case "${1:-}" in bot | worker) targets=("$1"); shift ;; esac

if [ -z "${BASE:-}" ]; then
  BASE=localhost/steward-base
  # Without manuals and translations, like the slim image in the Dockerfile.
  "${podman[@]}" image exists "$BASE" || mmdebstrap --quiet --variant=minbase \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "${SUITE:-trixie}" - ${MIRROR:+"$MIRROR"} | "${podman[@]}" import --message 'Debian, made here' - "$BASE"
fi

# Each step runs in a chroot with the limits of this shell, because the machine may not allow containers.
options=(--isolation chroot --format docker --build-arg "BASE=$BASE")
options+=(--ulimit "nofile=$(ulimit -Sn):$(ulimit -Hn)")
[ "$(ulimit -Hu)" = unlimited ] || options+=(--ulimit "nproc=$(ulimit -Su):$(ulimit -Hu)")
if [ -n "${CA_BUNDLE:-}" ]; then
  trusted=$(mktemp -d)
  trap 'rm -r "$trusted"' EXIT
  cp "$CA_BUNDLE" "$trusted/ca.pem"
  options+=(--volume "$trusted:/srv:ro" --build-arg PIP_CERT=/srv/ca.pem)
fi

for target in "${targets[@]}"; do
  "${podman[@]}" build "${options[@]}" --target "$target" --tag "steward-$target" "$@" .
  "${podman[@]}" image inspect --format "steward-$target: {{.Size}} bytes" "steward-$target"
done
