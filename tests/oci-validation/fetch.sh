#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# runtime-tools' validation programs, built into DIRECTORY (default build/oci-validation) from Debian's source archive: nothing of them is in this tree.
# The archive comes from the mirror that apt uses, and must be the one that the suite's expected.txt was made with.
# Exit status 77, with the reason, where the source or the compiler can't be had.
#
#	fetch.sh [DIRECTORY]
set -eu
cd "$(dirname "$0")/../.."
suite=$PWD/tests/oci-validation
name=golang-github-opencontainers-runtime-tools
version=0.9.0.109.ge931285
archive=${name}_$version.orig.tar.xz
sum=203989a1ea98cf2aaced79155bbda09270b20db19b03376dde91ab12e5e6a0fe
mkdir -p "${1:-build/oci-validation}"
cd "${1:-build/oci-validation}"
top=$PWD

skip() {
	echo "skipped: $*" >&2
	exit 77
}
is_right() { echo "$sum  $archive" | sha256sum --check --status 2>/dev/null; }

# The first mirror of this machine's own apt configuration.
mirror() {
	apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m1 -E '/debian/?$' || :
}

download() {
	site=$(mirror)
	[ -n "$site" ] || skip 'apt knows no mirror of Debian'
	url=${site%/}/pool/main/g/$name/$archive
	timeout 120 /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$url" "$archive.new" "SHA256:$sum" >download.log 2>&1 ||
		skip "$url can't be had: $(tail -n 1 download.log)"
	mv "$archive.new" "$archive"
	is_right || { echo "fetch.sh: $url isn't the archive that is expected (its SHA-256 must be $sum)" >&2; exit 1; }
}

command -v go >/dev/null || skip 'there is no Go compiler (Debian: golang-go)'
[ -d /usr/share/gocode/src/github.com/google/uuid ] || skip 'Go libraries are missing (Debian: golang-github-opencontainers-runtime-tools-dev golang-github-google-uuid-dev)'
is_right || download
stamp="$sum $(cat "$suite/fetch.sh" "$suite/tap/tap.go" | sha256sum) $(go version)"
[ "$(cat built 2>/dev/null)" != "$stamp" ] || exit 0

rm -rf gopath programs built
src=$top/gopath/src/github.com
mkdir -p "$src/opencontainers/runtime-tools" "$src/mndrix/tap-go" programs
tar -xJf "$archive" --strip-components=1 -C "$src/opencontainers/runtime-tools"
cp "$suite/tap/tap.go" "$src/mndrix/tap-go/"
export GOPATH="$top/gopath:/usr/share/gocode" GO111MODULE=off GOCACHE="$top/cache" GOFLAGS=-buildvcs=false
cd "$src/opencontainers/runtime-tools"
CGO_ENABLED=0 go build -tags 'netgo osusergo' -o "$top/programs/runtimetest" ./cmd/runtimetest
for directory in validation/*/; do
	test=$(basename "$directory")
	[ "$test" = util ] || go build -o "$top/programs/$test.t" "./$directory"
done
cp rootfs-*.tar.gz "$top/programs/"
rm -rf "$top/cache"
echo "$stamp" >"$top/built"
