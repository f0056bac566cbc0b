#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""execute.py SECTION: executes the commands of one section of docs/INSTALL.md in their order, as a person who has Auspex installed, beside a
real service manager of that person (tests/deploy/with_user_manager.sh, which starts this). Each command must end with 0. In the place of the
public coordinator there is one on the loopback, named in the person's worker.toml; in the place of an installation, the build's programs in
front of PATH."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import guide  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import skip  # noqa: E402

SOURCE = pathlib.Path(os.environ["AUSPEX_SOURCE_DIR"])
BIN = pathlib.Path(os.environ["AUSPEX_BIN_DIR"])
PATIENCE = 30 * float(os.environ.get("AUSPEX_TEST_PACE") or "1")


def start_coordinator(folder):
    """A coordinator on the loopback, and the configuration that names it."""
    port_file, log = folder / "port", folder / "log"
    with open(log, "wb") as sink:
        process = subprocess.Popen([BIN / "auspex-coordd", "--state", folder, "--listen", "127.0.0.1:0", "--port-file", port_file],
                                   stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    until = time.monotonic() + PATIENCE
    while not (port_file.exists() and port_file.read_text().strip()):
        if time.monotonic() > until or process.poll() is not None:
            raise SystemExit(f"the coordinator did not start: {log.read_text()}")
        time.sleep(0.1)
    configuration = pathlib.Path.home() / ".config/auspex"
    configuration.mkdir(parents=True)
    (configuration / "worker.toml").write_text(f'[coordinator]\nurl = "http://127.0.0.1:{port_file.read_text().strip()}"\n')
    return process


def execute(command, answer):
    """Runs one command line of the guide; its exit code and what it said."""
    done = subprocess.run(["sh", "-c", command], env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}, cwd=pathlib.Path.home(),
                          input=(answer + "\n").encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE * 5, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def main():
    name = sys.argv[1]
    commands, table = guide.read(SOURCE)
    if name not in [section.name for section in table.executed_by(guide.TEST)]:
        raise SystemExit(f"'{name}' is no section that is executed")
    if "AUSPEX_USER_MANAGER" not in os.environ:
        skip.end("root and systemd, for tests/deploy/with_user_manager.sh")
    with tempfile.TemporaryDirectory() as folder:
        coordinator = start_coordinator(pathlib.Path(folder))
        try:
            executed = guide.follow(commands[name], table, guide.TEST, execute)
        finally:
            coordinator.terminate()
            coordinator.wait()
    if executed == 0:
        raise SystemExit("nothing was executed")
    print(f"executed {executed} commands of '{name}'")


if __name__ == "__main__":
    main()
