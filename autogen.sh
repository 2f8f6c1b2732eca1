#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make configure from configure.ac: needs autoconf and automake. Release tarballs contain the result.
set -e
cd "$(dirname "$0")"
exec autoreconf --install --force --warnings=all
