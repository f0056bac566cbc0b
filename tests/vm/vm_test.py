#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Holds runs.toml against the built binaries, so that it cannot rot where nobody boots a machine; the verdict on a run's results, with
each way in which a run can be silent; and the patience with a machine that hangs. ./dev vm itself is the test against a real one."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import booted  # noqa: E402
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

    def test_a_filter_selects_here_what_it_selects_there(self):
        for binary, gtest_filter in (("runnerd_sandbox_test", "SandboxTest.E*:SandboxTest.P?obe*-*Echo*"), ("redteam_keyd_test", "-Each/*"),
                                     ("confinement_test", "Confinement.TheRunning*")):
            line = [TESTS / binary, "--gtest_list_tests", f"--gtest_filter={gtest_filter}"]
            said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
            names = table.tests_of(TESTS / binary, gtest_filter)
            self.assertTrue(names)
            self.assertEqual([name.rsplit(".", 1)[1] for name in names],
                             [text.split("#")[0].strip() for text in said.splitlines() if text.startswith("  ")])

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
        self.refused(self.row(machine="a b"), "machine")
        self.refused(self.row(packages="yes"), "packages")
        self.refused(self.row(alone=1), "alone")
        two = {"test": None, "command": ["true", "true"]}
        self.refused(self.row(**two), "restart")
        self.refused(self.row(**two, restart="perhaps"), "restart")
        self.refused(self.row(test=None, command="true", restart="cut"), "restart")
        self.refused(self.row(restart="cut"), "restart")
        self.refused(self.row(test=None, command=["true"], restart="cut"), "command")
        self.refused(self.row(test=None, command=["true", 1], restart="cut"), "command")

    def test_a_run_with_its_own_kernel_machine_or_packages_shares_none_with_others(self):
        runs = [table.Run(**(ROW | more)) for more in ({}, {"kernel": "x=1"}, {"machine": "m"}, {"packages": True}, {"name": "b"})]
        self.assertEqual([run.machine_key == runs[0].machine_key for run in runs], [True, False, False, False, True])


class TheSecondDisk(unittest.TestCase):
    def test_has_programs_without_symbols_at_their_path_and_what_is_no_program_as_it_is(self):
        program = TESTS / "runnerd_spawn_test"
        with tempfile.TemporaryDirectory() as folder:
            script = pathlib.Path(folder) / "script"
            script.write_text("#!/bin/sh\n")
            script.chmod(0o755)
            link = pathlib.Path(folder) / "link"
            link.symlink_to(program)
            with tarfile.open(pathlib.Path(folder) / "disk", "w") as archive:
                command.add_program(archive, link)
                command.add_program(archive, program)
                command.add_program(archive, script)
            with tarfile.open(pathlib.Path(folder) / "disk") as archive:
                linked, stripped, as_it_is = archive.getmembers()
                self.assertEqual((linked.issym(), linked.linkname), (True, str(program)))
                self.assertEqual("/" + stripped.name, str(program))
                self.assertEqual(stripped.mode & 0o755, 0o755)
                self.assertLess(stripped.size, program.stat().st_size)
                self.assertEqual(archive.extractfile(stripped).read(4), b"\x7fELF")
                self.assertEqual(archive.extractfile(as_it_is).read(), b"#!/bin/sh\n")


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
        self.saved = (command.BOOT_TIMEOUT, command.SLACK, command.SHUTDOWN_TIMEOUT)
        command.BOOT_TIMEOUT, command.SLACK, command.SHUTDOWN_TIMEOUT = 0.1, 0.1 - self.RUN.timeout, 0.1

    def tearDown(self):
        command.BOOT_TIMEOUT, command.SLACK, command.SHUTDOWN_TIMEOUT = self.saved

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

    def test_waits_for_a_restart_as_long_as_for_a_start(self):
        events = [self.BEGIN, {"event": "restart", "run": "a", "how": "cut"}]
        self.assertIn("hangs in its start in the middle of run 'a'", self.follow(events, off=False)[1])
        events += [{"event": "boot"}, self.BEGIN, self.END, self.DONE]
        self.assertEqual(self.follow(events, off=True), (events, ""))

    def test_knows_each_run_that_goes_on_beside_another(self):
        other = table.Run(**(ROW | {"name": "b", "timeout": 3600}))
        begin, end = {"event": "begin", "run": "b"}, event() | {"run": "b"}
        with tempfile.TemporaryDirectory() as folder:
            for events, off, said in (([self.BEGIN, begin], True, "ended during run 'a' and run 'b'"),
                                      ([self.BEGIN, begin, self.END], True, "ended during run 'b'"),
                                      ([self.BEGIN, begin, end], False, "hangs in run 'a'"),
                                      ([begin, self.BEGIN, self.END, end], True, "ended during the end of run 'b'")):
                with self.assertRaisesRegex(command.VmError, said):
                    command.follow(FakeMachine(folder, events, off), [self.RUN, other], lambda _: None)

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


