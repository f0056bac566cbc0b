# SPDX-License-Identifier: AGPL-3.0-only
"""Inside the machine, as root: runs what plan.json says, each run as a systemd unit, and tells the host by one JSON line an event.

The host must learn what happened up to a hang or a crash, so each line leaves at once. Only what Debian's minimal python3 has."""

import fcntl
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import threading
import time
from concurrent import futures

HOME = pathlib.Path("/var/lib/auspex-vm")
PORT = "/dev/virtio-ports/auspex.results"
OUTPUT_TAIL = 200_000
# Runs at a time: while one waits, the other goes on.
LANES = 2
SCHEDULER = pathlib.Path("/sys/kernel/debug/sched")
# linux/random.h
RNDRESEEDCRNG = 0x5207
JOURNAL_TAIL = 60_000
# Where the guest is: which run, which program of it, how long that run took so far, and whether the machine is to start again now.
FRESH = {"run": 0, "step": 0, "seconds": 0.0, "expected": False}


telling = threading.Lock()


def tell(port, **event):
    line = (json.dumps(event) + "\n").encode()
    with telling:
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


def systemd_run(run, argv, folder, plan):
    """The command line that runs it, and how to start that line: as root for PID 1's units, as the person for the person's."""
    user = pwd.getpwnam(run["user"])
    line = ["systemd-run", "--quiet", "--wait", "--pipe", f"--unit=auspex-run-{run['name']}", f"--working-directory={folder}",
            f"--property=RuntimeMaxSec={run['timeout']}", "--property=TimeoutStopSec=20"]
    environment = {"AUSPEX_REQUIRE_FULL": "1", "AUSPEX_BIN_DIR": plan["bin"], "AUSPEX_SOURCE_DIR": plan["source"], "HOME": str(folder),
                   "AUSPEX_TEST_PACE": plan["pace"], "AUSPEX_PACKAGES_DIR": str(HOME / "packages")}
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
    return line + ["--"] + argv, start


def manager_command(run, *words):
    if run["manager"] == "user":
        return output_of("systemctl", "--user", f"--machine={run['user']}@.host", *words)
    return output_of("systemctl", *words)


def journal_since(moment):
    text = output_of("journalctl", "--quiet", "--output=short-monotonic", "--no-hostname", f"--since=@{int(moment)}")
    return text[-JOURNAL_TAIL:]


def do_step(run, argv, plan):
    """One program of a run as a transient unit: its exit code, what systemd says of its end, and seconds. Output is appended to the run's."""
    unit = f"auspex-run-{run['name']}.service"
    line, start = systemd_run(run, argv, str(HOME / "runs" / run["name"]), plan)
    begun = time.monotonic()
    with open(HOME / f"{run['name']}.out", "ab") as sink:
        try:
            # systemd ends the unit; this is for a systemd that does not answer.
            code = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, check=False, timeout=run["timeout"] + 60,
                                  **start).returncode
        except subprocess.TimeoutExpired:
            code = -1
    seconds = time.monotonic() - begun
    reason = ""
    if code != 0:
        # A unit that failed stays until its state is reset, and says how it ended.
        shown = manager_command(run, "show", "--property=Result", "--value", unit).strip()
        reason = "no answer" if code == -1 else shown
        manager_command(run, "stop", unit)
        manager_command(run, "reset-failed", unit)
    return code, reason, seconds


