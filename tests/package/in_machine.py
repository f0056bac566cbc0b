#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""in_machine.py PART...: the Debian packages in the machine of ./dev vm, which they change; each part goes on from where the one before it left
the machine. The first that is not as it should be ends it with 1.

  install     users, profiles, the trial of the sandbox and what it says on a host that cannot; nothing runs
  unlooked    the packages install, and nothing is looked at
  start       services, a coordinator, enrolment
  work        twenty units of the real experiment, receipts verified, and the kernel denied nothing
  limits      caps of memory and processes, freeze, and an end at once, each on a tenant's program under the profiles
  self-test   every known way out of the sandbox, tried by the command of the package
  upgrade     a newer package comes while units run
  in-flight   leaves units running, for a restart of the machine
  again       after that restart: nothing is lost
  remove      the services are gone, state and key stay, and a new installation goes on with them
  purge       with both answers to the question what becomes of the key
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import coordinator  # noqa: E402
import worker  # noqa: E402
from worker import apt, auspex, done, must, run, told, wait  # noqa: E402

KEPT = pathlib.Path("/var/lib/auspex-vm/package-test")
PRERM, POSTINST = "/var/lib/dpkg/info/auspex.prerm", "/var/lib/dpkg/info/auspex.postinst"
WORKS = "auspex: the strict sandbox works on this host"
SLEEP = "sleep {}\nprintf '{{\"payload\":{{\"ok\":true}}}}' > \"$4\"\n"
LATER = "(of the later version)"
OFFERS = 3  # coordd's --max-offers
lab = coordinator.Coordinator()


def staged(name, label, script=None):
    """A label is taken once; a part may be run again."""
    return coordinator.package(name, f"package-{label}-{time.time_ns() // 10**9}", script)


def version():
    return done("dpkg-query", "-W", "-f", "${Version}", "auspex")


def named_auspex():
    """Every file that has the name, but what is the test's own."""
    own = ("/var/lib/auspex-vm", "/var/lib/auspex-coordinator", "/etc/systemd/system/auspex-vm", "/usr/local/sbin/auspex-vm",
           "/etc/systemd/system/default.target.wants/auspex-vm", "/etc/systemd/journald.conf.d/auspex-vm",
           "/var/log", "/tmp/", os.environ["AUSPEX_SOURCE_DIR"])
    found = done("find", "/etc", "/usr", "/var", "/home", "/root", "/opt", "/srv", "-xdev", "-name", "*auspex*").splitlines()
    found += [path for path in ("/run/auspex", "/run/auspex-restart") if os.path.exists(path)]
    return sorted(path for path in found if not path.startswith(own))


def install():
    must(not worker.users(), f"there are users already: {worker.users()}")
    must(not named_auspex(), f"there are files already: {named_auspex()}")
    text = apt("install", *worker.packages())
    must(WORKS in text, f"the installation does not say that the sandbox works:\n{text}")
    must(worker.users() == ["auspex", *sorted(f"auspex-{daemon}" for daemon in worker.DAEMONS)], f"users: {worker.users()}")
    worker.check_profiles()
    must(worker.shown("auspex.target", "ActiveState") == "inactive", "it started something")
    must(run("pgrep", "-f", "/usr/libexec/auspex")[0] == 1, "a daemon runs")
    for name in worker.PACKAGES:
        # The machine's dpkg leaves documents out.
        other = [line for line in done("dpkg", "--verify", name).splitlines() if not re.match(r"missing +/usr/share/(doc|man)/", line)]
        must(not other, f"{name} is not as it was packed: {other}")
    # A host that gives no user namespaces: the installation succeeds all the same and says what to do.
    done("sysctl", "-q", "kernel.unprivileged_userns_clone=0")
    text = done(POSTINST, "configure", version())
    done("sysctl", "-q", "kernel.unprivileged_userns_clone=1")
    for words in ("the strict sandbox cannot be built on this host", "kernel.unprivileged_userns_clone=1", "To try again: auspex --system doctor"):
        must(words in text, f"on a host without user namespaces the installation says:\n{text}")
    must(WORKS in done(POSTINST, "configure", version()), "it does not work again")
    worker.check_no_denials()


def install_by_dpkg():
    """As apt-get does it, but for what apt-get itself does with the files, which is a quarter of the time."""
    done("dpkg", "--install", *worker.packages(), env=worker.NOBODY_ASKED)


def unlooked():
    install_by_dpkg()