class TheKeptMachine(unittest.TestCase):
    """The machine as it has booted (booted.py). That one really goes on is what ./dev vm itself shows."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.made, self.emulator = pathlib.Path(folder.name), [], "qemu 7"
        (self.folder / "image").mkdir()
        (self.folder / "image/root.qcow2").write_text("one")

    def get(self, translated=True, **more):
        def make(_image, vm, _patience):
            self.made.append(vm.parameters(translated=True))
            vm.folder.joinpath("memory").write_text("")

        with unittest.mock.patch.object(booted, "make", make), unittest.mock.patch.object(booted.machine, "translated", lambda _: translated), \
                unittest.mock.patch.object(booted.machine, "accelerator", lambda *_: ["-accel", "tcg"]), \
                unittest.mock.patch.object(booted, "version_of_emulator", lambda: self.emulator):
            return booted.get(self.folder / "image", self.folder / "kept", 1, **more)

    def test_is_made_once_and_again_for_another_image_emulator_or_machine(self):
        self.assertTrue(self.get().memory.exists())
        self.get()
        self.assertEqual(len(self.made), 1)
        self.get(packages=True)
        self.assertEqual(len(self.made), 2)
        self.assertNotEqual(*self.made)
        self.emulator = "qemu 8"
        self.get(packages=True)
        (self.folder / "image/new").write_text("one")
        (self.folder / "image/new").rename(self.folder / "image/root.qcow2")
        self.get(packages=True)
        self.get(packages=True)
        self.assertEqual(len(self.made), 4)

    def test_is_not_made_where_a_machine_boots_in_seconds(self):
        self.assertIsNone(self.get(translated=False))
        self.assertEqual(self.made, [])

    def test_one_that_was_not_made_to_its_end_is_made_again(self):
        with unittest.mock.patch.object(pathlib.Path, "rename", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            self.get()
        self.get()
        self.assertEqual(len(self.made), 2)

    def test_there_is_one_for_each_kernel_with_packages_and_without(self):
        asked = []
        runs = [[table.Run(**ROW | {"name": name, "kernel": kernel, "packages": packages})]
                for name, kernel, packages in (("a", "", False), ("b", "x.y=1 z", False), ("c", "", True), ("d", "", True))]
        with unittest.mock.patch.object(command.booted, "get", lambda _image, folder, _patience, **more: asked.append(more) or folder.name):
            kept = command.kept_for(runs)
        self.assertEqual((kept["", False], kept["", True]), ("booted", "booted-packages"))
        # What qemu takes in a path.
        self.assertRegex(kept["x.y=1 z", False], "^booted-[0-9a-f]{8}$")
        self.assertEqual(asked, [{"packages": False, "kernel": ""}, {"packages": False, "kernel": "x.y=1 z"}, {"packages": True, "kernel": ""}])

    def test_what_the_monitor_refuses_is_told_and_what_it_says_by_itself_is_not_the_answer(self):
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(str(self.folder / "monitor"))
        server.listen()

        def answer():
            with server.accept()[0] as connection:
                connection.sendall(b'{"QMP": {}}\n')
                for line in (b'{"return": {}}', b'{"event": "STOP"}\n{"return": {"status": "completed"}}',
                             b'{"error": {"class": "GenericError", "desc": "no room"}}'):
                    connection.recv(4096)
                    connection.sendall(line + b"\n")

        teller = threading.Thread(target=answer)
        teller.start()
        with self.assertRaisesRegex(booted.BootError, "no-monitor"):
            booted.Monitor(self.folder / "no-monitor", 5)
        with booted.Monitor(self.folder / "monitor", 5) as monitor:
            self.assertEqual(monitor.do("query-migrate"), {"status": "completed"})
            with self.assertRaisesRegex(booted.BootError, "migrate: no room"):
                monitor.do("migrate")
            with self.assertRaisesRegex(booted.BootError, "quit: "):
                monitor.do("quit")
        teller.join()


class TheMachines(unittest.TestCase):
    """Which go on side by side, and in which order."""

    def setUp(self):
        patch = unittest.mock.patch.object(command, "kept_for", lambda groups: {command.start_of(group): None for group in groups})
        patch.start()
        self.addCleanup(patch.stop)

    def run_of(self, name, timeout=10, **more):
        return table.Run(name=name, proves="-", manager="system", user="root", command="true", timeout=timeout, **more)

    def test_go_side_by_side_as_many_as_there_may_be_the_longest_first(self):
        runs = [self.run_of("short", machine="s"), self.run_of("middle", 400), self.run_of("middle-2", 50),
                self.run_of("long", 500, machine="l"), self.run_of("long-2", 500, machine="l")]
        began, both, over = [], threading.Barrier(2), []

        def boot_one(group, _folder, _kept, on_event, *_):
            began.append((group[0].name, len(over)))
            if group[0].name != "short":
                both.wait(20)
            over.append(group)
            on_event(group[0].name)

        heard = []
        with unittest.mock.patch.object(command, "boot_one", boot_one), unittest.mock.patch.object(command.shutil, "rmtree"), \
                unittest.mock.patch.object(command, "MACHINES", 2):
            command.boot(runs, heard.append)
        self.assertEqual(sorted(began[:2]), [("long", 0), ("middle", 0)])
        self.assertEqual(began[2][0], "short")
        self.assertGreaterEqual(began[2][1], 1)
        self.assertEqual(sorted(heard), ["long", "middle", "short"])

    def test_those_that_fail_are_all_told_of_and_none_begins_after_them(self):
        ended, both = [], threading.Barrier(2)

        def boot_one(group, *_):
            both.wait(20)
            ended.append(group[0].name)
            raise command.VmError(f"{group[0].name} hangs")

        with unittest.mock.patch.object(command, "boot_one", boot_one), unittest.mock.patch.object(command.shutil, "rmtree"), \
                unittest.mock.patch.object(command, "MACHINES", 2), self.assertRaisesRegex(command.VmError, "(?s)first hangs.*second hangs"):
            command.boot([self.run_of("first", 30, machine="a"), self.run_of("second", 20, machine="b")], lambda _: None)
        self.assertEqual(sorted(ended), ["first", "second"])

    def test_who_ends_the_program_ends_the_machines_and_none_starts_anymore(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        stopped, packing = [], threading.Event()

        class Vm:
            def __init__(self, _image, _share, folder, *_, **_more):
                self.name, self.console, self.results, self.off = folder.name, "", folder / "none", threading.Event()

            def start(self):
                if self.name == "machine-0":
                    packing.set()

            def ended(self):
                return self.off.is_set()

            def stop(self):
                stopped.append(self.name)
                self.off.set()

            def console_tail(self):
                return ""

        def write_share(path, *_, **_more):
            if path.parent.name == "machine-1":
                # Still packing when the end comes.
                over_seen.wait(20)

        over_seen = threading.Event()

        def interrupted(waiting, **_):
            if not waiting:
                return
            packing.wait(20)
            threading.Timer(0.5, over_seen.set).start()
            raise KeyboardInterrupt

        with unittest.mock.patch.object(command.machine, "Machine", Vm), unittest.mock.patch.object(command, "write_share", write_share), \
                unittest.mock.patch.object(command, "LAST", pathlib.Path(folder.name) / "last"), unittest.mock.patch.object(command, "MACHINES", 2), \
                unittest.mock.patch.object(command, "packing", contextlib.nullcontext()), \
                unittest.mock.patch.object(command.futures, "wait", interrupted), self.assertRaises(KeyboardInterrupt):
            command.boot([self.run_of(name, machine=name) for name in ("a", "b", "c")], lambda _: None)
        self.assertEqual(sorted(set(stopped)), ["machine-0", "machine-1"], "and the third never began")


class Restarted(Exception):
    """The fake machine's processor starts again."""


