#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""./dev vm: boots the machine and brings back what its runs came to. See docs/VM.md.

  vm.py test [RUN...]     all runs of runs.toml, or those
  vm.py exec [--packages] USER COMMAND
                          a line for sh, as that user of the machine; with the packages of build/deb and without their users
  vm.py shell             root at the machine's serial console; `poweroff` ends it
  vm.py list              the table

The image must have been made (image/make.sh). Everything that a run leaves for a person is in build/vm/last.
"""

import fcntl
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from concurrent import futures

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import booted  # noqa: E402
import machine  # noqa: E402
import table  # noqa: E402
import verdict  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
BUILD = SOURCE / "build" / "release"
VM = SOURCE / "build" / "vm"
IMAGE = VM / "image"
LAST = VM / "last"
GUEST = "var/lib/auspex-vm"

# On a host with much else to do, all times of this file and of the table are multiplied by this; so is the tests' own pace.
PATIENCE = max(1, int(os.environ.get("AUSPEX_VM_PATIENCE", "1")))
# Machines at a time; each takes 3 GiB. More than there are processors hinder one another.
MACHINES = max(1, int(os.environ.get("AUSPEX_VM_MACHINES", "2")))
# Seconds without KVM, where a boot takes half a minute on a free machine.
BOOT_TIMEOUT = 300 * PATIENCE
SHUTDOWN_TIMEOUT = 120 * PATIENCE
# What a run may take beyond its own timeout until the guest says so.
SLACK = 150 * PATIENCE


# One machine's disk at a time: what all are handed is read and stripped once.
packing = threading.Lock()


class VmError(Exception):
    """The machine, not a test, failed."""


def guest_steps(run):
    """The programs of a run; between two of them the machine is started again."""
    if run.command:
        return [["/bin/sh", "-c", line] for line in run.lines]
    return [[str(BUILD / "tests" / run.test), f"--gtest_filter={run.filter}", "--gtest_color=no",
            f"--gtest_output=xml:/{GUEST}/runs/{run.name}/result.xml"]]


def packages_to_install():
    """The packages that ./dev deb made, without those of debugging symbols, which are large. Raises VmError when there are none."""
    found = sorted(path for path in (SOURCE / "build" / "deb").glob("*.deb") if "-dbgsym_" not in path.name)
    if not found:
        raise VmError("build/deb has no packages, which a run installs: ./dev deb makes them")
    return found


def readable(member):
    """In the machine everything is root's and everyone may read it, however the tree lies on this host."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode |= 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def add_file(archive, name, data, mode=0o644):
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(data), mode, int(time.time())
    archive.addfile(member, io.BytesIO(data))


@functools.cache
def stripped(path):
    """The program without its symbols; nothing for what strip does not know. Each machine gets the same."""
    with tempfile.TemporaryDirectory() as folder:
        small = pathlib.Path(folder) / "small"
        done = subprocess.run(["strip", "-o", small, path], stderr=subprocess.DEVNULL, check=False)
        return small.read_bytes() if done.returncode == 0 else b""


def add_program(archive, path):
    """A program at its own path, without its symbols: the machine unpacks slowly. What strip does not know is taken as it is."""
    if path.is_symlink() or not stripped(path):
        archive.add(path, str(path)[1:], filter=readable)
    else:
        add_file(archive, str(path)[1:], stripped(path), 0o755)


