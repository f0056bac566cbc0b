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

SOURCE = pathlib.Path(os.environ["AUSPEX_SOURCE_DIR"])
NAME = "From source"
SKIPPED = 77


def own_usr(folder):
    """Whether this process now has a /usr whose changes nobody else sees."""
    if os.environ.get("AUSPEX_OWN_USR") == "1":
        for word in ("above", "work"):
            (folder / word).mkdir()
        layers = f"lowerdir=/usr,upperdir={folder}/above,workdir={folder}/work"
        return subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, "/usr"], check=False).returncode == 0
    if os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0:
        os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, __file__], os.environ | {"AUSPEX_OWN_USR": "1"})
    return False


def main():
    commands, table = guide.read(SOURCE)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        # A file system that can lie above another: the place for temporary files may be such a one itself.
        if os.environ.get("AUSPEX_OWN_USR") == "1":
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
        if not own_usr(folder):
            print("not executed: it needs root and overlay file systems")
            sys.exit(1 if os.environ.get("AUSPEX_REQUIRE_FULL") == "1" else SKIPPED)
        # Who is root and has no sudo would leave it out.
        if shutil.which("sudo") is None:
            sudo = pathlib.Path("/usr/bin/sudo")
            sudo.write_text('#!/bin/sh\nexec "$@"\n')
            sudo.chmod(0o755)
        home = folder / "home"
        home.mkdir()

        def execute(command, answer):
            done = subprocess.run(["sh", "-c", command], env=os.environ | {"HOME": str(home)}, cwd=SOURCE, input=(answer + "\n").encode(),
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False)
            return done.returncode, done.stdout.decode(errors="replace")[-3000:]

        guide.follow(commands[NAME], table, guide.TEST, execute)
        missing = [path for path in ("/usr/bin/auspex", "/usr/bin/auspex-keyd", "/usr/share/auspex/apparmor/make") if not os.path.exists(path)]
        subprocess.run(["umount", "--lazy", "/usr"], check=True)
        subprocess.run(["umount", "--lazy", folder], check=True)
        if missing:
            raise SystemExit(f"not installed: {missing}")


if __name__ == "__main__":
    main()