class TheGuest(unittest.TestCase):
    """The guest with a systemd that runs nothing: what it keeps over a restart, and what it tells."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home, self.told, self.ran, self.codes = pathlib.Path(folder.name), [], [], {}
        for name, value in (("HOME", self.home), ("tell", lambda _port, **event: self.told.append(event)), ("do_step", self.step),
                            ("output_of", lambda *_: ""), ("start_again", self.again)):
            patch = unittest.mock.patch.object(guest, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        chown = unittest.mock.patch.object(guest.os, "chown")
        chown.start()
        self.addCleanup(chown.stop)
        (self.home / "runs").mkdir()
        user = {"user": "root", "manager": "system", "timeout": 5, "properties": []}
        self.plan = {"runs": [user | {"name": "two", "steps": [["one"], ["other"]], "restart": "reboot"},
                              user | {"name": "last", "steps": [["last"]], "restart": ""}]}
        for run in self.plan["runs"]:
            run["alone"] = False

    def step(self, run, argv, _plan):
        self.ran.append(argv[0])
        with open(self.home / f"{run['name']}.out", "a", encoding="utf-8") as file:
            file.write(f"out of {argv[0]}\n")
        if argv[0] == "crash":
            raise Restarted
        return self.codes.get(argv[0], 0), "", 1.5

    def again(self, port, run, state):
        guest.tell(port, event="restart", run=run["name"], how=run["restart"])
        guest.keep(state | {"expected": True})
        raise Restarted

    def start(self):
        """One start of the machine; whether it came to its end."""
        try:
            guest.do_all(-1, self.plan)
            return True
        except Restarted:
            return False

    def end_of(self, name):
        return next(event for event in self.told if event["event"] == "end" and event["run"] == name)

    def test_goes_on_with_the_next_program_after_a_restart(self):
        self.assertFalse(self.start())
        self.assertEqual(self.ran, ["one"])
        self.assertTrue(self.start())
        self.assertEqual(self.ran, ["one", "other", "last"])
        end = self.end_of("two")
        self.assertEqual((end["code"], end["seconds"], end["output"]), (0, 3.0, "out of one\nout of other\n"))
        self.assertEqual([event["event"] for event in self.told], ["begin", "restart", "begin", "end", "begin", "end"])

    def test_does_not_start_again_after_a_program_that_failed(self):
        self.codes["one"] = 3
        self.assertTrue(self.start())
        self.assertEqual(self.ran, ["one", "last"])
        self.assertEqual(self.end_of("two")["code"], 3)

    def test_runs_go_on_side_by_side_but_for_one_that_must_be_alone(self):
        names = ("a", "b", "alone", "c", "d")
        self.plan["runs"] = [self.plan["runs"][1] | {"name": name, "steps": [[name]], "alone": name == "alone"} for name in names]
        begun, both, going, beside = [], threading.Barrier(2), set(), {}

        def step(run, argv, plan):
            begun.append(argv[0])
            going.add(argv[0])
            beside[argv[0]] = going - {argv[0]}
            if argv[0] != "alone":
                # Nobody gets by here before another does.
                both.wait(20)
            going.discard(argv[0])
            return self.step(run, argv, plan)

        with unittest.mock.patch.object(guest, "do_step", step), unittest.mock.patch.object(guest, "LANES", 2):
            self.assertTrue(self.start())
        self.assertEqual(begun[2], "alone")
        self.assertEqual(beside["alone"], set())
        self.assertEqual(sorted(begun), sorted(names))

    def test_a_run_that_the_guest_cannot_start_is_an_error_of_the_guest(self):
        with unittest.mock.patch.object(guest, "do_step", side_effect=OSError("no systemd-run")), self.assertRaises(OSError):
            self.start()

    def test_a_start_that_nobody_asked_for_is_a_failure_and_the_next_run_goes_on(self):
        self.plan["runs"][0]["steps"][1] = ["crash"]
        self.assertFalse(self.start())
        self.assertFalse(self.start())
        self.assertTrue(self.start())
        end = self.end_of("two")
        self.assertEqual((end["code"], end["reason"]), (-1, "the machine started again by itself"))
        self.assertEqual(end["output"], "out of one\nout of crash\n")
        self.assertEqual(self.ran, ["one", "crash", "last"])


if __name__ == "__main__":
    unittest.main()
