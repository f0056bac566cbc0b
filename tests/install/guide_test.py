#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Each command of docs/INSTALL.md is executed by a test, by the machine of ./dev vm, or by both."""

import os
import pathlib
import re
import sys
import tomllib
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = pathlib.Path(os.environ.get("AUSPEX_SOURCE_DIR", HERE.parent.parent))
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import guide  # noqa: E402


class TheGuide(unittest.TestCase):
    def setUp(self):
        self.commands, self.table = guide.read(SOURCE)
        tests = (HERE / "CMakeLists.txt").read_text(encoding="utf-8")
        self.tests = dict(re.findall(r'^ *install_section\((\w+) "([^"]+)"', tests, re.MULTILINE))

    def test_every_section_with_commands_is_in_the_table_once(self):
        self.assertEqual(sorted(self.commands), sorted(section.name for section in self.table.sections))

    def test_every_section_that_is_to_be_executed_is_executed_by_one_test(self):
        self.assertEqual(self.tests, {section.test: section.name for section in self.table.executed_by(guide.TEST)})

    def test_the_machine_has_a_run_for_the_rest(self):
        runs = tomllib.loads((SOURCE / "tests/vm/runs.toml").read_text(encoding="utf-8"))["run"]
        self.assertEqual([run["name"] for run in runs if "tests/install/in_machine.py" in run.get("command", "")], ["install-guide"])

    def test_every_command_of_an_executed_section_is_executed_somewhere(self):
        for section in self.table.sections:
            places = [where for where in (guide.TEST, guide.MACHINE) if section in self.table.executed_by(where)]
            for command in self.commands[section.name]:
                excepted = [where for where in places if (where, command) in self.table.exceptions]
                # But for what made the packages: that is ./dev deb itself.
                self.assertTrue(len(excepted) < len(places) or command == "./dev deb", command)

    def test_what_is_excepted_or_answered_stands_in_an_executed_section(self):
        for where in (guide.TEST, guide.MACHINE):
            executed = {command for section in self.table.executed_by(where) for command in self.commands[section.name]}
            for place, command in self.table.exceptions:
                self.assertTrue(place != where or command in executed, command)
        everything = {command for section in self.table.sections for command in self.commands[section.name]}
        self.assertLessEqual(set(self.table.answers), everything)

    def test_a_command_is_read_without_its_comment_and_text_is_no_command(self):
        text = "# A\n\ntext\n\n    one 'a#b'    # why\n    two | sudo three\n\n## B\n\n- list\n\n## C\n\n    four\n"
        self.assertEqual(guide.commands_of(text), {"A": ["one 'a#b'", "two | sudo three"], "C": ["four"]})

    def test_a_table_that_leaves_something_out_is_refused(self):
        for text in ("[[section]]\nname = 'A'\n", "[[section]]\nname = 'A'\nmachine = false\n",
                     "[[exception]]\ncommand = 'a'\nwhere = 'test'\nreason = ''\n",
                     "[[exception]]\ncommand = 'a'\nwhere = 'here'\nreason = 'b'\n", "[[other]]\n"):
            with self.assertRaises(guide.GuideError):
                guide.table_of(text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
