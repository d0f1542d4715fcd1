#!/usr/bin/env bash
# Run the tests of a worker's child in a plain container, which holds this machine's files read-only and needs no registry:
# the engine's own seccomp profile and capabilities, an unprivileged user, no network, and 64 MB of /dev/shm.
#
#   tests/support/workers/in_container.sh                          the tests of isolation, memory, attempts and deaths
#   tests/support/workers/in_container.sh tests/FILE.py …          these tests instead
#
# ENGINE   the command, with its options: docker (the default), or "podman --runtime runc"
# OPTIONS  options of `docker run`: "--user 0:0", or "--cap-drop=all --security-opt=no-new-privileges"
set -euo pipefail
cd "$(dirname "$0")/../../.."
read -ra engine <<<"${ENGINE:-docker}"
read -ra options <<<"--user 1000:1000 ${OPTIONS:-}"
tests=(tests/integration/workers/test_{worker_walls,memory,worker_attempts,worker_deaths}.py)
[ $# -eq 0 ] || tests=("$@")
if ! version=$("${engine[@]}" version --format '{{.Client.Version}}' 2>&1); then
  echo "Skipped: \`${engine[*]}\` does not answer (${version##*$'\n'})."
  exit 0
fi

# An image of empty folders and links; the rest are volumes.
root=$(mktemp -d)
trap 'rm -r "$root"' EXIT
cp -P /bin /sbin /lib /lib64 "$root"
mkdir -m 1777 "$root/tmp"
image=$(tar -C "$root" -c . | "${engine[@]}" import -)
trap 'rm -r "$root"; "${engine[@]}" rmi "$image" >/dev/null' EXIT
python=$(.venv/bin/python -c 'import sys; print(sys.base_prefix)')
for folder in $(printf '%s\n' /usr /etc/ssl /etc/ld.so.cache "$python" "$PWD" | sort -u); do
  options+=(--volume "$folder:$folder:ro")
done

"${engine[@]}" run --rm --network=none --env HOME=/tmp --workdir "$PWD" "${options[@]}" "$image" \
  .venv/bin/python -m pytest -p no:cacheprovider -rs "${tests[@]}"
