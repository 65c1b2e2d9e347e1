"""`pytest -p tests.faults.report`: write docs/faults.md from how the tests of the fault matrix ended.

The page says nothing that differs from one green run to the next, so that CI can compare it: with
`--faults-page=compare` nothing is written, and a run that found something else fails. Only a whole run
in which no test was skipped says anything about the page.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from enum import Enum
from pathlib import Path

import pytest

from tests.faults.matrix import MATRIX

PROPERTY = "fault"
# Options of a run that leaves tests out, or ends before all of them were run.
NARROWER = (
    "keyword",
    "deselect",
    "ignore",
    "ignore_glob",
    "lf",
    "stepwise",
    "maxfail",
    "collectonly",
)
WRITE, COMPARE = "write", "compare"
HEAD = """# Faults

What is done to running processes, stores and networks, and what must hold afterwards. `./run faults` runs
every test below and writes this page from how they ended; CI fails where its own run found something else.
After each test with a whole installation the invariants I1–I11 (`server/queue/invariants.py`) are checked
against the database, Redis, the log, and what the simulated providers received: no message lost, none sent
twice, none to the wrong person.

Processes, PostgreSQL and Redis are real; providers are simulated, over real sockets. Leases are 2 s in these
tests, so that a takeover takes seconds. Lines that the matrix lacks belong to parts that do not exist yet.

| # | Fault | Must hold | Held | Tests |
| --- | --- | --- | --- | --- |
"""


class End(Enum):
    """How a test ended; the worst of its phases counts."""

    PASSED = 0
    SKIPPED = 1
    FAILED = 2


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let CI compare where others write."""
    parser.addoption("--faults-page", choices=[WRITE, COMPARE], default=WRITE, help="docs/faults.md")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each test's report carry the lines of the matrix that it is for."""
    for item in items:
        for mark in item.iter_markers(PROPERTY):
            if unknown := set(mark.args) - set(MATRIX):
                raise pytest.UsageError(f"{item.nodeid}: {unknown} is no line of tests/faults/matrix.py")
            item.user_properties.extend((PROPERTY, name) for name in mark.args)


def pytest_configure(config: pytest.Config) -> None:
    """Gather results in the process that sees them all."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(config), "fault-results")


class Results:
    """How the tests of each line ended, and what follows for the page."""

    def __init__(self, config: pytest.Config) -> None:
        self._page = config.rootpath / "docs" / "faults.md"
        self._compares = config.getoption("--faults-page") == COMPARE
        self._is_whole = (
            config.args_source is not pytest.Config.ArgsSource.ARGS
            and config.option.markexpr == PROPERTY
            and not any(config.getoption(name, None) for name in NARROWER)
        )
        # Line → test without its parameters → its runs, by parameters.
        self._ended: dict[str, dict[str, dict[str, End]]] = defaultdict(lambda: defaultdict(dict))
        self._reasons: set[str] = set()
        self._said = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in one phase of one test."""
        test, _, parameters = report.nodeid.partition("[")
        end = End[report.outcome.upper()]
        for name, line in report.user_properties:
            if name == PROPERTY:
                runs = self._ended[str(line)][test]
                runs[parameters] = max(runs.get(parameters, End.PASSED), end, key=lambda one: one.value)
                if end is End.SKIPPED:
                    self._reasons.add(report.longrepr[2] if isinstance(report.longrepr, tuple) else "")

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the page or compare it, where this run can tell what belongs there."""
        if exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} or not self._is_whole:
            doubt = "this was not a whole run"
        else:
            doubt = "; ".join(sorted(self._reasons))
        page = HEAD + "".join(self._line(name) for name in MATRIX)
        if doubt:
            self._said = f"docs/faults.md is left as it is: {doubt}"
        elif self._compares:
            self._said = _difference(self._page, page)
        else:
            self._page.write_text(page, encoding="utf-8")
        if self._said and self._compares and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what became of the page, where that needs a word."""
        if self._said:
            terminalreporter.write_line(self._said)

    def _line(self, name: str) -> str:
        fault, tests = MATRIX[name], self._ended[name]
        if not tests:
            held = "not run"
        else:
            ends = {end for runs in tests.values() for end in runs.values()}
            held = "yes" if ends == {End.PASSED} else "**no**"
        shown = "<br>".join(_shown(test, len(runs)) for test, runs in sorted(tests.items()))
        return f"| {name} | {fault.what} | {fault.must_hold} | {held} | {shown} |\n"


def _shown(test: str, runs: int) -> str:
    file, _, name = test.partition("::")
    words = name.removeprefix("test_").replace("_", " ")
    return f"[{words}](../{file}){f' ×{runs}' if runs > 1 else ''}"


def _difference(page: Path, found: str) -> str:
    committed = page.read_text(encoding="utf-8") if page.exists() else ""
    if committed == found:
        return ""
    lines = difflib.unified_diff(
        committed.splitlines(), found.splitlines(), "committed", "as this run ended", n=0, lineterm=""
    )
    return "\n".join(
        [*lines, "docs/faults.md is not what this run found: run ./run faults and commit the page it writes"]
    )
