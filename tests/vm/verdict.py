# SPDX-License-Identifier: AGPL-3.0-only
"""What a run came to: each test that was expected is passed, failed or skipped. Silence counts as a failure."""

import dataclasses
import re
import xml.etree.ElementTree


@dataclasses.dataclass
class Verdict:
    """Names of tests; a command is one test with the name of its run. `remarks` says why, one line a cause."""

    passed: list
    failed: list
    skipped: list
    remarks: list

    @property
    def good(self):
        return not self.failed and not self.skipped


def of_command(run, event):
    remarks = []
    if event["code"] != 0:
        remarks.append(ending(event))
    for line in run.expect.splitlines():
        if not re.search(line, event["output"]):
            remarks.append(f"its output has nothing that matches: {line}")
    return Verdict([], [run.name], [], remarks) if remarks else Verdict([run.name], [], [], [])


def ending(event):
    reason = f" ({event['reason']})" if event["reason"] else ""
    return f"it ended with {event['code']}{reason}"


def of_test(expected, event):
    """`expected` are the full names that the same filter selects outside."""
    verdict = Verdict([], [], [], [])
    cases = {}
    if event["xml"]:
        try:
            for case in xml.etree.ElementTree.fromstring(event["xml"]).iter("testcase"):
                cases[f"{case.get('classname')}.{case.get('name')}"] = case
        except xml.etree.ElementTree.ParseError as error:
            verdict.remarks.append(f"its result cannot be read: {error}")
    else:
        verdict.remarks.append(f"{ending(event)} and wrote no result")
    # A binary that broke off wrote none, but said on the way what had passed.
    said = set(re.findall(r"^\[       OK \] (\S+)", event["output"], re.MULTILINE)) if not cases else set()
    for name in expected:
        case = cases.get(name)
        if case is None:
            (verdict.passed if name in said else verdict.failed).append(name)
        elif case.find("failure") is not None:
            verdict.failed.append(name)
        elif case.find("skipped") is not None or case.get("result") == "skipped":
            verdict.skipped.append(name)
            verdict.remarks.append(f"{name} skipped itself")
        elif case.get("result") == "completed" and case.get("status") == "run":
            verdict.passed.append(name)
        else:
            verdict.failed.append(name)
            verdict.remarks.append(f"{name} did not run")
    if not expected:
        verdict.failed.append("(no test)")
        verdict.remarks.append("its filter selects no test")
    if event["code"] != 0 and verdict.good:
        # All tests passed and the program failed all the same: a crash at its end, or a suite's own teardown.
        verdict.failed.append("(the program)")
        verdict.remarks.append(ending(event))
    return verdict
