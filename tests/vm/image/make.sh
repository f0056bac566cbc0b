#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-only
# make.sh FOLDER: makes the Debian 12 machine of ./dev vm: FOLDER/root.qcow2, vmlinuz, initrd.img and recipe (a digest). Does nothing
# when FOLDER was made from the same recipe: the files beside this one. Needs mmdebstrap, e2fsprogs and qemu-utils; as root, or as a user
# with subordinate ids (uidmap). No loop device: the file system is written by mke2fs from the folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$1
readonly SUITE=bookworm SIZE=4G

recipe=$(cd "$here" && sha256sum make.sh packages container-packages inside.sh | sha256sum | cut -d' ' -f1)
if [[ -f $folder/recipe && $(<"$folder/recipe") == "$recipe" ]]; then
  exit 0
fi
echo "vm: making the image of a Debian 12 machine; this takes minutes and is done again only when tests/vm/image changes" >&2
started=$SECONDS
rm -rf "$folder" "$folder.new"
mkdir -p "$folder.new"
trap 'rm -rf "$folder.new"' EXIT

packages_of() { sed 's/#.*//' "$here/$1" | xargs | tr ' ' ','; }
debs=$folder.debs # kept: a changed recipe fetches only what is new
mkdir -p "$debs"
sources=("deb http://deb.debian.org/debian $SUITE main"
  "deb http://deb.debian.org/debian $SUITE-updates main"
  "deb http://deb.debian.org/debian-security $SUITE-security main")

# make_root FILE PACKAGES OPTION...: a Debian root, as FILE in the form that its name or an option says.
make_root() {
  local file=$1 packages=$2
  shift 2
  # shellcheck disable=SC2016 # $1 is the hook's own
  mmdebstrap --quiet --variant=minbase --include="$packages" \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --skip=cleanup/apt \
    --setup-hook='mkdir -p "$1/var/cache/apt/archives/partial"' \
    --setup-hook="sync-in '$debs' /var/cache/apt/archives" \
    --customize-hook="sync-out /var/cache/apt/archives '$debs'" \
    "$@" "$SUITE" "$file" "${sources[@]}" >>"$folder.log" 2>&1 </dev/null ||
    { tail -n 30 "$folder.log" >&2; echo "vm: mmdebstrap failed; all it said is in $folder.log" >&2; exit 1; }
}
: > "$folder.log"

# What containers of the machine begin with.
# shellcheck disable=SC2016 # $1 is the hook's own
make_root "$folder.new/base.tar" "$(packages_of container-packages)" \
  --dpkgopt='path-exclude=/usr/share/i18n/*' --dpkgopt='path-exclude=/usr/share/zoneinfo/*' --dpkgopt='path-exclude=/usr/lib/*/gconv/*' \
  --customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*; : > "$1/etc/apt/sources.list"'

# Hooks run with the new root's ids in force; `download` alone runs as who called, which is how the files come out in every mode.
# The folder of packages is filled and emptied by hooks for the same reason.
# shellcheck disable=SC2016 # $1 is the hook's own
make_root - "$(packages_of packages)" --format=null \
  --customize-hook="copy-in '$folder.new/base.tar' /opt" \
  --customize-hook="copy-in '$here/inside.sh' /tmp" \
  --customize-hook='chroot "$1" sh /tmp/inside.sh' \
  --customize-hook='rm -rf "$1/tmp/inside.sh" "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*' \
  --customize-hook='cp -L "$1/vmlinuz" "$1/boot/auspex-vmlinuz"; cp -L "$1/initrd.img" "$1/boot/auspex-initrd.img"' \
  --customize-hook="download /boot/auspex-vmlinuz '$folder.new/vmlinuz'" \
  --customize-hook="download /boot/auspex-initrd.img '$folder.new/initrd.img'" \
  --customize-hook='rm "$1"/boot/auspex-*' \
  --customize-hook='set -eu; work=$(mktemp -d); trap "rm -rf $work" EXIT; truncate -s '$SIZE' "$work/root.ext4"
    cp -ax "$1" "$work/root" # without what is mounted there while hooks run: proc, sys and the devices
    mke2fs -q -t ext4 -L auspex-vm -E lazy_itable_init=0,root_owner=0:0 -m 0 -d "$work/root" "$work/root.ext4"
    qemu-img convert -f raw -O qcow2 "$work/root.ext4" "$1/root.qcow2"' \
  --customize-hook="download /root.qcow2 '$folder.new/root.qcow2'"
rm "$folder.new/base.tar"

echo "$recipe" > "$folder.new/recipe"
mv "$folder.new" "$folder"
trap - EXIT
echo "vm: the image is made: $(du -h --apparent-size "$folder/root.qcow2" | cut -f1), $((SECONDS - started)) s" >&2
