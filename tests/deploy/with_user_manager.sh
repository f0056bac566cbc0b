#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
# with_user_manager.sh COMMAND...: runs a command beside a real `systemd --user` of a person of its own (owner, 1000), on a machine where
# systemd is installed and need not run: in namespaces of processes and mounts, with an empty home and /run, and a part of the hierarchy of
# cgroup v2. It needs root, and no network. What this cannot show is in tests/vm: controllers where the machine has them in v1, logind.
# Where it cannot be had the command runs all the same, without AUSPEX_USER_MANAGER=1, and says itself what is missing.
set -uo pipefail
manager=/usr/lib/systemd/systemd
if [[ ${1-} != --inside ]]; then
  if [[ $(id -u) -ne 0 || ! -x $manager ]] || ! unshare --mount --pid --fork --mount-proc true 2>/dev/null; then
    exec "$@"
  fi
  exec unshare --mount --pid --fork --mount-proc --kill-child --propagation private "$0" --inside "$@"
fi
shift

# The tree may lie in a folder that only root can pass.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system /run/user/1000 /run/auspex-test/{build,source}
chown 1000:1000 /run/user/1000
chmod 700 /run/user/1000
mount --rbind "$(dirname "$AUSPEX_BIN_DIR")" /run/auspex-test/build
mount --rbind "$AUSPEX_SOURCE_DIR" /run/auspex-test/source
mount -t tmpfs -o mode=755 tmpfs /home
mkdir -p /home/owner
chown 1000:1000 /home/owner
echo 'owner:x:1000:1000::/home/owner:/bin/bash' | cat /etc/passwd - > /run/auspex-test/passwd
mount --bind /run/auspex-test/passwd /etc/passwd
if [[ $(stat -f -c %T /sys/fs/cgroup) != cgroup2fs ]]; then
  umount -R /sys/fs/cgroup 2>/dev/null
  mount -t cgroup2 cgroup2 /sys/fs/cgroup || { echo "no cgroup v2 to be had" >&2; exit 1; }
fi
# "0::" is the line of version 2.
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
base=/sys/fs/cgroup${own%/}/auspex-test-$$-$RANDOM
mkdir -p "$base/init" && chown -R 1000:1000 "$base" && echo 0 > "$base/init/cgroup.procs" || exit 1

test=${1/#"$(dirname "$AUSPEX_BIN_DIR")"//run/auspex-test/build}
test=${test/#"$AUSPEX_SOURCE_DIR"//run/auspex-test/source}
shift
setpriv --reuid=1000 --regid=1000 --clear-groups env -i HOME=/home/owner USER=owner XDG_RUNTIME_DIR=/run/user/1000 LANG=C.UTF-8 \
  PATH=/usr/bin:/bin AUSPEX_USER_MANAGER=1 AUSPEX_BIN_DIR=/run/auspex-test/build/bin AUSPEX_SOURCE_DIR=/run/auspex-test/source \
  AUSPEX_TEST_PACE="${AUSPEX_TEST_PACE-3}" AUSPEX_REQUIRE_FULL="${AUSPEX_REQUIRE_FULL-}" bash -c '
    "$0" --user --log-target=null & manager=$!
    for ((i = 0; i < 300; ++i)); do
      [[ $(systemctl --user is-system-running 2>/dev/null) == running ]] && break
      sleep 0.1
    done
    cd /; "$@"; code=$?
    kill $manager; wait $manager
    exit $code' "$manager" "$test" "$@"
code=$?

# Whatever is left of it ends here, so that its cgroups can go.
echo 0 > "/sys/fs/cgroup${own%/}/cgroup.procs"
for ((i = 0; i < 50; ++i)); do
  find "$base" -name cgroup.kill -exec sh -c 'echo 1 > "$1"' sh {} \; 2>/dev/null
  find "$base" -depth -type d -exec rmdir {} + 2>/dev/null
  [[ -d $base ]] || break
  sleep 0.1
done
exit $code
