#!/bin/sh
# SPDX-License-Identifier: MIT
# autogen.sh - make ./configure and the Makefile.in from configure.ac and Makefile.am.
# Needed in a git checkout only: a release tarball already has them.
set -eu
cd "$(dirname "$0")"
exec autoreconf --force --install --warnings=all
