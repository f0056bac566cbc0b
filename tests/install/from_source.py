#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""from_source.py: executes the section "From source" of docs/INSTALL.md in this tree, over its own build, with a /usr of its own: what is
installed there is gone at the end. Root."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import guide  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import skip  # noqa: E402

SOURCE = pathlib.Path(os.environ["AUSPEX_SOURCE_DIR"])
NAME = "From source"


def own_namespace():
    """Whether this process is in a namespace of mounts of its own; as root it starts again in one."""
    if os.environ.get("AUSPEX_OWN_USR") == "1":
        return True
    if os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0:
        os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, __file__], os.environ | {"AUSPEX_OWN_USR": "1"})
    return False


def own_usr(folder):
    """Whether nobody else sees now what is changed in /usr. `folder` gets a file system that can lie above another."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    for word in ("above", "work"):
        (folder / word).mkdir()
    layers = f"lowerdir=/usr,upperdir={folder}/above,workdir={folder}/work"
    return subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, "/usr"], check=False).returncode == 0


def follow(folder):
    """Whether the section could be executed; SystemExit when a command failed."""
    if not own_usr(folder):
        return False
    # Who is root and has no sudo would leave it out.
    if shutil.which("sudo") is None:
        sudo = pathlib.Path("/usr/bin/sudo")
        sudo.write_text('#!/bin/sh\nexec "$@"\n')
        sudo.chmod(0o755)
    home = folder / "home"
    home.mkdir()

    def execute(command, answer):
        done = subprocess.run(["sh", "-c", command], env=os.environ | {"HOME": str(home)}, cwd=SOURCE, input=(answer + "\n").encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200, check=False)
        return done.returncode, done.stdout.decode(errors="replace")[-3000:]

    commands, table = guide.read(SOURCE)
    if guide.follow(commands[NAME], table, guide.TEST, execute) == 0:
        raise SystemExit("nothing was executed")
    missing = [path for path in ("/usr/bin/auspex", "/usr/bin/auspex-keyd", "/usr/share/auspex/apparmor/make") if not os.path.exists(path)]
    if missing:
        raise SystemExit(f"not installed: {missing}")
    return True


def main():
    executed = False
    if own_namespace():
        with tempfile.TemporaryDirectory() as name:
            try:
                executed = follow(pathlib.Path(name))
            finally:
                for place in ("/usr", name):
                    subprocess.run(["umount", "--lazy", place], stderr=subprocess.DEVNULL, check=False)
    if not executed:
        skip.end("root and overlay file systems")


if __name__ == "__main__":
    main()