def keep(state):
    """What must be known after the machine's next start; on the disk before this returns, with the runs' output so far."""
    for path in (*HOME.glob("*.out"), *HOME.glob("*.journal")):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    new = HOME / "state.json.new"
    with open(new, "w", encoding="utf-8") as file:
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    new.rename(HOME / "state.json")
    folder = os.open(HOME, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def start_again(port, run, state):
    """Ends this start of the machine between two programs of a run. Does not return."""
    tell(port, event="restart", run=run["name"], how=run["restart"])
    # The service that unpacks the second disk has done so.
    drop_in = pathlib.Path("/etc/systemd/system/auspex-vm.service.d/again.conf")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(f"[Service]\nExecStart=\nExecStart=/usr/bin/python3 {HOME}/guest.py\n")
    with open(drop_in, "rb") as file:
        os.fsync(file.fileno())
    keep(state | {"expected": True})
    if run["restart"] == "cut":
        # Nothing is written out and nobody is told, as when the power fails.
        pathlib.Path("/proc/sysrq-trigger").write_text("b")
    subprocess.run(["systemctl", "--no-block", "reboot"], check=False)
    while True:
        signal.pause()


def do_run(port, run, plan, state):
    """All programs of a run, or those that are left of it after a restart; the last event tells what came of it."""
    tell(port, event="begin", run=run["name"], step=state["step"])
    folder = HOME / "runs" / run["name"]
    if state["step"] == 0:
        folder.mkdir(parents=True)
        user = pwd.getpwnam(run["user"])
        os.chown(folder, user.pw_uid, user.pw_gid)
        folder.chmod(0o700)
    begun = time.time()
    if any(len(each["steps"]) > 1 for each in plan["runs"]):
        keep(state)
    code, reason, seconds = do_step(run, run["steps"][state["step"]], plan)
    state["seconds"] += seconds
    out, journal, xml = HOME / f"{run['name']}.out", HOME / f"{run['name']}.journal", folder / "result.xml"
    if code != 0 or len(run["steps"]) > 1:
        with open(journal, "a", encoding="utf-8") as file:
            file.write(journal_since(begun))
    if code == 0 and state["step"] + 1 < len(run["steps"]):
        start_again(port, run, state | {"step": state["step"] + 1})
    event = {"event": "end", "run": run["name"], "code": code, "reason": reason, "seconds": round(state["seconds"], 1),
             "output": tail(out, OUTPUT_TAIL), "xml": tail(xml, 4_000_000) if xml.exists() else ""}
    if code != 0:
        event["journal"] = tail(journal, len(run["steps"]) * JOURNAL_TAIL)
    tell(port, **event)
    shutil.rmtree(folder, ignore_errors=True)


def left_to_do(port, plan):
    """Where to begin: the state for the first run, which may have begun before a restart that it asked for."""
    path = HOME / "state.json"
    if not path.exists():
        return FRESH
    state = json.loads(path.read_text(encoding="utf-8"))
    if state["expected"]:
        return state | {"expected": False}
    # It was not asked for: the run that went on then has failed.
    name = plan["runs"][state["run"]]["name"]
    tell(port, event="begin", run=name, step=state["step"])
    tell(port, event="end", run=name, code=-1, reason="the machine started again by itself", seconds=round(state["seconds"], 1),
         output=tail(HOME / f"{name}.out", OUTPUT_TAIL), xml="", journal=output_of("journalctl", "--boot=-1")[-JOURNAL_TAIL:])
    return FRESH | {"run": state["run"] + 1}


def do_all(port, plan):
    """Every run, or those that were left when the machine started again; so many at a time as there are processors, but for those
    that must be alone, and on a machine that starts again, of which one place must be known."""
    state = left_to_do(port, plan)
    lanes = 1 if any(len(run["steps"]) > 1 for run in plan["runs"]) else LANES
    going = set()

    def wait_for(room):
        nonlocal going
        while len(going) > room:
            done, going = futures.wait(going, return_when=futures.FIRST_COMPLETED)
            for each in done:
                each.result()

    with futures.ThreadPoolExecutor(lanes) as pool:
        for number in range(state["run"], len(plan["runs"])):
            run = plan["runs"][number]
            wait_for(0 if run["alone"] else lanes - 1)
            going.add(pool.submit(do_run, port, run, plan, state | {"run": number}))
            state = FRESH
            if run["alone"] or lanes == 1:
                wait_for(0)
        wait_for(0)


def prepare(plan):
    """What is done once, when the second disk has been unpacked."""
    # The tree may lie in a folder that only root of this machine can pass.
    for folder in pathlib.Path(plan["source"]).parents:
        folder.chmod(folder.stat().st_mode | 0o111)
    HOME.chmod(0o711)
    (HOME / "runs").mkdir(mode=0o711)
    if plan["packages"]:
        # A host that never had Auspex: its users are the packages' to make.
        for daemon in ("keyd", "stated", "netd", "runnerd"):
            subprocess.run(["userdel", f"auspex-{daemon}"], check=True)


def catch_up(plan):
    """A machine that was kept as it had booted has the clock and the random numbers of that time. Any other is in time."""
    time.clock_settime(time.CLOCK_REALTIME, max(time.time(), plan["now"]))
    with open("/dev/urandom", "r+b", buffering=0) as device:
        device.write(bytes.fromhex(plan["random"]))
        fcntl.ioctl(device, RNDRESEEDCRNG)


def change_processes_less_often():
    """What a translated processor has translated must be found anew after each change of process, which is a fifth of its time. Whoever runs
    goes on for longer than the kernel's 1 to 6 ms before another that woke up comes: a tenth less for everything."""
    if not SCHEDULER.is_dir():
        subprocess.run(["mount", "-t", "debugfs", "debugfs", SCHEDULER.parent], check=True)
    for name in ("min_granularity_ns", "latency_ns", "wakeup_granularity_ns"):
        # Linux 6.6 and later have others.
        if (SCHEDULER / name).exists():
            (SCHEDULER / name).write_text("10000000")


def main():
    plan = json.loads((HOME / "plan.json").read_text())
    if not (HOME / "runs").exists():
        catch_up(plan)
        prepare(plan)
    # qemu: a translated processor. Tests that wait for work get longer; none of them is told anything else.
    virtualization = output_of("systemd-detect-virt").strip()
    plan["pace"] = str((1 if virtualization == "kvm" else 10) * plan["patience"])
    if virtualization != "kvm":
        change_processes_less_often()
    if plan["person"]:
        return
    port = os.open(PORT, os.O_WRONLY)
    tell(port, event="boot", kernel=os.uname().release, seconds=round(time.clock_gettime(time.CLOCK_BOOTTIME), 1),
         failed=output_of("systemctl", "--failed", "--plain", "--no-legend").strip(),
         virtualization=virtualization)
    do_all(port, plan)
    tell(port, event="done")
    os.close(port)
    subprocess.run(["systemctl", "--no-block", "poweroff"], check=False)


if __name__ == "__main__":
    main()