def write_share(path, runs, person):
    """The second disk: sources, programs, and the tests of these runs at the paths that they have here, since tests know those."""
    plan = {"source": str(SOURCE), "bin": str(BUILD / "bin"), "now": time.time(), "random": os.urandom(64).hex(), "person": person,
            "patience": PATIENCE,
            "runs": [{"name": run.name, "user": run.user, "manager": run.manager,
                      "properties": table.properties_of(run, SOURCE / "deploy" / "systemd"),
                      "timeout": run.timeout * PATIENCE, "steps": guest_steps(run), "restart": run.restart, "alone": run.alone} for run in runs],
            "packages": any(run.packages for run in runs)}
    # Also those that a command names.
    wanted = {run.test for run in runs if run.test} | {word for run in runs for line in run.lines for word in re.findall(r"\w+_test|bench_\w+", line)}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        add_file(archive, f"{GUEST}/plan.json", json.dumps(plan).encode())
        add_file(archive, f"{GUEST}/guest.py", (HERE / "guest.py").read_bytes())
        for entry in sorted(SOURCE.iterdir()):
            if entry.name not in ("build", ".git", ".cache"):
                archive.add(entry, str(entry)[1:], filter=readable)
        if plan["packages"]:
            for package in packages_to_install():
                archive.add(package, f"{GUEST}/packages/{package.name}", filter=readable)
        for program in sorted((BUILD / "bin").iterdir()):
            add_program(archive, program)
        if (BUILD / "share").exists():
            # As it is: manifests name its files by their digests.
            archive.add(BUILD / "share", str(BUILD / "share")[1:], filter=readable)
        for entry in sorted((BUILD / "bench").glob("bench_*")):
            if entry.name in wanted:
                add_program(archive, entry)
        for entry in sorted((BUILD / "tests").iterdir()):
            # Test binaries are many and large: those of the runs, and whatever tests start that is no test itself.
            is_test = entry.name.endswith("_test")
            if entry.is_file() and os.access(entry, os.X_OK) and (entry.name in wanted or person or not is_test):
                add_program(archive, entry)
    if path.stat().st_size > machine.SHARE_OCTETS:
        raise VmError(f"what the machine is handed is larger than {machine.SHARE_OCTETS >> 20} MiB: see machine.SHARE_OCTETS")
    os.truncate(path, machine.SHARE_OCTETS)


class Results:
    """The events that the guest has told so far, in order; whole lines only."""

    def __init__(self, path):
        self.path, self.offset = path, 0

    def take(self):
        if not self.path.exists():
            return []
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self.offset += end
        try:
            return [json.loads(line) for line in data[:end].decode(errors="replace").split("\n") if line]
        except json.JSONDecodeError as error:
            raise VmError(f"the machine told something that is no event: {error}") from error


def follow(vm, runs, on_event):
    """Calls on_event for each event until the guest is done and off. Raises VmError for a machine that hangs or ends early."""
    results, by_name = Results(vm.results), {run.name: run for run in runs}
    # What it is at, several runs maybe, each with the moment by which more must have been heard.
    doing = {"its start": time.monotonic() + BOOT_TIMEOUT}
    while True:
        over = vm.ended()
        for event in results.take():
            on_event(event)
            if event["event"] == "restart":
                doing = {f"its start in the middle of run '{event['run']}'": time.monotonic() + SHUTDOWN_TIMEOUT + BOOT_TIMEOUT}
            elif event["event"] == "begin":
                doing = {what: end for what, end in doing.items() if what.startswith("run ")}
                doing[f"run '{event['run']}'"] = time.monotonic() + by_name[event["run"]].timeout * PATIENCE + SLACK
            elif event["event"] == "end":
                doing.pop(f"run '{event['run']}'", None)
                doing = doing or {f"the end of run '{event['run']}'": time.monotonic() + SLACK}
            elif event["event"] == "done":
                if not vm.wait(SHUTDOWN_TIMEOUT):
                    raise VmError(f"the machine was not off {SHUTDOWN_TIMEOUT} s after its last run")
                return
        if over:
            raise VmError(f"the machine ended during {' and '.join(doing)}")
        for what, end in doing.items():
            if time.monotonic() > end:
                raise VmError(f"the machine hangs in {what}: nothing came from it in time")
        time.sleep(0.2)


def longest(runs):
    """Seconds that these runs may take by the table."""
    return sum(run.timeout * (len(run.lines) if run.command else 1) for run in runs)


def boot(runs, on_event):
    """One machine for each key of the table, as many at a time as MACHINES says, those first that may take longest. A machine that fails lets
    those beside it come to their end, and no others begin."""
    if any(run.packages for run in runs):
        packages_to_install()
    shutil.rmtree(LAST, ignore_errors=True)
    groups = [[run for run in runs if run.machine_key == key] for key in dict.fromkeys(run.machine_key for run in runs)]
    groups.sort(key=longest, reverse=True)
    kept = kept_for(groups)
    telling, going, over = threading.Lock(), [], threading.Event()

    def tell(event):
        with telling:
            on_event(event)

    with futures.ThreadPoolExecutor(MACHINES) as pool:
        waiting = [pool.submit(boot_one, group, LAST / f"machine-{number}", kept[start_of(group)], tell, going, over)
                   for number, group in enumerate(groups)]
        try:
            futures.wait(waiting, return_when=futures.FIRST_EXCEPTION)
        except BaseException:
            # Whoever ends this program ends its machines: those that run, and by `over` one that is just being started.
            over.set()
            for vm in list(going):
                vm.stop()
            raise
        finally:
            for each in waiting:
                each.cancel()
    failed = [str(each.exception()) for each in waiting if not each.cancelled() and isinstance(each.exception(), VmError)]
    if failed:
        raise VmError("\n".join(failed))
    for each in waiting:
        each.result()


