# SPDX-License-Identifier: AGPL-3.0-only
"""The worker as the Debian package installs it, looked at as root of the machine that it lives in."""

import glob
import json
import os
import pathlib
import re
import subprocess
import time

import coordinator

DAEMONS = ("keyd", "stated", "netd", "runnerd")
PROFILES = ("auspex", "auspex//manager", "auspex-coordd", "auspex-keyd", "auspex-keyd-secrets", "auspex-netd", "auspex-runnerd", "auspex-sandbox",
            "auspex-stated", "auspex-unit")
PACKAGES = ("auspex", "auspex-coordinator", "auspex-examples")
UNITS = "/sys/fs/cgroup/system.slice/auspex-runnerd.service/auspex-units-*/unit-*"
NOBODY_ASKED = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
TENANT = "auspex-runnerd//&auspex-sandbox//&auspex-unit (enforce)"


class Failed(Exception):
    """What was to be shown is not so."""


def pace():
    return max(1.0, float(os.environ.get("AUSPEX_TEST_PACE", "1")))


def must(right, words):
    if not right:
        raise Failed(words)


def run(*command, **more):
    """Exit code and both outputs together."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          **more)
    return done.returncode, done.stdout.decode(errors="replace")


def done(*command, **more):
    code, text = run(*command, **more)
    must(code == 0, f"{' '.join(str(word) for word in command)} ended with {code}: {text[-3000:]}")
    return text


def wait(seconds, what, reached):
    """Until `reached()` is true, whose value comes back; `seconds` are those of a host and follow the pace."""
    begun = time.monotonic()
    end = begun + seconds * pace()
    while True:
        value = reached()
        if value:
            return value
        must(time.monotonic() < end, f"not in {seconds * pace():.0f} s: {what}")
        # A translated processor has enough to do without being asked.
        time.sleep(min(max((time.monotonic() - begun) / 8, 0.1), 0.5 if pace() == 1 else 1.5))


def auspex(*words):
    return done("/usr/bin/auspex", "--system", *words)


def told(*words):
    return json.loads(auspex(*words, "--json"))


def configure(more=""):
    """The coordinator of this machine, which is asked as often as the machine bears; `more` are further tables. Most of it holds in a moment."""
    often = 1 if pace() == 1 else 3
    pathlib.Path("/etc/auspex/worker.toml").write_text(
        f'[coordinator]\nurl = "{coordinator.URL}"\nheartbeat_interval_seconds = {often}\nassignment_poll_interval_seconds = {often / 3:.1f}\n'
        f'[executor]\nexecute_tenant_code = "provisioned"\n[resources]\nslots = 2\n{more}', encoding="utf-8")


def apt(*words):
    """apt-get as a person uses it, whom nobody asks anything."""
    return done("apt-get", "--yes", "-o", "Dpkg::Use-Pty=0", *words, env=NOBODY_ASKED)


def packages():
    """The files of the built packages."""
    folder = pathlib.Path(os.environ["AUSPEX_PACKAGES_DIR"])
    files = [path for name in PACKAGES for path in sorted(folder.glob(f"{name}_*.deb"))]
    must(len(files) == len(PACKAGES), f"{folder} has {[path.name for path in files]} and not one file for each of {PACKAGES}")
    return files


def users():
    return sorted({line.split(":")[0] for path in ("/etc/passwd", "/etc/group") for line in pathlib.Path(path).read_text().splitlines()
                   if line.startswith("auspex")})


def label(pid):
    return pathlib.Path(f"/proc/{pid}/attr/current").read_text().strip()


def shown(unit, name):
    return done("systemctl", "show", "--value", f"--property={name}", unit).strip()


def check_profiles():
    """aa-status: each profile is there and enforced, none only complains."""
    status = json.loads(done("aa-status", "--json"))
    ours = {name: mode for name, mode in status["profiles"].items() if name.startswith("auspex")}
    must(ours == {name: "enforce" for name in PROFILES}, f"aa-status says {ours}")


def check_services():
    """All four run, each under its own profile and user."""
    for daemon in DAEMONS:
        unit = f"auspex-{daemon}.service"
        wait(30, f"{unit} is active", lambda unit=unit: shown(unit, "ActiveState") == "active")
        pid = shown(unit, "MainPID")
        must(label(pid) == f"auspex-{daemon} (enforce)", f"{unit} runs under '{label(pid)}'")
        must(pathlib.Path(f"/proc/{pid}").owner() == f"auspex-{daemon}", f"{unit} is {pathlib.Path(f'/proc/{pid}').owner()}'s")


def denials():
    """What the kernel denied our profiles since it started."""
    return [line for line in done("dmesg").splitlines() if 'apparmor="DENIED"' in line and 'profile="auspex' in line]


def check_no_denials():
    lines = {re.sub(r"^.*apparmor=| (pid|comm|fsuid|ouid)=\S+", "", line) for line in denials()}
    must(not lines, "the kernel denied what is needed:\n" + "\n".join(sorted(lines)))


def running():
    """unit's cgroup -> {pid: label} of those that have processes."""
    found = {}
    for folder in glob.glob(UNITS):
        labels = {}
        try:
            for pid in (pathlib.Path(folder) / "cgroup.procs").read_text().split():
                labels[pid] = label(pid)
        except OSError:
            continue  # ended meanwhile
        if labels:
            found[folder] = labels
    return found


def receipts(experiment):
    """unit -> status of its receipt. The worker calls one canonical when it has verified it."""
    return {row["unit_id"]: row["receipt_status"] for row in told("receipts", "list", "--limit", "200")["results"]
            if row["experiment_id"] == experiment}


def check_all_done(lab, experiment, count, seconds):
    """Each unit is completed once, strictly, and its receipt verified."""
    wait(seconds, f"{count} units of {experiment} are completed", lambda: lab.completed(experiment) == count)
    results = lab.results(experiment)
    must(len(results) == count, f"{len(results)} units with results")
    for unit, each in results.items():
        must(len(each) == 1 and each[0]["ran_under"] == "strict" and each[0]["exit_code"] == 0, f"{unit} has {each}")
    wait(30, "all receipts are verified", lambda: list(receipts(experiment).values()) == ["canonical"] * count)
