#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
# in_machine.sh [installed]: the AppArmor profiles on a kernel that enforces them. In the place of each daemon a program that tries what
# docs/THREATS.md says a taken-over daemon cannot do, with the user that owns everything, so that only AppArmor is in its way: each attempt
# fails, and the kernel's log has it under that daemon's profile. Run by ./dev vm as root of its machine, which it changes: it installs the
# programs of AUSPEX_BIN_DIR in /usr and loads deploy/apparmor, or takes what the packages installed.
set -uo pipefail
bin=${AUSPEX_BIN_DIR:?} tree=${AUSPEX_SOURCE_DIR:?} takeover=${AUSPEX_TAKEOVER:-$AUSPEX_BIN_DIR/../tests/apparmor_takeover}
failures=0
fail() { echo "FAILED $*"; failures=$((failures + 1)); }
die() { echo "FAILED $*"; exit 1; }

[[ $(cat /sys/module/apparmor/parameters/enabled) == Y ]] || die "this kernel has no AppArmor"
programs=/usr/libexec/auspex
# lay_out: as the packages do.
lay_out() {
  mkdir -p "$programs"
  install -m 755 "$bin"/auspex-* "$programs" || die "the programs of $bin are not there"
  install -m 755 "$bin/auspex" /usr/bin
  mv "$programs"/auspex-{lab,coordd} /usr/bin
  mkdir -p /usr/share/auspex
  cp -rT "$bin/../share/examples" /usr/share/auspex/examples
  chmod -R a+rX /usr/share/auspex
  "$tree/deploy/apparmor/make" auto /etc/apparmor.d || die "the profiles cannot be made"
  apparmor_parser -r /etc/apparmor.d/auspex || die "the profiles cannot be loaded"
}
[[ ${1-} == installed ]] || lay_out
profiles=(auspex auspex//manager auspex-coordd auspex-keyd auspex-keyd-secrets auspex-netd auspex-runnerd auspex-sandbox auspex-stated auspex-unit)
for profile in "${profiles[@]}"; do
  grep -qx "$profile (enforce)" /sys/kernel/security/apparmor/profiles || fail "$profile is not enforced"
done
# The kernel would drop lines about what happens often.
sysctl -q kernel.printk_ratelimit=0

# person COMMAND...: as the person that the machine has, in that person's own manager.
person() {
  runuser -u owner -- env HOME=/home/owner XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus \
    systemd-run --user --wait --pipe --quiet --property=Delegate=yes --working-directory=/home/owner "$@"
}
# person_starts UNIT COMMAND...: the same in the background.
person_starts() {
  runuser -u owner -- env HOME=/home/owner XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus \
    systemd-run --user --quiet --property=Delegate=yes "--unit=$1" "${@:2}"
}
# The kernel's lines about denials so far.
denials() { dmesg | grep 'apparmor="DENIED"'; }

home=/tmp/auspex-lab-machine/w1 manager=(systemctl --user --machine=owner@.host)
install -d -o owner -g owner -m 700 "$(dirname "$home")" "$home"
# No coordinator is needed to attack the four.
printf '[coordinator]\nurl = "http://127.0.0.1:9"\n[identity]\nkeystore_backend = "encrypted_file"\n' > "$home/worker.toml"
chown owner: "$home/worker.toml"
person /usr/bin/auspex --home "$home" key create > /tmp/key.out 2>&1 || die "no key to attack: $(cat /tmp/key.out)"
declare -A pid
for daemon in keyd stated runnerd netd; do
  person_starts "auspex-vm-$daemon" "$programs/auspex-$daemon" --home "$home" || fail "auspex-$daemon cannot be started"
done
for daemon in keyd stated netd runnerd; do
  for ((i = 0; i < 600; i++)); do
    [[ ! -S $home/run/$daemon/owner.sock ]] || break
    sleep 0.1
  done
  pid[$daemon]=$("${manager[@]}" show --property=MainPID --value "auspex-vm-$daemon")
  label=$(cat "/proc/${pid[$daemon]}/attr/current" 2>&1)
  [[ $label == "auspex-$daemon (enforce)" ]] || fail "auspex-$daemon runs under '$label'"
done
key=$home/state/keyd/key.sealed database=$home/state/stated/auspex.db
[[ -f $key && -f $database ]] || die "no key or no database below $home/state: $(find "$home/state")"
echo x > /home/owner/diary
chown owner: /home/owner/diary

# A process of the person's that anybody may look into. (Our own daemons are not dumpable, so that the kernel refuses to trace them before it
# asks AppArmor, and /etc/shadow is root's: those attempts are not in the log.)
runuser -u owner -- sleep 1000 &
for ((i = 0; i < 100; i++)); do
  bystander=$(pgrep -n -u owner -x sleep) && break
  sleep 0.1
done
quiet='^(trace|memory)=|/(environ|shadow)$'

# attack DAEMON WORD...: each must be refused and, but for the quiet ones, in the log.
attack() {
  local daemon=$1 name=auspex-$1 folder=$programs before after out loud
  [[ $daemon != command ]] || name=auspex
  [[ -e $folder/$name ]] || folder=/usr/bin
  shift
  loud=$(printf '%s\n' "$@" | grep -Evc "$quiet")
  install -m 755 "$takeover" "$folder/.new" && mv "$folder/$name" "$folder/.kept" && mv "$folder/.new" "$folder/$name"
  before=$(denials | grep -c "profile=\"$name\"")
  out=$(person "$folder/$name" "$@" 2>&1)
  after=$(denials | grep -c "profile=\"$name\"")
  mv "$folder/.kept" "$folder/$name"
  echo "-- $daemon: $((after - before)) denials in the log"
  echo "$out"
  grep -q ': done$' <<<"$out" && fail "as $daemon: $(grep ': done$' <<<"$out" | tr '\n' ';')"
  [[ $(grep -c ': refused' <<<"$out") -eq $# ]] || fail "as $daemon: not every attempt was made"
  [[ $((after - before)) -ge $loud ]] || fail "as $daemon: $loud attempts to be logged and $((after - before)) denials in the log"
}

run=$home/run
elsewhere=(read=/home/owner/diary write=/home/owner/.bashrc write=/tmp/elsewhere read=/etc/shadow write=/etc/cron.d/x list=/home/owner
  "trace=$bystander" read="/proc/${pid[keyd]}/environ")
attack stated "${elsewhere[@]}" read="$key" read="$home/state/keyd/journal" exec=/bin/sh exec=/usr/bin/bwrap internet=127.0.0.1:9 \
  trace="${pid[keyd]}" memory="${pid[keyd]}" signal="${pid[keyd]}" signal="${pid[runnerd]}" \
  read="$run/keyd/request.role/key" read="$run/keyd/result.role/key" read="$run/keyd/owner.role/key" read="$run/runnerd/owner.role/key" \
  profile=unconfined
attack netd "${elsewhere[@]}" read="$key" read="$database" write="$home/state/netd" exec=/bin/sh exec=/usr/bin/bwrap \
  trace="${pid[keyd]}" trace="${pid[stated]}" memory="${pid[stated]}" signal="${pid[keyd]}" signal="${pid[stated]}" \
  read="$run/keyd/result.role/key" read="$run/keyd/owner.role/key" read="$run/stated/run.role/key" read="$run/stated/owner.role/key" \
  read="$run/runnerd/owner.role/key" mount=/tmp profile=unconfined
attack runnerd "${elsewhere[@]}" read="$key" read="$database" internet=127.0.0.1:9 \
  trace="${pid[keyd]}" trace="${pid[netd]}" memory="${pid[stated]}" signal="${pid[keyd]}" signal="${pid[netd]}" \
  read="$run/keyd/request.role/key" read="$run/keyd/owner.role/key" read="$run/stated/net.role/key" read="$run/stated/owner.role/key" \
  read="$run/netd/owner.role/key" mount=/home profile=unconfined
attack keyd "${elsewhere[@]}" read="$database" exec=/bin/sh exec=/usr/bin/bwrap internet=127.0.0.1:9 \
  trace="${pid[stated]}" memory="${pid[stated]}" signal="${pid[stated]}" \
  read="$run/stated/net.role/key" read="$run/stated/run.role/key" read="$run/stated/owner.role/key" profile=unconfined

attack coordd "${elsewhere[@]}" read="$key" read="$database" exec=/bin/sh exec=/usr/bin/bwrap \
  trace="${pid[keyd]}" memory="${pid[stated]}" signal="${pid[keyd]}" signal="${pid[runnerd]}" \
  read="$run/keyd/owner.role/key" read="$run/stated/run.role/key" mount=/tmp profile=unconfined
# The owner's command may do what the owner may with Auspex, but for the key; that refusal is not logged either.
quiet="$quiet|/key\.sealed$"
attack command read="$key" write=/etc/cron.d/x write=/usr/local/bin/x read=/etc/shadow exec=/bin/sh exec=/usr/bin/bwrap \
  trace="$bystander" memory="${pid[keyd]}" trace="${pid[keyd]}" signal="$bystander" mount=/tmp profile=unconfined

denials | grep "operation=\"ptrace\" profile=\"auspex-netd\".* peer=\"unconfined\"" >/dev/null || fail "tracing a bystander is not in the log"

# What runnerd starts has a tenant's walls: not even runnerd's own state and sockets.
echo "-- a program that a taken-over runnerd starts"
install -m 755 "$takeover" "$programs/.new" && mv "$programs/auspex-runnerd" "$programs/.kept" && mv "$programs/.new" "$programs/auspex-runnerd"
install -m 755 "$takeover" /usr/bin/auspex-vm-takeover
tenant=(read="$key" read="$database" list="$home/state/runnerd" write="$home/state/runnerd/x" read="$run/keyd/result.role/key"
  read="$run/stated/run.role/key" read="$home/worker.toml" write=/tmp/elsewhere internet=127.0.0.1:9 trace="${pid[runnerd]}"
  signal="${pid[runnerd]}" mount=/home profile=unconfined profile=auspex-runnerd)
out=$(person "$programs/auspex-runnerd" then=/usr/bin/auspex-vm-takeover "${tenant[@]}" 2>&1)
mv "$programs/.kept" "$programs/auspex-runnerd"
rm -f /usr/bin/auspex-vm-takeover
echo "$out"
grep -q ': done$' <<<"$out" && fail "as a program of runnerd: $(grep ': done$' <<<"$out" | tr '\n' ';')"
[[ $(grep -c ': refused' <<<"$out") -eq ${#tenant[@]} ]] || fail "as a program of runnerd: not every attempt was made"
denials | grep 'profile="auspex-unit"' >/dev/null || fail "nothing in the log under auspex-unit"

kill "$bystander"
for daemon in keyd stated netd runnerd; do
  [[ -d /proc/${pid[$daemon]} ]] || fail "$daemon did not live through it"
done
"${manager[@]}" stop auspex-vm-{netd,runnerd,stated,keyd}
[[ $failures -eq 0 ]] || { echo "$failures failed"; exit 1; }
echo "all profiles hold"