def start():
    lab.start()
    worker.configure()
    done("systemctl", "enable", "--now", "auspex.target")
    worker.check_services()
    must(worker.label(worker.shown(lab.unit, "MainPID")) == "auspex-coordd (enforce)", "the coordinator has another profile")
    must("enrolled" in auspex("bootstrap"), "it is not enrolled")
    auspex("sandbox", "probe")
    must(told("key", "show")["seal"] == "credential", f"the key: {told('key', 'show')}")
    doubts = [check for check in told("doctor")["checks"] if check["state"] != "ok"]
    must(not doubts, f"the doctor says {doubts}")
    auspex("audit", "verify")
    wait(30, "the worker is idle", lambda: told("status")["state"] == "idle")
    worker.check_no_denials()


def work():
    experiment = lab.submit(staged("robustness-sweep", "twenty"), coordinator.sweep(20))
    begun = time.monotonic()
    worker.check_all_done(lab, experiment, 20, 90)
    print(f"20 units of the real experiment in {time.monotonic() - begun:.0f} s, all receipts verified")
    worker.check_no_denials()


def one_unit(name, script, payload=None):
    return lab.submit(staged("noop", name, script), [{"unit_id": f"{name}-0", "payload": payload or {}}])


def reasons(experiment):
    """Why its unit was given back, newest first; the coordinator offers it again, up to OFFERS times."""
    return [row["reason"] for row in told("queue", "--limit", "200")["rows"] if row["experiment_id"] == experiment and row["action"] == "runner_failed"]


def given_up(experiment, end_it=lambda: None):
    """Until the coordinator has offered the experiment's unit as often as it offers one; `end_it` is called until then."""

    def offered():
        if len(reasons(experiment)) == OFFERS:
            return True
        if told("status")["units"]["running"]:
            end_it()
        return False

    wait(120, f"the unit of {experiment} is given back {OFFERS} times", offered)
    wait(30, "the worker is idle", lambda: told("status")["state"] == "idle")
    must(len(reasons(experiment)) == OFFERS, f"the unit of {experiment} came once more")


def refused(experiment):
    wait(60, f"the unit of {experiment} is given back", lambda: reasons(experiment) or lab.completed(experiment))
    given_up(experiment)
    must(not lab.completed(experiment), f"the unit of {experiment} came to its end")
    return reasons(experiment)[0]


def limits():
    worker.configure("[sandbox]\nmemory_max_mb = 64\n")
    # Each process stays below its own bound; together they are beyond the unit's.
    hog = "(head -c 40000000 /dev/zero; sleep 100) | tail -c 40000000 > /dev/null &\n"
    reason = refused(one_unit("memory", f"{hog * 4}wait\n{SLEEP.format(0)}"))
    must(reason == "out of memory: the unit's limit of 64 MiB", f"refused for '{reason}'")
    print(reason)

    forks = f"for i in $(seq 40); do sleep 2 & done\nwait\n{SLEEP.format(0)}"
    worker.configure("[sandbox]\npids_max = 24\n")
    reason = refused(one_unit("processes", forks))
    must(reason.endswith("Cannot fork"), f"refused for '{reason}'")
    worker.configure()
    worker.check_all_done(lab, one_unit("processes", forks), 1, 60)
    print("41 processes are too many for a limit of 24 and few for one of 512")

    seconds = max(8, int(1.2 * worker.pace()))
    experiment = one_unit("frozen", SLEEP.format(seconds))
    folder, labels = wait(60, "it runs", lambda: next(((folder, labels) for folder, labels in worker.running().items() if len(labels) == 4), None))
    must(list(labels.values()) == ["auspex-runnerd//&auspex-sandbox (enforce)"] + [worker.TENANT] * 3, f"its processes run under {labels}")
    events = pathlib.Path(folder) / "cgroup.events"
    worker.configure("[governor]\nmin_free_disk_mb = 1000000000\n")
    wait(30, "it is frozen", lambda: "frozen 1" in events.read_text())
    wait(30, "status says so", lambda: told("status")["units"]["frozen"] == 1)
    # Longer than it would have gone on for.
    time.sleep(1.2 * seconds)
    must(lab.completed(experiment) == 0 and "frozen 1" in events.read_text(), "it went on")
    worker.configure()
    worker.check_all_done(lab, experiment, 1, 60)
    print("a unit under way was frozen and went on")

    experiment = one_unit("ended", "trap '' TERM\nwhile :; do sleep 1000; done\n")
    folder, labels = wait(60, "it runs", lambda: next(((folder, labels) for folder, labels in worker.running().items() if len(labels) == 4), None))
    auspex("abort", "ended-0", "--grace-seconds", "0")
    wait(30, "its cgroup is gone", lambda: not pathlib.Path(folder).exists())
    must(not [pid for pid in labels if pathlib.Path(f"/proc/{pid}").exists()], "a process of it is left")
    wait(30, "it is given back", lambda: "aborted by the owner" in reasons(experiment))
    # It comes again as often as it is offered, and would run for as long as a unit may.
    given_up(experiment, lambda: run("/usr/bin/auspex", "--system", "abort", "ended-0", "--grace-seconds", "0"))
    print("a unit that ignores SIGTERM was ended with its cgroup")
    worker.check_no_denials()


