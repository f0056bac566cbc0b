#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""in_machine.py: executes the sections of docs/INSTALL.md that are for a whole machine, as written and in the table's order, as a person of
the machine of ./dev vm who may use sudo. The packages are those that the machine was given; in the place of the public coordinator there is
one on the loopback, named in every configuration. Run as root of that machine, which it changes."""

import os
import pathlib
import pwd
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "package"))
import coordinator  # noqa: E402
import guide  # noqa: E402
import worker  # noqa: E402

SOURCE = pathlib.Path(os.environ["AUSPEX_SOURCE_DIR"])
BIN = pathlib.Path(os.environ["AUSPEX_BIN_DIR"])
PACKAGES = pathlib.Path(os.environ["AUSPEX_PACKAGES_DIR"])
PATIENCE = 15 * float(os.environ.get("AUSPEX_TEST_PACE") or "1")
PERSON = pwd.getpwnam("owner")
# Where the person has the project's files.
TREE = pathlib.Path(PERSON.pw_dir) / "auspex"
PORT = 8451
URL = f"http://127.0.0.1:{PORT}"
# Not of the package: that is there in some sections only.
LAB = coordinator.Coordinator(BIN / "auspex-coordd", PORT, "auspex-vm-guide", "auspex-vm-guide")


def root(*command, **more):
    subprocess.run([str(word) for word in command], check=True, **more)


def release():
    """The tree that the guide speaks of, with signed packages; the name of the key's file."""
    packages, key = TREE / "build/deb", TREE / "auspex.pub"
    packages.mkdir(parents=True)
    (TREE / "deploy/container").mkdir(parents=True)
    for name in ("deploy/verify", "deploy/container/Containerfile"):
        shutil.copy2(SOURCE / name, TREE / name)
    (TREE / "worker.toml").write_text(f'[coordinator]\nurl = "{URL}"\n[executor]\nexecute_tenant_code = "provisioned"\n')
    for package in PACKAGES.glob("*.deb"):
        shutil.copy2(package, packages)
    root("sh", "-c", f"minisign -G -f -W -p {key} -s /root/key.sec && sha256sum *.deb > SHA256SUMS && minisign -S -s /root/key.sec -m SHA256SUMS",
         cwd=packages, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    root("chown", "-R", "owner:", TREE)
    return key


def name_coordinator():
    """In each configuration that a worker of this machine may have by now."""
    text = f'[coordinator]\nurl = "{URL}"\n'
    system = pathlib.Path("/etc/auspex/worker.toml")
    if system.parent.is_dir() and not (system.exists() and URL in system.read_text()):
        system.write_text(text)
    for user in pwd.getpwall():
        own = pathlib.Path(user.pw_dir) / ".config/auspex/worker.toml"
        if user.pw_name in ("owner", "auspex-worker") and not own.exists():
            root("runuser", "-u", user.pw_name, "--", "sh", "-c", f"mkdir -p {own.parent} && cat > {own}", input=text.encode())


def as_person(command, answer=""):
    """Exit code and what was said, of a line for sh."""
    environment = {"HOME": PERSON.pw_dir, "USER": "owner", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"],
                   "XDG_RUNTIME_DIR": f"/run/user/{PERSON.pw_uid}"}
    try:
        done = subprocess.run(["runuser", "-u", "owner", "--", "sh", "-c", command], env=environment, cwd=TREE, input=(answer + "\n").encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as late:
        raise SystemExit(f"'{command}' did not end: {(late.stdout or b'').decode(errors='replace')[-4000:]}") from late
    return done.returncode, done.stdout.decode(errors="replace")[-4000:]


def execute(command, answer):
    name_coordinator()
    code, said = as_person(command, answer)
    if code == 0:
        AFTER.pop(command, lambda: None)()
    return code, said


def must(command, expected_code, *words):
    code, said = as_person(command)
    if code != expected_code or not all(word in said for word in words):
        raise SystemExit(f"'{command}' ended with {code}, not {expected_code} and {words}:\n{said}")


def try_containers():
    """Beyond the guide: a unit is computed in the container, and one that the host gives no sandbox refuses to start."""
    script = "printf '{\"payload\":{\"ok\":true}}' > \"$4\"\n"
    experiment = LAB.submit(coordinator.package("noop", "in-a-container", script, BIN.parent / "share/examples"),
                            [{"unit_id": "in-a-container-0", "payload": {}}])
    worker.wait(60, "a unit is computed in the container", lambda: LAB.completed(experiment) == 1)
    results = LAB.results(experiment)["in-a-container-0"]
    if [result["ran_under"] for result in results] != ["strict"]:
        raise SystemExit(f"it ran otherwise: {results}")
    print("a unit was computed in the container, strictly", flush=True)
    must("podman run --rm auspex", 2, "this container cannot build the strict sandbox", "--security-opt unmask=ALL", "the worker does not start")
    print("a container whose host withholds the sandbox does not start", flush=True)


# What is looked at beside the guide, once, when a command of it has ended well.
AFTER = {"podman logs auspex": try_containers}


def main():
    commands, table = guide.read(SOURCE)
    key = release()
    pathlib.Path("/etc/sudoers.d/owner").write_text("owner ALL=(ALL:ALL) NOPASSWD: ALL\n")
    # The kernel would drop lines about what happens often.
    root("sysctl", "-q", "kernel.printk_ratelimit=0")
    LAB.start()
    executed = 0
    for section in table.executed_by(guide.MACHINE):
        print(f"== {section.name}", flush=True)
        if section.name == "Container":
            # A machine that boots for itself, under KVM, has not done it yet.
            root("auspex-vm-containers")
        elif not os.path.exists("/usr/bin/auspex") and section.name != "A hardened host":
            # That section ends with the way out.
            root("sh", "-c", f"dpkg --install {TREE}/build/deb/auspex_*.deb", stdout=subprocess.DEVNULL)
        # What stands in capitals is the reader's to put in.
        executed += guide.follow([command.replace("PUBLIC_KEY", str(key)) for command in commands[section.name]], table, guide.MACHINE, execute)
    if AFTER:
        raise SystemExit(f"the guide has no more {', '.join(AFTER)}: what was to be looked at after it was not")
    worker.check_no_denials()
    print(f"executed {executed} commands of the guide")


if __name__ == "__main__":
    main()
