# SPDX-License-Identifier: AGPL-3.0-only
"""The commands of docs/INSTALL.md: what stands indented by four blanks, by section; and the table that says what executes them."""

import dataclasses
import pathlib
import re
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
    """What becomes of a section: `test` is the test that executes it; without one, `reason` says why none does."""

    name: str
    test: str = ""
    reason: str = ""


def table_of(text):
    """Sections, exceptions and what is typed in answer to commands. Raises GuideError."""
    table = tomllib.loads(text)
    if set(table) - {"section", "exception", "answer"}:
        raise GuideError(f"unknown tables {sorted(set(table) - {'section', 'exception', 'answer'})}")
    sections = [Section(**row) for row in table.get("section", [])]
    for section in sections:
        if bool(section.test) == bool(section.reason):
            raise GuideError(f"section '{section.name}': it needs a test or a reason, and not both")
    exceptions = {row["command"]: row["reason"] for row in table.get("exception", [])}
    answers = {row["command"]: row["text"] for row in table.get("answer", [])}
    if not all(exceptions.values()):
        raise GuideError("an exception without a reason")
    return sections, exceptions, answers


def read(source):
    """The guide's commands and the table of this tree."""
    root = pathlib.Path(source)
    commands = commands_of((root / "docs/INSTALL.md").read_text(encoding="utf-8"))
    return (commands, *table_of((root / "tests/install/commands.toml").read_text(encoding="utf-8")))
