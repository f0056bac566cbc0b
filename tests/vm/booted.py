# SPDX-License-Identifier: AGPL-3.0-only
"""The machine as it is when it has booted: its memory and what it wrote, kept beside the image. Machines of ./dev vm go on from there, each
in layers of its own, since a translated processor boots for half a minute. One that starts again boots like any other."""

import hashlib
import json
import pathlib
import shutil
import socket
import subprocess
import time

import machine

# Seconds. The service that waits for the second disk is not the last that the start of a machine brings.
SETTLED = 3
BOOT_TIMEOUT, SAVE_TIMEOUT = 300, 120


class BootError(Exception):
    """Why it cannot be kept."""


class Booted:
    """A folder with `disk.qcow2`, a layer over the image's disk, and `memory`."""

    def __init__(self, folder):
        self.disk, self.memory = pathlib.Path(folder) / "disk.qcow2", pathlib.Path(folder) / "memory"


def key_of(image, arguments, emulator):
    """What a kept machine depends on: another disk below it, another qemu or other arguments need another."""
    disk = (pathlib.Path(image) / "root.qcow2").stat()
    return hashlib.sha256(json.dumps([disk.st_ino, disk.st_size, disk.st_mtime_ns, machine.SHARE_OCTETS, arguments, emulator]).encode()).hexdigest()


def version_of_emulator():
    return subprocess.run([machine.QEMU, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()


def get(image, folder, patience, **more):
    """The kept machine for Machine's arguments `more`; made when there is none of that key, which takes as long as a boot. None when the
    machine is not translated: then it boots in seconds. Raises BootError."""
    image, folder = pathlib.Path(image), pathlib.Path(folder)
    if not machine.translated(image):
        return None
    vm = machine.Machine(image, image.parent / "no-share", folder.with_name(folder.name + ".new"), **more)
    key = key_of(image, vm.parameters(translated=True).split() + machine.common_arguments(image), version_of_emulator())
    if (folder / "key").exists() and (folder / "key").read_text() == key:
        return Booted(folder)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(vm.folder, ignore_errors=True)
    vm.folder.mkdir(parents=True)
    make(image, vm, patience)
    (vm.folder / "key").write_text(key)
    vm.folder.rename(folder)
    return Booted(folder)


def make(image, vm, patience):
    """Boots `vm` without anything handed in, and keeps it in its folder."""
    kept = Booted(vm.folder)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image / "root.qcow2", kept.disk], check=True)
    # As large as any that is handed in later: the kernel asks once.
    with open(vm.share, "wb") as share:
        share.truncate(machine.SHARE_OCTETS)
    vm.disk, vm.monitor = kept.disk, vm.folder / "monitor"
    try:
        vm.start(kept=True)
        await_word(vm, BOOT_TIMEOUT * patience)
        time.sleep(SETTLED)
        save(vm, kept.memory, SAVE_TIMEOUT * patience)
    finally:
        vm.stop()
        vm.share.unlink()


def await_word(vm, seconds):
    """Until the machine says that it waits for its second disk."""
    end = time.monotonic() + seconds
    while not (vm.results.exists() and vm.results.read_bytes() == machine.WAITS):
        if vm.ended() or time.monotonic() > end:
            raise BootError(f"the machine did not come up to be kept:\n{vm.console_tail()}")
        time.sleep(0.2)


def save(vm, path, seconds):
    """Writes the machine's memory, after which it stands still. One that was stopped before would not go on by itself later. Its disk is whole
    when it has ended."""
    with Monitor(vm.monitor, seconds) as monitor:
        monitor.do("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        monitor.do("migrate", uri=f"exec:cat > '{path}'")
        end = time.monotonic() + seconds
        while (status := monitor.do("query-migrate").get("status")) != "completed":
            if status in ("failed", "cancelled") or time.monotonic() > end:
                raise BootError(f"the machine's memory could not be kept: {status}")
            time.sleep(0.1)
        monitor.do("quit")
    if not vm.wait(seconds):
        raise BootError("the machine did not end when its memory had been kept, so its disk may not be whole")


class Monitor:
    """qemu's monitor (QMP) at a socket, which is given so many seconds for each answer. What fails is a BootError."""

    def __init__(self, path, seconds):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        try:
            self.socket.connect(str(path))
        except OSError as error:
            self.socket.close()
            raise BootError(f"the machine's monitor {path}: {error}") from error
        self.lines = self.socket.makefile("rb")
        self.lines.readline()  # who it is
        self.do("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def do(self, command, **arguments):
        """What it answers."""
        try:
            self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
            for line in self.lines:
                answer = json.loads(line)
                if "error" in answer:
                    raise BootError(f"{command}: {answer['error'].get('desc')}")
                if "return" in answer:
                    return answer["return"]
        except OSError as error:
            raise BootError(f"{command}: {error}") from error
        raise BootError(f"{command}: the machine has ended")