def start_of(runs):
    """(kernel, packages): what the start of a machine for these runs depends on."""
    return runs[0].kernel, runs[0].packages


def kept_for(groups):
    """start_of(group) -> the booted machine that is kept for it, or None where none is."""
    kept = {}
    for kernel, packages in dict.fromkeys(start_of(group) for group in groups):
        digest = hashlib.sha256(kernel.encode()).hexdigest()[:8] if kernel else ""
        name = "-".join(filter(None, ("booted", "packages" if packages else "", digest)))
        try:
            kept[kernel, packages] = booted.get(IMAGE, VM / name, PATIENCE, packages=packages, kernel=kernel)
        except booted.BootError as error:
            raise VmError(str(error)) from error
    return kept


def boot_one(runs, folder, kept, on_event, going, over):
    """Boots it, or goes on from the `kept` one, and follows its runs to their end; `going` gets it, for whoever must stop it, and once `over`
    is set none starts."""
    folder.mkdir(parents=True)
    parameters = " ".join(filter(None, (runs[0].kernel, runs[0].machine, "packages" if runs[0].packages else "")))
    share = folder / "share.tar"
    with packing:
        write_share(share, runs, person=False)
    vm = machine.Machine(IMAGE, share, folder, runs[0].kernel, restarts=any(run.restart for run in runs), packages=runs[0].packages,
                         booted=kept)
    going.append(vm)
    begun = time.monotonic()
    try:
        vm.start()
        if over.is_set():
            vm.stop()
        follow(vm, runs, lambda event: on_event(event | {"after": time.monotonic() - begun, "parameters": parameters,
                                                         "processor": vm.processor_seconds()}))
    except VmError as error:
        raise VmError(f"{error}\n--- the console's last lines ({vm.console}):\n{vm.console_tail()}") from error
    finally:
        vm.stop()
        share.unlink(missing_ok=True)


def plain(text):
    """Output of tests may hold anything; a terminal gets lines of it."""
    return "".join(c if c in "\n\t" or c.isprintable() else "?" for c in text)


def print_failure(run, event, found):
    """The parts of the output that tell; everything is in files."""
    for remark in found.remarks:
        print(f"    {plain(remark)}")
    for name in found.failed[:20]:
        print(f"    FAILED {name}")
        begin = event["output"].find(f"[ RUN      ] {name}\n")
        if begin >= 0:
            text = re.split(r"\n\[  (?:FAILED|SKIPPED) ", event["output"][begin:])[0]
            print("      " + "\n      ".join(plain(text).splitlines()[1:25]))
    if run.command:
        print("      " + "\n      ".join(plain(event["output"]).splitlines()[-25:]))
    print(f"    all of its output and the journal: {LAST.relative_to(SOURCE)}/{run.name}.*", flush=True)


