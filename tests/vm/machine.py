# SPDX-License-Identifier: AGPL-3.0-only
"""One qemu machine on the image of image/make.sh. The image is never written: each machine has a throw-away layer over it, or over what
booted.py keeps."""

import ctypes
import os
import pathlib
import signal
import subprocess

QEMU = "qemu-system-x86_64"
# The second disk's size, whatever was written to it: a kept machine's kernel knows it.
SHARE_OCTETS = 1 << 30
# What a machine without anything on its second disk says, and waits.
WAITS = b"waiting\n"
PR_SET_PDEATHSIG = 1
# What Debian starts and no run needs: a third of the boot of a translated processor.
UNITS_LEFT_OUT = ("e2scrub_reap.service", "modprobe@drm.service", "modprobe@fuse.service", "modprobe@loop.service",
                  "proc-sys-fs-binfmt_misc.automount", "systemd-binfmt.service")
# The root shell at the console, for a person; its login starts a manager for root.
CONSOLE = "serial-getty@ttyS0.service"
# Which loads Debian's own profiles; on a machine for packages it loads theirs at a later start.
PROFILES = "apparmor.service"

# Parameters for a translated processor. It has no speculation to be kept from, and retpolines cost it a tenth; libraries at the same
# addresses in every process need no new translation, which is a sixth; its counter is a clock that needs no device.
TRANSLATED = "mitigations=off norandmaps tsc=reliable clocksource=tsc"


# Loaded before there are threads: between fork and exec a child of theirs may call it and nothing more.
LIBC = ctypes.CDLL(None)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def accelerator(image, memory):
    """qemu's arguments for KVM where it works, else for translation. A machine that is itself virtual may have a /dev/kvm that takes every
    call and runs nothing, so a kernel without a root has to come as far as its panic. `memory` is a file that keeps the answer for as
    long as this host runs."""
    kvm = ["-machine", "q35,accel=kvm", "-cpu", "max"]
    # Without erms and fsrm the kernel copies and clears eight octets a step, where one at a time is what costs; without wide registers and what
    # else newer processors have, there is less to keep and to emulate: a twentieth.
    tcg = ["-machine", "q35", "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand,+cx16,+lahf_lm"]
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return tcg
    host = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    memory = pathlib.Path(memory)
    known = memory.read_text().split() if memory.exists() else []
    if len(known) != 2 or known[0] != host:
        line = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", *kvm, "-m", "512M", "-nic", "none",
                "-kernel", str(pathlib.Path(image) / "vmlinuz"), "-append", "panic=-1 quiet"]
        try:
            code = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20,
                                  check=False, preexec_fn=die_with_parent).returncode
        except subprocess.TimeoutExpired:
            code = -1
        known = [host, "works" if code == 0 else "useless"]
        memory.write_text(" ".join(known) + "\n")
    return kvm if known[1] == "works" else tcg


def translated(image):
    """Whether machines on this host are translated, and not KVM's."""
    return "accel=kvm" not in " ".join(accelerator(image, pathlib.Path(image).parent / "kvm"))


def common_arguments(image):
    """qemu's that are the same for each machine: what it is made of."""
    return [QEMU, "-nodefaults", "-no-user-config", "-display", "none", *accelerator(image, pathlib.Path(image).parent / "kvm"),
            "-smp", "1" if translated(image) else "2", "-m", "3G", "-nic", "none", "-kernel", str(pathlib.Path(image) / "vmlinuz"), "-initrd", str(pathlib.Path(image) / "initrd.img"),
            "-device", "virtio-blk-pci,drive=root,serial=auspex-root", "-device", "virtio-blk-pci,drive=share,serial=auspex-share",
            "-device", "virtio-rng-pci", "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=results,name=auspex.results"]


class Machine:
    """Not started until start(); stop() is safe at any time. `share` is a tar archive that becomes the second disk, `folder` takes
    results.jsonl, console.log and qemu.log; `kernel` is added to the kernel's parameters. A machine that `restarts` boots again on the same disks
    when it reboots; any other ends then. One for `packages` is started as Debian starts it. It goes on from the `booted` one of booted.py when
    that is given, which must have been made with the same `kernel`, `person` and `packages`. Without a person the serial console goes to
    console.log, otherwise to the terminal."""

    def __init__(self, image, share, folder, kernel="", person=False, restarts=False, packages=False, booted=None):
        self.image, self.folder, self.kernel, self.person = pathlib.Path(image), pathlib.Path(folder), kernel, person
        self.restarts, self.packages, self.booted = restarts, packages, booted
        self.share = pathlib.Path(share)
        self.disk = booted.disk if booted else self.image / "root.qcow2"
        self.results = self.folder / "results.jsonl"
        self.console = self.folder / "console.log"
        self.log = self.folder / "qemu.log"
        self.monitor = None  # a path: qemu's own monitor listens there
        self.process = None

    def parameters(self, translated):
        """The kernel's."""
        masked = list(UNITS_LEFT_OUT)
        if not self.person:
            masked.append(CONSOLE)
        if not self.packages:
            masked.append(PROFILES)
        # A machine that is to be kept gets what its containers begin with (inside.sh).
        return " ".join(["root=/dev/vda rootfstype=ext4 rw console=ttyS0 loglevel=4 panic=-1 systemd.show_status=false",
                         TRANSLATED if translated else "", *(f"systemd.mask={unit}" for unit in masked),
                         "auspex.containers" if self.packages else "", self.kernel])

    def arguments(self, kept=False):
        """`kept`: what it writes stays on its disk, else it is thrown away with it."""
        line = [
            *common_arguments(self.image), *([] if self.restarts else ["-no-reboot"]),
            "-append", self.parameters(translated(self.image)),
            "-drive", f"if=none,id=root,file={self.disk},format=qcow2,snapshot={'off' if kept else 'on'},cache=unsafe,discard=unmap",
            "-drive", f"if=none,id=share,file={self.share},format=raw,readonly=on",
            "-chardev", f"file,id=results,path={self.results}",
        ]
        if self.booted:
            line += ["-incoming", f"exec:cat '{self.booted.memory}'"]
        if self.monitor:
            line += ["-qmp", f"unix:{self.monitor},server=on,wait=off"]
        if self.person:
            return line + ["-serial", "mon:stdio"]
        return line + ["-serial", f"file:{self.console}"]

    def start(self, kept=False):
        """`kept`: see arguments()."""
        if self.person:
            self.process = subprocess.Popen(self.arguments(kept), preexec_fn=die_with_parent)
            return
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.arguments(kept), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=die_with_parent)

    def ended(self):
        return self.process is None or self.process.poll() is not None

    def wait(self, seconds=None):
        """Whether it ended by itself in that time."""
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def processor_seconds(self):
        """What it took of this host's processors so far; 0 when it has ended."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except (OSError, AttributeError):
            return 0.0
        # proc(5): utime and stime are fields 14 and 15, and the state, the first after the name, is field 3.
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def console_tail(self, lines=40):
        """What the machine said last on its console, and qemu itself."""
        text = ""
        for path in (self.log, self.console):
            if path.exists():
                text += "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]) + "\n"
        return "".join(c for c in text if c == "\n" or c.isprintable())