def self_test():
    code, text = run("/usr/bin/auspex", "--system", "sandbox", "self-test")
    must(code == 0 and text.count(" held") > 180, f"the self-test ended with {code}:\n{text}")
    print(text.splitlines()[-1])


def newer_packages(folder):
    """The same programs as a later version, as it would come."""
    files = []
    for path in worker.packages():
        tree = pathlib.Path(folder) / path.name
        done("dpkg-deb", "-R", path, tree)
        control = tree / "DEBIAN" / "control"
        old = re.search(r"^Version: (.*)$", control.read_text(), re.MULTILINE)[1]
        unit = tree / "lib/systemd/system/auspex-keyd.service"
        if path.name.startswith("auspex_"):
            unit.write_text(unit.read_text().replace("\nDescription=", f"\nDescription={LATER} "))
        control.write_text(control.read_text().replace(f"Version: {old}\n", f"Version: {old}+later\n").replace(f"(= {old})", f"(= {old}+later)"))
        files.append(pathlib.Path(folder) / f"later-{path.name}")
        done("dpkg-deb", "-Znone", "-b", tree, files[-1])
    return files


def in_flight(name, seconds):
    """Two units that run for longer than what is to come between takes, which is `seconds` on a host that is not translated, and what waits
    behind them; (experiment, another) once both run."""
    seconds = max(8, int(seconds * worker.pace()))
    long_one = lab.submit(staged("noop", f"{name}-long", SLEEP.format(seconds)),
                          [{"unit_id": f"{name}-long-{i}", "payload": {}} for i in range(2)])
    wait(60, "both long units run", lambda: len(worker.running()) == 2)
    return long_one, lab.submit(staged("noop", name, SLEEP.format(0)), [{"unit_id": f"{name}-{i}", "payload": {}} for i in range(4)])


def identity():
    return told("status")["worker_id"], told("key", "show")["public_key"]


