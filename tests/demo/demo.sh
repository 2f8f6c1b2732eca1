#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh HULL: run a first container from a bundle made here, and leave nothing behind.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
hull=$(readlink -f "$1")
[ "$(id -u)" = 0 ] || { echo 'dev: the demo runs a container as root: become root first' >&2; exit 1; }

bundle=$(mktemp -d /tmp/hull-demo.XXXXXX)
id=hello-$$
trap 'cd /; "$hull" delete --force "$id" >/dev/null 2>&1 || :; rm -rf "$bundle"' EXIT
trap 'exit 130' INT TERM

# A bundle is a directory with a root file system and a configuration.
mkdir -p "$bundle/rootfs/bin" "$bundle/rootfs/proc" "$bundle/rootfs/dev" "$bundle/rootfs/sys"
cp /bin/busybox "$bundle/rootfs/bin/busybox"
for applet in sh cat ls grep tr hostname touch; do
	ln -s busybox "$bundle/rootfs/bin/$applet"
done
cp "$here/hello" "$bundle/rootfs/hello"
cp "$here/config.json" "$bundle/config.json"

echo
echo "$ hull run --bundle $bundle $id"
"$hull" run --bundle "$bundle" "$id" || { echo "dev: hull run failed (the bundle is described in tests/demo)" >&2; exit 1; }
echo
echo "The container is gone again. What happened, step by step: ./build/hull explain --bundle DIRECTORY ID"
