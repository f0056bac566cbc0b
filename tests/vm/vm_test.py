#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Holds runs.toml against the built binaries, so that it cannot rot where nobody boots a machine; the verdict on a run's results, with
each way in which a run can be silent; and the patience with a machine that hangs. ./dev vm itself is the test against a real one."""

import json
import os
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import guest  # noqa: E402
import table  # noqa: E402
import verdict  # noqa: E402
import vm as command  # noqa: E402

TESTS = pathlib.Path(os.environ["AUSPEX_BIN_DIR"]).parent / "tests"
ROW = {"name": "a", "proves": "b", "manager": "system", "user": "root", "timeout": 5, "test": "t"}


def event(output="", xml="", code=0, reason=""):
    return {"event": "end", "run": "a", "code": code, "reason": reason, "seconds": 1.0, "output": output, "xml": xml}


def result(*cases):
    return "<testsuites><testsuite name='S'>" + "".join(cases) + "</testsuite></testsuites>"


def case(name, content="", status="run", state="completed"):
    return f"<testcase classname='S' name='{name}' status='{status}' result='{state}'>{content}</testcase>"


class TheTable(unittest.TestCase):
    def test_is_read_and_every_filter_selects_tests_of_the_built_binaries(self):
        runs = table.read(HERE / "runs.toml")
        self.assertGreater(len(runs), 8)
        for run in runs:
            if run.test:
                with self.subTest(run.name):
                    binary = TESTS / run.test
                    self.assertTrue(table.tests_of(binary, run.filter), f"run '{run.name}': its filter selects no test of {run.test}")
                    self.assertEqual(table.empty_parts(binary, run.filter), [], f"run '{run.name}': parts of its filter select nothing")

    def test_a_service_gives_its_confinement_and_not_its_life(self):
        run = table.Run(**(ROW | {"service": "auspex-runnerd", "properties": ("A=b",)}))
        found = table.properties_of(run, HERE.parent.parent / "deploy" / "systemd")
        for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "A=b"):
            self.assertIn(line, found)
        self.assertTrue(any(line.startswith("Delegate=") for line in found))
        self.assertFalse([line for line in found if line.startswith(("ExecStart", "Type", "User", "Restart", "#", "After"))])
        with self.assertRaisesRegex(table.TableError, "auspex-nothing.service"):
            table.properties_of(table.Run(**(ROW | {"service": "auspex-nothing"})), HERE.parent.parent / "deploy" / "systemd")

    def test_every_service_that_is_named_is_shipped(self):
        for run in table.read(HERE / "runs.toml"):
            table.properties_of(run, HERE.parent.parent / "deploy" / "systemd")

    def test_covers_each_kind_of_user(self):
        runs = table.read(HERE / "runs.toml")
        self.assertTrue(any(run.manager == "user" for run in runs))
        for user in ("root", "owner", "auspex-runnerd", "auspex-keyd"):
            self.assertTrue(any(run.user == user for run in runs), user)

    def test_a_parameterised_suite_is_listed_by_its_full_names(self):
        names = table.tests_of(TESTS / "redteam_keyd_test", "Each/*")
        self.assertTrue(any(name.startswith("Each/Layers.") and "/" in name.rsplit(".", 1)[1] for name in names), names)

    def test_a_binary_that_is_missing_is_an_error_with_its_name(self):
        with self.assertRaisesRegex(table.TableError, "no_such_test is not there"):
            table.tests_of(TESTS / "no_such_test")

    def refused(self, text, because):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "runs.toml"
            path.write_text(text)
            with self.assertRaisesRegex(table.TableError, because):
                table.read(path)

    def row(self, **changes):
        return "[[run]]\n" + "".join(f"{key} = {value!r}\n" for key, value in (ROW | changes).items() if value is not None)

    def test_a_bad_row_is_named_with_its_cause(self):
        self.refused("[[run", "runs.toml")
        self.refused("[other]\n", "nothing else")
        self.refused(self.row() + self.row(), "run 'a': there are two")
        self.refused(self.row(users="root"), "run 'a': unknown keys .*users")
        self.refused(self.row(proves=None), "run 'a': .*proves")
        self.refused(self.row(name="A/b"), "small letters")
        self.refused(self.row(user="nobody"), "user 'nobody'")
        self.refused(self.row(manager="both"), "manager 'both'")
        self.refused(self.row(manager="user"), "only owner")
        self.refused(self.row(timeout=0), "timeout = 0")
        self.refused(self.row(timeout="5"), "timeout = '5'")
        self.refused(self.row(properties=["Delegate"]), "properties")
        self.refused(self.row(service="../x"), "service '../x'")
        self.refused(self.row(manager="user", user="owner", service="auspex-runnerd"), "service 'auspex-runnerd'")
        self.refused(self.row(kernel="init=/bin/sh; x"), "kernel")
        self.refused(self.row(test=None), "either a test or a command")
        self.refused(self.row(command="true"), "either a test or a command")
        self.refused(self.row(expect="x"), "expect to a command")


class TheVerdict(unittest.TestCase):
    def of(self, expected, **fields):
        found = verdict.of_test(expected, event(**fields))
        return found.passed, found.failed, found.skipped

    def test_is_good_when_each_expected_test_passed(self):
        found = verdict.of_test(["S.A", "S.B"], event(xml=result(case("A"), case("B"))))
        self.assertTrue(found.good)
        self.assertEqual(found.passed, ["S.A", "S.B"])

    def test_is_bad_for_failure_skip_and_silence(self):
        one = ["S.A"]
        self.assertEqual(self.of(one, xml=result(case("A", "<failure message='x'/>")), code=1), ([], one, []))
        self.assertEqual(self.of(one, xml=result(case("A", "<skipped message='x'/>", state="skipped"))), ([], [], one))
        self.assertEqual(self.of(one, xml=result(case("A", status="notrun", state="suppressed"))), ([], one, []))
        self.assertEqual(self.of(one, xml=result(case("Other"))), ([], one, []))
        self.assertEqual(self.of(one, xml="<testsuites"), ([], one, []))
        self.assertEqual(self.of(one), ([], one, []))
        self.assertEqual(self.of([], xml=result()), ([], ["(no test)"], []))
        self.assertEqual(self.of(one, xml=result(case("A")), code=139), (one, ["(the program)"], []))

    def test_a_binary_that_broke_off_keeps_what_it_had_passed(self):
        output = "[ RUN      ] S.A\n[       OK ] S.A (3 ms)\n[ RUN      ] S.B\n"
        found = verdict.of_test(["S.A", "S.B"], event(output=output, code=1, reason="timeout"))
        self.assertEqual((found.passed, found.failed), (["S.A"], ["S.B"]))
        self.assertIn("it ended with 1 (timeout) and wrote no result", found.remarks)

    def test_a_command_must_exit_with_0_and_say_each_expected_line(self):
        run = table.Run(name="a", proves="b", manager="system", user="root", timeout=5, command="true", expect="one\ntwo +three")
        self.assertTrue(verdict.of_command(run, event("xone\ntwo  three\n")).good)
        self.assertFalse(verdict.of_command(run, event("one\n")).good)
        self.assertFalse(verdict.of_command(run, event("one\ntwo three", code=1)).good)

    def test_a_test_of_one_name_does_not_answer_for_another(self):
        cases = result(case("A"), case("AB"))
        self.assertEqual(self.of(["S.A", "S.B"], xml=cases), (["S.A"], ["S.B"], []))


class FakeMachine:
    """At the edge: a machine that wrote these events and is on, or off."""

    def __init__(self, folder, events, off, partial=""):
        self.results = pathlib.Path(folder) / "results.jsonl"
        self.results.write_text("".join(json.dumps(event) + "\n" for event in events) + partial)
        self.off = off

    def ended(self):
        return self.off

    def wait(self, _seconds):
        return self.off


class TheFollower(unittest.TestCase):
    RUN = table.Run(**ROW)
    BEGIN, END, DONE = {"event": "begin", "run": "a"}, event(), {"event": "done"}

    def setUp(self):
        self.saved = (command.BOOT_TIMEOUT, command.SLACK)
        command.BOOT_TIMEOUT, command.SLACK = 0.1, 0.1 - self.RUN.timeout

    def tearDown(self):
        command.BOOT_TIMEOUT, command.SLACK = self.saved

    def follow(self, events, off, partial=""):
        heard = []
        with tempfile.TemporaryDirectory() as folder:
            try:
                command.follow(FakeMachine(folder, events, off, partial), [self.RUN], heard.append)
            except command.VmError as error:
                return heard, str(error)
        return heard, ""

    def test_is_content_with_a_machine_that_is_done_and_off(self):
        events = [{"event": "boot"}, self.BEGIN, self.END, self.DONE]
        self.assertEqual(self.follow(events, off=True), (events, ""))

    def test_names_what_a_machine_was_at_when_it_hung_or_ended(self):
        self.assertIn("hangs in its start", self.follow([], off=False)[1])
        self.assertIn("hangs in run 'a'", self.follow([self.BEGIN], off=False)[1])
        self.assertIn("ended during run 'a'", self.follow([self.BEGIN], off=True)[1])
        self.assertIn("ended during its start", self.follow([], off=True)[1])
        self.assertIn("was not off", self.follow([self.BEGIN, self.END, self.DONE], off=False)[1])

    def test_names_a_line_that_is_no_event(self):
        self.assertIn("no event", self.follow([self.BEGIN], off=True, partial="{broken\n")[1])

    def test_the_guest_writes_all_of_an_event_to_a_port_that_takes_little_at_a_time(self):
        written = []
        with unittest.mock.patch.object(guest.os, "write", lambda _port, data: written.append(data[:100]) or len(data[:100])):
            guest.tell(-1, event="end", output="x" * 1000)
        self.assertEqual(json.loads(b"".join(written)), {"event": "end", "output": "x" * 1000})

    def test_hears_whole_lines_only_and_what_came_before_the_end(self):
        heard, error = self.follow([self.BEGIN, self.END], off=True, partial='{"event": "do')
        self.assertEqual(heard, [self.BEGIN, self.END])
        self.assertIn("ended during the end of run 'a'", error)


if __name__ == "__main__":
    unittest.main()
