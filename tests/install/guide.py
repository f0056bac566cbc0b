# SPDX-License-Identifier: AGPL-3.0-only
"""The commands of docs/INSTALL.md: what stands indented by four blanks, by section; and the table that says what executes them."""

import dataclasses
import pathlib
import re
import time
import tomllib


class GuideError(Exception):
    """What is wrong with guide or table, and where."""


def commands_of(text):
    """{section: [command, ...]} in the guide's order; sections without commands are left out. A comment behind a command is not part of it."""
    found, section = {}, ""
    for line in text.splitlines():
        if line.startswith("#"):
            section = line.lstrip("#").strip()
        elif line.startswith("    ") and line.strip():
            command = re.sub(r"\s{2,}#.*$", "", line.strip())
            found.setdefault(section, []).append(command)
    return found


@dataclasses.dataclass(frozen=True)
class Section:
    """What executes a section: a test, the machine of tests/vm, or both."""

    name: str
    test: str = ""
    machine: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """commands.toml."""

    sections: list
    exceptions: dict  # (where, command): reason
    answers: dict  # command: what is typed

    def executed_by(self, where):
        """The sections that are executed there, in the table's order."""
        return [section for section in self.sections if (section.machine if where == MACHINE else section.test)]


TEST, MACHINE = "test", "machine"


def table_of(text):
    """The Table of the file's text. Raises GuideError."""
    table = tomllib.loads(text)
    if set(table) - {"section", "exception", "answer"}:
        raise GuideError(f"unknown tables {sorted(set(table) - {'section', 'exception', 'answer'})}")
    sections = [Section(**row) for row in table.get("section", [])]
    for section in sections:
        if not (section.test or section.machine):
            raise GuideError(f"section '{section.name}': nothing executes it")
    for row in table.get("exception", []):
        if row.get("where") not in (TEST, MACHINE) or not row.get("reason"):
            raise GuideError(f"exception '{row.get('command')}': it needs a reason, and where it is one")
    exceptions = {(row["where"], row["command"]): row["reason"] for row in table.get("exception", [])}
    return Table(sections, exceptions, {row["command"]: row["text"] for row in table.get("answer", [])})


def read(source):
    """The guide's commands and the table of this tree."""
    root = pathlib.Path(source)
    return (commands_of((root / "docs/INSTALL.md").read_text(encoding="utf-8")),
            table_of((root / "tests/install/commands.toml").read_text(encoding="utf-8")))


def follow(commands, table, where, execute):
    """Executes the commands that are executed `where`, one after the other, by execute(command, answer) -> (code, said); each must end with 0.
    The number of those that were; SystemExit names the first that did not."""
    executed = 0
    for command in commands:
        reason = table.exceptions.get((where, command))
        if reason:
            print(f"- {command}\n  not here: {reason}", flush=True)
            continue
        print(f"$ {command}", flush=True)
        begun = time.monotonic()
        code, said = execute(command, table.answers.get(command, ""))
        print(f"{said}-> {code}, {time.monotonic() - begun:.0f} s", flush=True)
        if code != 0:
            raise SystemExit(f"'{command}' ended with {code}")
        executed += 1
    return executed
