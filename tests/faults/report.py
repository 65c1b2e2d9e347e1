"""`pytest -p tests.faults.report`: write docs/faults.md from how the tests of the fault matrix ended.

The page says nothing that differs from one green run to the next, so that CI can compare it.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.faults.matrix import MATRIX

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
PROPERTY = "fault"
HEAD = """# Faults

What is done to running processes, stores and networks, and what must hold afterwards. `./run faults` runs
every test below and writes this page from how they ended. After each test with a whole installation the
invariants I1–I11 (`server/queue/invariants.py`) are checked against the database, Redis, the log, and what
the simulated providers received: no message lost, none sent twice, none to the wrong person.

Processes, PostgreSQL and Redis are real; providers are simulated, over real sockets. Leases are 2 s in these
tests, so that a takeover takes seconds. Lines that the matrix lacks belong to parts that do not exist yet.

| # | Fault | Must hold | Held | Tests |
| --- | --- | --- | --- | --- |
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each test's report carry the lines of the matrix that it is for."""
    for item in items:
        for mark in item.iter_markers(PROPERTY):
            item.user_properties.extend((PROPERTY, name) for name in mark.args)


def pytest_configure(config: pytest.Config) -> None:
    """Gather results in the process that sees them all."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(), "fault-results")


class Results:
    """How the tests of each line ended."""

    def __init__(self) -> None:
        # Line → test without its parameters → its runs, by parameters; True while every phase passed.
        self._ended: dict[str, dict[str, dict[str, bool]]] = defaultdict(lambda: defaultdict(dict))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in one phase of one test."""
        test, _, parameters = report.nodeid.partition("[")
        for name, line in report.user_properties:
            if name == PROPERTY:
                runs = self._ended[str(line)][test]
                runs[parameters] = runs.get(parameters, True) and report.passed

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        PAGE.write_text(HEAD + "".join(self._line(name) for name in MATRIX), encoding="utf-8")

    def _line(self, name: str) -> str:
        fault, tests = MATRIX[name], self._ended[name]
        if not tests:
            held = "not run"
        else:
            held = "yes" if all(all(runs.values()) for runs in tests.values()) else "**no**"
        shown = "<br>".join(_shown(test, len(runs)) for test, runs in sorted(tests.items()))
        return f"| {name} | {fault.what} | {fault.must_hold} | {held} | {shown} |\n"


def _shown(test: str, runs: int) -> str:
    file, _, name = test.partition("::")
    words = name.removeprefix("test_").replace("_", " ")
    return f"[{words}](../{file}){f' ×{runs}' if runs > 1 else ''}"
