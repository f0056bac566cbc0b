# SPDX-License-Identifier: AGPL-3.0-only
"""The table of runs (runs.toml), read strictly, and the tests that a built binary has."""

import dataclasses
import functools
import pathlib
import re
import subprocess
import tomllib

USERS = ("root", "owner", "auspex-keyd", "auspex-stated", "auspex-netd", "auspex-runnerd")
MANAGERS = ("system", "user")
# How a machine is started again between the lines of a command: shut down in order, or as when the power fails.
RESTARTS = ("reboot", "cut")


class TableError(Exception):
    """What is wrong with the table, and in which run."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One row. Exactly one of `test` and `command` is given."""

    name: str
    proves: str
    manager: str
    user: str
    timeout: int
    test: str = ""
    filter: str = "*"
    command: str | list = ""
    restart: str = ""
    expect: str = ""
    properties: tuple = ()
    kernel: str = ""
    machine: str = ""
    packages: bool = False
    alone: bool = False
    service: str = ""

    @property
    def lines(self):
        """The lines for sh of a command, between which the machine is started again."""
        return [self.command] if isinstance(self.command, str) else self.command

    @property
    def machine_key(self):
        """Runs with the same one share a machine."""
        return self.kernel, self.machine, self.packages

    def check(self):
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", self.name):
            raise TableError(f"run '{self.name}': a name has small letters, digits and hyphens")
        for key, value in dataclasses.asdict(self).items():
            if key == "properties":
                right = isinstance(value, (list, tuple)) and all(isinstance(line, str) and "=" in line for line in value)
            elif key == "command":
                right = isinstance(value, str) or (isinstance(value, list) and len(value) > 1 and all(type(line) is str and line for line in value))
            elif key in ("packages", "alone"):
                right = type(value) is bool
            elif key == "timeout":
                right = type(value) is int and 0 < value <= 3600
            else:
                right = isinstance(value, str)
            if not right:
                raise TableError(f"run '{self.name}': {key} = {value!r} is not what the table's head says")
        if not re.fullmatch(r"[a-z0-9_.= -]*", self.kernel):
            raise TableError(f"run '{self.name}': kernel = {self.kernel!r} is no list of kernel parameters")
        if not re.fullmatch(r"[a-z0-9-]{0,20}", self.machine):
            raise TableError(f"run '{self.name}': machine = {self.machine!r} is no name of one")
        if isinstance(self.command, list) != bool(self.restart) or self.restart not in ("", *RESTARTS):
            raise TableError(f"run '{self.name}': a command of several lines, and no other, says restart = {' or '.join(RESTARTS)}")
        if not self.proves:
            raise TableError(f"run '{self.name}': it does not say what it proves")
        if self.manager not in MANAGERS:
            raise TableError(f"run '{self.name}': manager '{self.manager}' is none of {', '.join(MANAGERS)}")
        if self.user not in USERS:
            raise TableError(f"run '{self.name}': user '{self.user}' is none of {', '.join(USERS)}")
        if self.manager == "user" and self.user != "owner":
            raise TableError(f"run '{self.name}': only owner has a manager of its own")
        if self.service and (self.manager != "system" or not re.fullmatch(r"auspex-[a-z]+", self.service)):
            raise TableError(f"run '{self.name}': service '{self.service}' is no service of the system's manager")
        if bool(self.test) == bool(self.command):
            raise TableError(f"run '{self.name}': it needs either a test or a command")
        if (self.test and self.expect) or (self.command and self.filter != "*"):
            raise TableError(f"run '{self.name}': filter belongs to a test, expect to a command")


def read(path):
    """The runs of the table in its order. Raises TableError."""
    try:
        table = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise TableError(f"{path}: {error}") from error
    if set(table) != {"run"}:
        raise TableError(f"{path}: it may have [[run]] and nothing else")
    runs = []
    known = {field.name for field in dataclasses.fields(Run)}
    for row in table["run"]:
        name = row.get("name", "?")
        if set(row) - known:
            raise TableError(f"run '{name}': unknown keys {sorted(set(row) - known)}")
        try:
            run = Run(**row)
        except TypeError as error:
            raise TableError(f"run '{name}': {error}") from error
        run.check()
        if any(run.name == other.name for other in runs):
            raise TableError(f"run '{name}': there are two of that name")
        runs.append(run)
    return runs


# What says how a service is started, watched and ended, and by whom: a run has its own.
NOT_OF_A_RUN = {"Type", "NotifyAccess", "ExecStart", "ExecStartPre", "User", "Group", "Restart", "RestartSec", "RestartPreventExitStatus",
                "WatchdogSec", "TimeoutStartSec", "TimeoutStopSec", "KillMode", "LoadCredential", "LoadCredentialEncrypted"}


def properties_of(run, deploy):
    """The unit properties of a run: those of the service whose confinement it has, read from the unit that is shipped, and its own."""
    if not run.service:
        return list(run.properties)
    path = pathlib.Path(deploy) / f"{run.service}.service"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TableError(f"run '{run.name}': {error}") from error
    found, section = [], ""
    for line in lines:
        if line.startswith("["):
            section = line
        elif section == "[Service]" and re.match("[A-Z]", line) and line.split("=")[0] not in NOT_OF_A_RUN:
            if line.endswith("\\"):
                raise TableError(f"run '{run.name}': {path} has a line that goes on in the next one")
            found.append(line)
    if not found:
        raise TableError(f"run '{run.name}': {path} confines nothing")
    return found + list(run.properties)


def matches(name, patterns):
    """Whether one of the patterns, with ':' between, is the whole name: '*' is any text, '?' any character, as for gtest."""
    return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), name) for pattern in patterns.split(":"))


def tests_of(binary, gtest_filter="*"):
    """Full names of the tests of a gtest binary that a filter selects. Raises TableError."""
    wanted, _, unwanted = gtest_filter.partition("-")
    return [name for name in all_tests_of(str(binary)) if matches(name, wanted or "*") and not matches(name, unwanted)]


@functools.cache
def all_tests_of(binary):
    if not pathlib.Path(binary).is_file():
        raise TableError(f"{binary} is not there; build it first")
    done = subprocess.run([binary, "--gtest_list_tests"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TableError(f"{binary} --gtest_list_tests ended with {done.returncode}: {done.stderr.strip()}")
    names, suite = [], ""
    for line in done.stdout.splitlines():
        text = line.split("#")[0].rstrip()
        if line.startswith("  "):
            names.append(suite + text.strip())
        elif re.fullmatch(r"[\w/]+\.", text):
            suite = text
    return names


def empty_parts(binary, gtest_filter):
    """Those patterns of a filter, left out ones included, that select no test at all, so that no part of a filter goes stale unseen."""
    return [pattern for pattern in re.split("[:-]", gtest_filter) if pattern and not tests_of(binary, pattern)]
