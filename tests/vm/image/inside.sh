#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-only
# inside.sh: in the new system's root, after its packages: users, services, and what a machine without a network leaves out.
set -eu

# One user a daemon, as in system mode, and a person: 1000, with a user manager from the start of the machine.
for daemon in keyd stated netd runnerd; do
  useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "auspex-$daemon"
done
useradd --create-home --shell /bin/bash --uid 1000 owner
mkdir -p /var/lib/systemd/linger
touch /var/lib/systemd/linger/owner

cat > /etc/systemd/system/auspex-vm.service <<'UNIT'
[Unit]
Description=What ./dev vm handed in
After=multi-user.target systemd-user-sessions.service dbus.service user@1000.service
[Service]
Type=exec
ExecStart=/usr/local/sbin/auspex-vm
StandardOutput=journal+console
StandardError=journal+console
# A probe of the whole machine: it must outlive everything that it starts.
OOMScoreAdjust=-900
LimitMEMLOCK=infinity
[Install]
WantedBy=default.target
UNIT

# The machine knows nothing of tests: what is on the second disk says what to do, so that it changes without a new image. A machine that is
# to be kept as it has booted finds nothing there, says so, and later goes on with another disk in its place.
cat > /usr/local/sbin/auspex-vm <<'SH'
#!/bin/sh
set -eu
disk=/dev/disk/by-id/virtio-auspex-share
port=/dev/virtio-ports/auspex.results
until [ -e "$disk" ] && [ -e "$port" ]; do sleep 0.1; done
handed_in() { dd if="$disk" bs=512 count=1 iflag=direct status=none | grep -qa ustar; }
if ! handed_in; then
  for word in $(cat /proc/cmdline); do [ "$word" != auspex.containers ] || auspex-vm-containers; done
  echo waiting > "$port"
  until handed_in; do sleep 0.2; done
  # What was read of the empty disk.
  blockdev --flushbufs "$disk"
fi
tar --extract --file "$disk" --directory / --keep-directory-symlink --no-overwrite-dir
exec /usr/bin/python3 /var/lib/auspex-vm/guest.py
SH
chmod 755 /usr/local/sbin/auspex-vm

# The person's containers: what they begin with is there already, they reach the coordinator on the loopback, and layers lie upon one another as
# on a host with all that podman recommends.
mkdir -p /etc/containers
printf '[containers]\nnetns = "host"\n' > /etc/containers/containers.conf
printf '[storage]\ndriver = "overlay"\n' > /etc/containers/storage.conf
cat > /usr/local/sbin/auspex-vm-containers <<'SH'
#!/bin/sh
set -eu
image=docker.io/library/debian:bookworm-slim
cd /home/owner
as_owner() { runuser -u owner -- env HOME=/home/owner XDG_RUNTIME_DIR=/run/user/1000 "$@"; }
as_owner podman image exists "$image" || as_owner podman import --quiet /opt/base.tar "$image"
SH
chmod 755 /usr/local/sbin/auspex-vm-containers

# ./dev vm shell: root at the serial console. The machine has no network and lives for one command.
passwd --delete root >/dev/null
mkdir -p /etc/systemd/system/serial-getty@ttyS0.service.d
cat > /etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf <<'UNIT'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200 %I $TERM
UNIT

mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' > /etc/systemd/journald.conf.d/auspex-vm.conf
echo auspex-vm > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 auspex-vm\n::1 localhost\n' > /etc/hosts
printf '/dev/vda / ext4 defaults,noatime 0 0\n' > /etc/fstab

# The keyring is there for the run that starts it. A person of any other run has none, as on a machine without a desktop.
systemctl --global mask gnome-keyring-daemon.service gnome-keyring-daemon.socket
rm /usr/share/dbus-1/services/org.freedesktop.secrets.service

systemctl enable auspex-vm.service
# Podman's own services are for containers of root's, of which there are none.
systemctl mask podman.socket podman.service podman-restart.service podman-auto-update.timer podman-auto-update.service
systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer \
  systemd-timesyncd.service getty@tty1.service

# A small initramfs: what qemu's disk needs.
printf 'virtio_pci\nvirtio_blk\next4\n' >> /etc/initramfs-tools/modules
sed -i -e 's/^MODULES=.*/MODULES=list/' -e 's/^COMPRESS=.*/COMPRESS=gzip/' /etc/initramfs-tools/initramfs.conf
update-initramfs -u -k all
