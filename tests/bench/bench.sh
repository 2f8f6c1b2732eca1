#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bench.sh STATIC_HULL SHARED_HULL [--rounds N]: the table, in a mount namespace of its own.
#
# Debian's crun refuses a hybrid layout whose v2 hierarchy has a controller. There the list of v2's controllers is hidden, for all programs
# alike, so that all make the same cgroups.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
static=$(readlink -f "$1")
shared=$(readlink -f "$2")
shift 2
exec unshare --mount --propagation private sh -euc '
	unified=/sys/fs/cgroup/unified/cgroup.controllers
	if [ -n "$(cat $unified 2>/dev/null)" ]; then
		empty=$(mktemp)
		mount --bind "$empty" $unified
		rm "$empty"
	fi
	exec /usr/bin/python3 -B "$@"
' sh "$here/bench.py" "$@" "hull (static)=$static" "hull (shared libraries)=$shared"