def processor_seconds():
    """Of this program and of the machines that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def test(names):
    runs = table.read(HERE / "runs.toml")
    unknown = set(names) - {run.name for run in runs}
    if unknown:
        raise VmError(f"there is no run {', '.join(sorted(unknown))}; there are: {', '.join(run.name for run in runs)}")
    runs = [run for run in runs if not names or run.name in names]
    expected = {run.name: table.tests_of(BUILD / "tests" / run.test, run.filter) for run in runs if run.test}
    by_name = {run.name: run for run in runs}
    # Processor seconds of its machine when a run that is alone there began.
    verdicts, began_at = {}, {}
    begun, processor = time.monotonic(), processor_seconds()
    width = max(len(run.name) for run in runs)

    def on_event(event):
        if event["event"] == "restart":
            print(f"vm: {'the power fails' if event['how'] == 'cut' else 'restart'} in run {event['run']}", flush=True)
        if event["event"] == "boot":
            extra = f", {event['parameters']}" if event["parameters"] else ""
            print(f"vm: up after {event['after']:.0f} s, {event['processor']:.0f} s of a processor: Linux {event['kernel']} under "
                  f"{event['virtualization']}{extra}", flush=True)
            for line in event["failed"].splitlines():
                print(f"vm: a unit of the machine failed: {plain(line)}")
        if event["event"] == "begin" and by_name[event["run"]].alone:
            began_at.setdefault(event["run"], event["processor"])
        if event["event"] != "end":
            return
        run = by_name[event["run"]]
        found = verdict.of_test(expected[run.name], event) if run.test else verdict.of_command(run, event)
        verdicts[run.name] = found
        who = run.user + (" (own manager)" if run.manager == "user" else "")
        counts = f"{len(found.passed):3} passed {len(found.failed):3} failed {len(found.skipped):3} skipped"
        used = f", {event['processor'] - began_at[run.name]:.0f} s of a processor" if run.name in began_at else ""
        print(f"{'ok  ' if found.good else 'FAIL'} {run.name:{width}}  {who:21} {counts} {event['seconds']:6.1f} s{used}", flush=True)
        (LAST / f"{run.name}.out").write_text(event["output"])
        if event["xml"]:
            (LAST / f"{run.name}.xml").write_text(event["xml"])
        if "journal" in event:
            (LAST / f"{run.name}.journal").write_text(event["journal"])
        if not found.good:
            print_failure(run, event, found)

    try:
        boot(runs, on_event)
    finally:
        never = [run.name for run in runs if run.name not in verdicts]
        for name in never:
            print(f"FAIL {name:{width}}  did not come to its end")
        passed, failed, skipped = (sum(len(getattr(found, kind)) for found in verdicts.values())
                                   for kind in ("passed", "failed", "skipped"))
        failed += sum(max(1, len(expected.get(name, []))) for name in never)
        print(f"vm: {passed} passed, {failed} failed, {skipped} skipped in {time.monotonic() - begun:.0f} s, "
              f"{processor_seconds() - processor:.0f} s of processor time")
    return 0 if failed == 0 and skipped == 0 else 1


def run_once(user, command, packages):
    run = table.Run(name="exec", proves="-", manager="user" if user == "owner" else "system", user=user, command=command, timeout=600,
                    properties=("Delegate=yes",), packages=packages)
    run.check()
    codes = []

    def on_event(event):
        if event["event"] == "end":
            print(plain(event["output"]), end="")
            if event["reason"] and event["reason"] != "exit-code":
                print(f"vm: it ended by {event['reason']}", file=sys.stderr)
            codes.append(event["code"])

    boot([run], on_event)
    return codes[0]


def shell():
    print("vm: root at the serial console. `poweroff` ends the machine, Ctrl-A X ends it at once. It is thrown away either way.\n"
          f"vm: programs are in {BUILD}/bin, tests in {BUILD}/tests once auspex-vm.service has started.", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=VM) as folder:
        share = pathlib.Path(folder) / "share.tar"
        write_share(share, [], person=True)
        vm = machine.Machine(IMAGE, share, folder, person=True)
        try:
            vm.start()
            vm.wait()
        finally:
            vm.stop()
    return 0


def show():
    for run in table.read(HERE / "runs.toml"):
        what = f"{run.test} {run.filter}" if run.test else re.sub(r"\s+", " ", " | ".join(run.lines).strip())[:60]
        print(f"{run.name:24} {run.manager:6} {run.user:15} {' '.join(run.properties):14} {what}\n    {run.proves}")
    return 0


def only_one():
    """One ./dev vm a tree at a time: they share build/vm/last. The lock goes with the process."""
    VM.mkdir(parents=True, exist_ok=True)
    lock = open(VM / "lock", "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise VmError("another ./dev vm runs in this tree") from None
    return lock


def main(arguments):
    # So that `finally` ends the machine whoever ends this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    verb, rest = (arguments[0] if arguments else "test"), arguments[1:]
    try:
        if verb == "test":
            with only_one():
                return test(rest)
        packages = verb == "exec" and rest[:1] == ["--packages"]
        if verb == "exec" and len(rest) == 2 + packages:
            with only_one():
                return run_once(*rest[-2:], packages)
        if verb == "shell" and not rest:
            return shell()
        if verb == "list" and not rest:
            return show()
    except (VmError, table.TableError) as error:
        print(f"vm: {plain(str(error))}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