def interrupted():
    """Whoever will not wait for what runs finds the worker at work as before."""
    script = subprocess.Popen([PRERM, "upgrade", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    must(b"waiting for 2 running units" in script.stdout.readline(), "it did not wait for what ran")
    must(told("status")["self_paused"] is True, "it waits for units and takes others")
    script.terminate()
    must(script.wait() != 0, "a wait that was interrupted ended well")
    must(told("status")["self_paused"] is False, "it stays paused")
    done(POSTINST, "abort-upgrade", version())
    worker.check_services()


def upgrade():
    before, pid = identity(), worker.shown("auspex-keyd.service", "MainPID")
    with tempfile.TemporaryDirectory() as folder:
        later = newer_packages(folder)
        experiments = in_flight("upgrade", 3)
        interrupted()
        text = done("dpkg", "--install", *later, env=worker.NOBODY_ASKED)
    must(re.search(r"waiting for 2 running units", text), f"it did not wait for what ran:\n{text}")
    must(version().endswith("+later"), version())
    must(worker.shown("auspex-keyd.service", "MainPID") != pid, "the old program runs on")
    must(LATER in worker.shown("auspex-keyd.service", "Description"), "systemd does not know the newer unit")
    worker.check_services()
    worker.check_profiles()
    must(identity() == before, f"{before} became {identity()}")
    must(told("status")["self_paused"] is False, "it stays paused")
    for experiment, count in zip(experiments, (2, 4)):
        worker.check_all_done(lab, experiment, count, 60)
        must(not lab.progress(experiment)["refusals"], f"units were given back: {lab.progress(experiment)}")
    worker.check_no_denials()


def before_restart():
    KEPT.mkdir(parents=True, exist_ok=True)
    experiments = in_flight("restart", 1.5)
    (KEPT / "in-flight").write_text("\n".join((*experiments, *identity())))
    subprocess.run(["sync"], check=True)
    must(len(worker.running()) == 2, "the long units ended too early to show anything")


def again():
    *experiments, name, key = (KEPT / "in-flight").read_text().split("\n")
    # Nobody starts the worker: it is enabled.
    worker.check_services()
    worker.check_profiles()
    lab.start()
    must(identity() == (name, key), f"{name}, {key} became {identity()}")
    for experiment, count in zip(experiments, (2, 4)):
        worker.check_all_done(lab, experiment, count, 120)
    begun = [row for row in told("queue", "--limit", "200")["rows"] if row["experiment_id"] == experiments[0] and row["action"] == "running"]
    must(len(begun) >= 4, f"the long units did not begin a second time, so that the restart came after their end: {begun}")
    worker.check_no_denials()


def loaded_profiles():
    return re.findall("^auspex.*", pathlib.Path("/sys/kernel/security/apparmor/profiles").read_text(), re.MULTILINE)


def remove():
    done("systemctl", "start", "auspex.target")
    worker.check_services()
    before = identity()
    # As when dpkg takes a removal back.
    done(PRERM, "remove")
    must(worker.shown("auspex.target", "ActiveState") == "inactive" and not loaded_profiles(), "a removal leaves something in force")
    done(POSTINST, "abort-remove")
    worker.check_services()
    worker.check_profiles()
    apt("remove", "auspex")
    must(worker.shown("auspex.target", "LoadState") == "not-found", "systemd still knows the units")
    must(run("pgrep", "-f", "/usr/libexec/auspex")[0] == 1, "a daemon runs on")
    must(not loaded_profiles(), "profiles stay loaded")
    must(not pathlib.Path("/run/auspex/keyd/owner.sock").exists(), "a socket stays")
    must(pathlib.Path("/var/lib/auspex/keyd/key.sealed").exists(), "the key is gone")
    must(pathlib.Path("/etc/auspex/worker.toml").exists(), "the configuration is gone")
    install_by_dpkg()
    done("systemctl", "enable", "--now", "auspex.target")
    worker.check_services()
    must(identity() == before, f"{before} became {identity()}")


def answer(word):
    done("sh", "-c", f"echo 'auspex auspex/purge-key select {word}' | debconf-set-selections")


def purge():
    _, key = identity()
    answer("keep")
    apt("purge", *worker.PACKAGES)
    left = [path for path in named_auspex() if not path.startswith(("/var/lib/auspex/keyd", "/etc/credstore.encrypted/auspex-keyd-seal"))]
    must(left == ["/var/lib/auspex"], f"beside the key this is left: {left}")
    must(worker.users() == ["auspex-keyd"], f"users: {worker.users()}")
    # The kept key is of use.
    install_by_dpkg()
    worker.configure()
    done("systemctl", "enable", "--now", "auspex.target")
    worker.check_services()
    must(told("key", "show")["public_key"] == key, f"{key} became {told('key', 'show')}")
    answer("delete")
    apt("purge", *worker.PACKAGES)
    must(not named_auspex(), f"this is left: {named_auspex()}")
    must(not worker.users(), f"users: {worker.users()}")
    must(not loaded_profiles(), "profiles stay loaded")
    must(worker.shown("auspex.target", "LoadState") == "not-found", "systemd still knows the units")
    must("auspex/" not in done("debconf-show", "auspex"), "the answer stays")
    must(not [line for line in done("systemctl", "list-unit-files", "--no-legend", "auspex*").splitlines() if "auspex-vm" not in line
              and "auspex-run" not in line], "units stay")


PARTS = {"install": install, "unlooked": unlooked, "start": start, "work": work, "limits": limits, "self-test": self_test, "upgrade": upgrade,
         "in-flight": before_restart, "again": again, "remove": remove, "purge": purge}


def main(names):
    sys.stdout.reconfigure(line_buffering=True)
    if not names or set(names) - set(PARTS):
        print(__doc__, file=sys.stderr)
        return 2
    # The kernel would drop lines about what happens often.
    done("sysctl", "-q", "kernel.printk_ratelimit=0")
    for name in names:
        begun = time.monotonic()
        try:
            PARTS[name]()
        except (worker.Failed, RuntimeError) as failed:
            print(f"FAILED {name}: {failed}", flush=True)
            return 1
        print(f"{name}: as it should be, {time.monotonic() - begun:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
