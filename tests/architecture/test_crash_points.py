"""A crash point is passed somewhere, and killed at in the fault tests."""

from __future__ import annotations

import ast

import pytest

from server.queue.crash_points import CrashPoint
from tests.architecture.sources import sources
from tests.faults.test_crash_points import AFTERWARDS


def passed_points():
    return {
        node.args[0].attr
        for one in sources("server")
        for node in ast.walk(one.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "crash_point"
        if isinstance(node.args[0], ast.Attribute)
    }


@pytest.mark.parametrize("point", CrashPoint)
def test_a_crash_point_is_passed_and_has_a_fault_test(point):
    assert point.name in passed_points(), f"no line of server/ says crash_point(CrashPoint.{point.name})"
    assert point in AFTERWARDS, f"tests/faults/test_crash_points.py does not say what {point} leaves behind"
