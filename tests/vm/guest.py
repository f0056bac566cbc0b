# SPDX-License-Identifier: AGPL-3.0-only
"""Inside the machine, as root: runs what plan.json says, each run as a systemd unit, and tells the host by one JSON line an event.

The host must learn what happened up to a hang or a crash, so each line leaves at once. Only what Debian's minimal python3 has."""

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import time

HOME = pathlib.Path("/var/lib/auspex-vm")
PORT = "/dev/virtio-ports/auspex.results"
OUTPUT_TAIL = 200_000
JOURNAL_TAIL = 60_000


def tell(port, **event):
    line = (json.dumps(event) + "\n").encode()
    # The port takes 32 KiB at a time.
    while line:
        line = line[os.write(port, line):]


def output_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode(errors="replace")


def tail(path, octets):
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"({error})"
    return data[-octets:].decode(errors="replace")


def systemd_run(run, folder, plan):
    """The command line that runs it, and how to start that line: as root for PID 1's units, as the person for the person's."""
    user = pwd.getpwnam(run["user"])
    line = ["systemd-run", "--quiet", "--wait", "--pipe", f"--unit=auspex-run-{run['name']}", f"--working-directory={folder}",
            f"--property=RuntimeMaxSec={run['timeout']}", "--property=TimeoutStopSec=20"]
    environment = {"AUSPEX_REQUIRE_FULL": "1", "AUSPEX_BIN_DIR": plan["bin"], "AUSPEX_SOURCE_DIR": plan["source"], "HOME": str(folder),
                   "AUSPEX_TEST_PACE": plan["pace"]}
    start = {"env": {"PATH": os.environ["PATH"]}}
    if run["manager"] == "user":
        line.insert(1, "--user")
        runtime = f"/run/user/{user.pw_uid}"
        environment["XDG_RUNTIME_DIR"] = runtime
        start["env"] |= {"XDG_RUNTIME_DIR": runtime, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus"}
        start |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    elif run["user"] != "root":
        line.append(f"--property=User={run['user']}")
    line += [f"--property={text}" for text in run["properties"]]
    if any(text.startswith("ProtectSystem=") for text in run["properties"]):
        line.append(f"--property=ReadWritePaths={folder}")
    line += [f"--setenv={key}={value}" for key, value in environment.items()]
    return line + ["--"] + run["argv"], start


def manager_command(run, *words):
    if run["manager"] == "user":
        return output_of("systemctl", "--user", f"--machine={run['user']}@.host", *words)
    return output_of("systemctl", *words)


def do_run(port, run, plan):
    tell(port, event="begin", run=run["name"])
    folder = HOME / "runs" / run["name"]
    folder.mkdir(parents=True)
    user = pwd.getpwnam(run["user"])
    os.chown(folder, user.pw_uid, user.pw_gid)
    folder.chmod(0o700)
    out = HOME / f"{run['name']}.out"
    cursor = output_of("journalctl", "--quiet", "--lines=1", "--output=export", "--output-fields=MESSAGE")
    cursor = next((line[9:] for line in cursor.splitlines() if line.startswith("__CURSOR=")), "")
    line, start = systemd_run(run, str(folder), plan)
    begun = time.monotonic()
    with open(out, "wb") as sink:
        try:
            # systemd ends the unit; this is for a systemd that does not answer.
            code = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, check=False, timeout=run["timeout"] + 60,
                                  **start).returncode
        except subprocess.TimeoutExpired:
            code = -1
    seconds = time.monotonic() - begun
    unit = f"auspex-run-{run['name']}.service"
    reason = ""
    if code != 0:
        # A unit that failed stays until its state is reset, and says how it ended.
        shown = manager_command(run, "show", "--property=Result", "--value", unit).strip()
        reason = "no answer" if code == -1 else shown
        manager_command(run, "stop", unit)
        manager_command(run, "reset-failed", unit)
    xml = folder / "result.xml"
    event = {"event": "end", "run": run["name"], "code": code, "reason": reason, "seconds": round(seconds, 1),
             "output": tail(out, OUTPUT_TAIL), "xml": tail(xml, 4_000_000) if xml.exists() else ""}
    if code != 0:
        event["journal"] = output_of("journalctl", "--output=short-monotonic", "--no-hostname", *([f"--after-cursor={cursor}"] if cursor
                                     else []))[-JOURNAL_TAIL:]
    tell(port, **event)
    shutil.rmtree(folder, ignore_errors=True)


def main():
    plan = json.loads((HOME / "plan.json").read_text())
    # The tree may lie in a folder that only root of this machine can pass.
    for folder in pathlib.Path(plan["source"]).parents:
        folder.chmod(folder.stat().st_mode | 0o111)
    HOME.chmod(0o711)
    # qemu: a translated processor. Tests that wait for work get longer; none of them is told anything else.
    virtualization = output_of("systemd-detect-virt").strip()
    plan["pace"] = str((1 if virtualization == "kvm" else 10) * plan["patience"])
    if plan["person"]:
        return
    port = os.open(PORT, os.O_WRONLY)
    tell(port, event="boot", kernel=os.uname().release, seconds=round(time.clock_gettime(time.CLOCK_BOOTTIME), 1),
         failed=output_of("systemctl", "--failed", "--plain", "--no-legend").strip(),
         virtualization=virtualization)
    (HOME / "runs").mkdir(mode=0o711)
    for run in plan["runs"]:
        do_run(port, run, plan)
    tell(port, event="done")
    os.close(port)
    subprocess.run(["systemctl", "--no-block", "poweroff"], check=False)


if __name__ == "__main__":
    main()
