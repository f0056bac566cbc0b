#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-only
# build.sh SOURCE FOLDER [--sign KEY]: builds the Debian packages of the tree SOURCE into FOLDER, looks at them with lintian, and writes
# SHA256SUMS; with --sign, SHA256SUMS.minisig by that minisign key. ./dev deb calls it.
set -euo pipefail
source=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
shift 2
key=
[[ ${1-} != --sign ]] || key=$(realpath "$2")

# A copy of its own, always in the same place: package builders want debian/ at the top, and the build must not depend on the tree around.
version=$(dpkg-parsechangelog -l "$source/deploy/debian/changelog" -S Version)
scratch=$out/tree
tree=$scratch/auspex-$version
rm -rf "$scratch"
mkdir -p "$tree"
tar -C "$source" --exclude=./build --exclude=./.git --exclude=./.cache --exclude='*.pyc' -cf - . | tar -C "$tree" -xf -
cp -a "$tree/deploy/debian" "$tree/debian"

# ccache may help: it takes the path of the build into account, and its folder is named since package builders change HOME.
export CCACHE_DIR=${CCACHE_DIR:-$HOME/.cache/ccache}
export DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS:-parallel=$(nproc)} LC_ALL=C.UTF-8 TZ=UTC
(cd "$tree" && dpkg-buildpackage --build=binary --no-sign --no-pre-clean)

rm -f "$out"/*.deb "$out"/*.changes "$out"/*.buildinfo "$out"/SHA256SUMS*
mv "$scratch"/*.deb "$scratch"/*.changes "$scratch"/*.buildinfo "$out"
rm -rf "$scratch"
lintian --fail-on error,warning --tag-display-limit 0 "$out"/*.changes
(cd "$out" && sha256sum -- *.deb > SHA256SUMS)
if [[ -n $key ]]; then
  (cd "$out" && minisign -S -s "$key" -m SHA256SUMS -t "auspex $version")
fi
ls -l "$out"
