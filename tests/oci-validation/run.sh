#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the OCI runtime specification says of a container's life (runtime.md, Lifecycle and Operations), checked step by step on the command line
# with RUNTIME (default build/hull). TAP on standard output; nothing is left behind. Needs root and busybox-static.
#
#	run.sh [RUNTIME]
set -u
cd "$(dirname "$0")/../.." || exit 1
rt=$(readlink -f "${1:-build/hull}")
work=$(mktemp -d /tmp/hull-oci.XXXXXX) || exit 1
root=$work/root
n=0
failed=0

run() { timeout 30 "$rt" --root "$root" "$@"; }
finish() {
	for id in "$root"/*; do
		[ -d "$id" ] && run delete --force "${id##*/}" >/dev/null 2>&1
	done
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

ok() { # TITLE COMMAND...: the command succeeds
	title=$1
	shift
	n=$((n + 1))
	if output=$("$@" 2>&1); then
		echo "ok $n - $title"
	else
		failed=$((failed + 1))
		echo "not ok $n - $title"
		printf '%s\n' "$output" | sed 's/^/# /'
	fi
}
no() { # TITLE COMMAND...: the command fails, and by itself rather than by a signal or the time limit
	title=$1
	shift
	ok "$title" fails_by_itself "$@"
}
fails_by_itself() {
	"$@"
	status=$?
	[ $status -ne 0 ] && [ $status -lt 124 ]
}
status_is() { run state "$1" | grep -q "\"status\": *\"$2\""; }
becomes() { # within two seconds
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		status_is "$1" "$2" && return
		sleep 0.1
	done
	run state "$1"
	return 1
}
is_gone() { [ ! -e "$root/$1" ] && fails_by_itself run state "$1"; }
log_is() { [ "$(tr '\n' ' ' <"$work/bundle/log")" = "$1" ] || { cat "$work/bundle/log"; return 1; }; }

# bundle SCRIPT [EXTRA]: a container that runs SCRIPT; EXTRA are more top-level members of config.json. The directory log/ of the bundle is /log.
bundle() {
	rm -rf "$work/bundle"
	mkdir -p "$work/bundle/rootfs/bin" "$work/bundle/rootfs/proc" "$work/bundle/rootfs/dev"
	cp /bin/busybox "$work/bundle/rootfs/bin/busybox"
	for applet in sh sleep true cat kill echo; do ln -s busybox "$work/bundle/rootfs/bin/$applet"; done
	: >"$work/bundle/log"
	cat >"$work/bundle/config.json" <<EOF
{
	"ociVersion": "1.0.2",
	"root": { "path": "rootfs" },
	"process": { "cwd": "/", "args": [ "/bin/sh", "-c", "$1" ], "env": [ "PATH=/bin" ], "user": { "uid": 0, "gid": 0 } },
	"mounts": [ { "destination": "/proc", "type": "proc", "source": "proc" } ],
	"annotations": { "org.example.key": "value" },
	"linux": { "namespaces": [ { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" } ] }${2-}
}
EOF
}
create() { run create --bundle "$work/bundle" "$1" </dev/null >"$work/out" 2>&1 || { cat "$work/out"; return 1; }; }

# ---- State and Operations ----
bundle 'sleep 60'
no 'state of an unknown container is an error' run state c1
no 'start of an unknown container is an error' run start c1
no 'kill of an unknown container is an error' run kill c1 KILL
no 'delete of an unknown container is an error' run delete c1
no 'create without an id is an error' run create --bundle "$work/bundle"
ok 'create makes a container' create c1
ok 'its status is created' status_is c1 created
ok 'its program has not been run' sh -c "! grep -q sleep /proc/\$('$rt' --root '$root' state c1 | sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p')/cmdline"
for member in ociVersion id status pid bundle annotations; do
	ok "state has $member" sh -c "'$rt' --root '$root' state c1 | grep -q '\"$member\"'"
done
ok 'state has the annotation' sh -c "'$rt' --root '$root' state c1 | grep -q '\"org.example.key\": *\"value\"'"
ok 'state has the bundle as an absolute path' sh -c "'$rt' --root '$root' state c1 | grep -q '\"bundle\": *\"$work/bundle\"'"
no 'a second container with the same id is an error' create c1
ok 'the first one is as it was' status_is c1 created
no 'delete of a created container is an error' run delete c1
ok 'start runs the program' run start c1
ok 'its status is running' becomes c1 running
no 'start of a running container is an error' run start c1
ok 'the running container is as it was' status_is c1 running
no 'delete of a running container is an error' run delete c1
ok 'a changed config.json has no effect on it' sh -c "echo broken >'$work/bundle/config.json' && '$rt' --root '$root' state c1"
ok 'kill sends the signal' run kill c1 KILL
ok 'its status is stopped' becomes c1 stopped
no 'kill of a stopped container is an error' run kill c1 TERM
no 'start of a stopped container is an error' run start c1
ok 'delete removes it' run delete c1
ok 'nothing of it is left' is_gone c1
bundle 'true'
ok 'its id can be used again' create c1
ok 'delete --force removes a created container' run delete --force c1
ok 'nothing of that is left' is_gone c1

# ---- A create that fails leaves nothing ----
bundle 'true'
rm "$work/bundle/config.json"
no 'create without config.json is an error' create c2
ok 'and leaves nothing' is_gone c2
bundle 'true' ', "hostname": 5'
no 'create with a wrong type is an error' create c2
ok 'and leaves nothing' is_gone c2
bundle 'true'
rm -rf "$work/bundle/rootfs"
no 'create without a root file system is an error' create c2
ok 'and leaves nothing' is_gone c2

# ---- Hooks: order, place, and what a failure does ----
hook() { printf '{ "path": "/bin/sh", "args": [ "sh", "-c", "%s" ] }' "$1"; }
note() { hook "cat >/dev/null; echo $1 >>$work/bundle/log"; }
bundle 'sleep 60' ", \"hooks\": { \"prestart\": [ $(note prestart) ], \"createRuntime\": [ $(note createRuntime) ],
	\"poststart\": [ $(note poststart) ], \"poststop\": [ $(note poststop) ] }"
ok 'create runs its hooks' create c3
ok 'prestart before createRuntime, the others not yet' log_is 'prestart createRuntime '
ok 'start' run start c3
ok 'poststart after the program has been started' log_is 'prestart createRuntime poststart '
ok 'kill' run kill c3 KILL
ok 'stopped' becomes c3 stopped
ok 'delete' run delete c3
ok 'poststop after the container has been deleted' log_is 'prestart createRuntime poststart poststop '
bundle 'true' ", \"hooks\": { \"createRuntime\": [ $(hook 'exit 3') ], \"poststop\": [ $(note poststop) ] }"
no 'a createRuntime hook that fails makes create fail' create c4
ok 'and nothing of the container is left' is_gone c4
ok 'but poststop has been run' log_is 'poststop '
bundle 'true' ", \"hooks\": { \"poststop\": [ $(hook 'exit 3'), $(note second) ] }"
ok 'create' create c5
ok 'start' run start c5
ok 'stopped' becomes c5 stopped
ok 'a poststop hook that fails is a warning' run delete c5
ok 'the next one has been run' log_is 'second '

echo "1..$n"
echo "$((n - failed)) passed, $failed failed"
[ $failed = 0 ]
