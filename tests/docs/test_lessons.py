"""Every mistake that docs/lessons.md lists has a test here, which is still there."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import ROOT

LESSON = re.compile(r"^\| (L\d+) \|", re.MULTILINE)
ROW = re.compile(r"^\| L\d+ \|[^|]+\| ((?:`[^`]+` ?)+)\|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
MOST = 57
# As the page says at its end: of capabilities to come, or held by no test.
WITHOUT = {*range(27, 31), *range(38, 48), 53, 54, 55}


def test_every_lesson_names_a_test_that_is_there():
    told = (ROOT / "docs/lessons.md").read_text(encoding="utf-8")
    named = TEST.findall(told)

    missing = [f"{file}::{name}" for file, name in named if name not in names_in(file)]

    assert missing == []
    held = [f"L{number}" for number in range(1, MOST + 1) if number not in WITHOUT]
    assert LESSON.findall(told) == held
    assert len(ROW.findall(told)) == len(held)


def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
