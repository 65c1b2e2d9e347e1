"""docs/faults.md is written by a whole run of the matrix, and compared by CI."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.faults.matrix import MATRIX

SETTINGS = """
[tool.pytest.ini_options]
testpaths = ["held"]
markers = ["fault(name): a line"]
"""
HELD = """
import pytest

@pytest.mark.fault("F2")
def test_one_holds(): pass

@pytest.mark.fault("F3")
@pytest.mark.parametrize("n", [1, 2])
def test_two_hold(n): pass
"""
SKIPPED = """
@pytest.mark.fault("F4")
@pytest.mark.skipif(True, reason="a library is not installed")
def test_this_needs_something(): pass
"""
LEFT = "docs/faults.md is left as it is: "


@dataclass(frozen=True)
class Repository:
    folder: Path

    @property
    def page(self) -> Path:
        return self.folder / "docs" / "faults.md"

    def tests(self, text: str) -> None:
        (self.folder / "held" / "test_it.py").write_text(text, encoding="utf-8")

    def line(self, name: str) -> str:
        lines = self.page.read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith(f"| {name} |"))

    def run(self, *told: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-m", "fault", "-p", "tests.faults.report"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        # Every other plugin costs each of these runs more than its tests do.
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        return subprocess.run(
            [*command, "-p", "xdist", "-p", "no:cacheprovider", "--import-mode=importlib", *told],
            cwd=self.folder,
            env=environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def repository(tmp_path):
    for name in ("docs", "held"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    made = Repository(tmp_path)
    made.tests(HELD)
    return made


def test_a_whole_run_writes_how_every_line_of_the_matrix_ended(repository):
    assert repository.run("-n", "2").returncode == 0

    assert "| yes | [one holds](../held/test_it.py) |" in repository.line("F2")
    assert "| yes | [two hold](../held/test_it.py) ×2 |" in repository.line("F3")
    assert all("| not run | " in repository.line(name) for name in MATRIX if name not in {"F2", "F3"})


def test_a_line_that_did_not_hold_is_written_too(repository):
    repository.tests(HELD.replace("(n): pass", "(n): assert n == 1"))

    assert repository.run().returncode == 1

    assert "| **no** | " in repository.line("F3")
    assert "| yes | " in repository.line("F2")


@pytest.mark.parametrize(
    "told", [["held/test_it.py"], ["-k", "one"], ["-x"], ["--co"], ["-m", "fault or not fault"]]
)
def test_part_of_a_run_leaves_the_page_as_it_is(repository, told):
    repository.page.write_text("as it was", encoding="utf-8")

    ended = repository.run(*told)

    assert f"{LEFT}this was not a whole run" in ended.stdout
    assert repository.page.read_text(encoding="utf-8") == "as it was"


def test_a_skipped_test_leaves_the_page_as_it_is_and_fails_where_it_is_compared(repository):
    repository.run()
    written = repository.page.read_text(encoding="utf-8")
    repository.tests(HELD + SKIPPED)

    by_hand, in_ci = repository.run(), repository.run("--faults-page=compare")

    assert (by_hand.returncode, in_ci.returncode) == (0, 1)
    assert f"{LEFT}Skipped: a library is not installed" in by_hand.stdout
    assert f"{LEFT}Skipped: a library is not installed" in in_ci.stdout
    assert repository.page.read_text(encoding="utf-8") == written


def test_ci_passes_where_the_page_is_what_its_own_run_found(repository):
    repository.run()

    ended = repository.run("-n", "2", "--faults-page=compare")

    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    "changed",
    [
        HELD.replace("test_one_holds", "test_another_holds"),
        HELD.replace("[1, 2]", "[1, 2, 3]"),
        HELD.replace('"F2"', '"F4"'),
        HELD.replace("(n): pass", "(n): assert n == 1"),
    ],
    ids=["renamed", "added", "moved", "failed"],
)
def test_ci_fails_and_says_what_to_do_where_the_page_is_not_what_its_run_found(repository, changed):
    repository.run()
    written = repository.page.read_text(encoding="utf-8")
    repository.tests(changed)

    ended = repository.run("--faults-page=compare")

    assert ended.returncode == 1
    assert "docs/faults.md is not what this run found: run ./run faults and commit the page" in ended.stdout
    assert repository.page.read_text(encoding="utf-8") == written


def test_a_line_that_the_matrix_lacks_is_refused(repository):
    repository.tests(HELD.replace('"F2"', '"F99"'))

    ended = repository.run()

    assert ended.returncode != 0
    assert "{'F99'} is no line of tests/faults/matrix.py" in ended.stdout + ended.stderr


def test_ci_compares():
    assert "./run faults --faults-page=compare\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
