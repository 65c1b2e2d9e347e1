"""Nothing grows past what can be read at once."""

from __future__ import annotations

from tests.architecture.sources import Function, length, sources

EVERYTHING = ("server", "simulator", "tests", "benches")
FILE_LINES = 400
FUNCTION_LINES = 40
HANDLER_FILE_LINES = 40
VIEW_LINES = 15
PROVIDER_FILE_LINES = 250
# It stands around every view: it is none.
NOT_VIEWS = {"server/web/gate.py"}


def test_no_file_is_longer_than_four_hundred_lines():
    long = [f"{one.path}: {one.lines} lines" for one in sources(*EVERYTHING) if one.lines > FILE_LINES]

    assert long == []


def test_no_function_is_longer_than_forty_lines():
    long = [
        f"{where}: {length(node)} lines"
        for one in sources(*EVERYTHING)
        for where, node in one.functions()
        if length(node) > FUNCTION_LINES
    ]

    assert long == []


def test_a_handler_loads_calls_one_verb_and_ends():
    long = [
        f"{one.path}: {one.lines} lines"
        for one in sources("server/jobs")
        if one.path.endswith("_job.py") and one.lines > HANDLER_FILE_LINES
    ]

    assert long == []


def test_a_view_is_at_most_fifteen_lines():
    long = [
        f"{where}: {length(node)} lines"
        for one in sources("server/web", "server/api")
        if one.path not in NOT_VIEWS
        for where, node in one.functions()
        if is_view(node) and length(node) > VIEW_LINES
    ]

    assert long == []


def test_a_provider_is_at_most_two_hundred_and_fifty_lines():
    long = [
        f"{one.path}: {one.lines} lines"
        for one in sources("server/providers")
        if one.lines > PROVIDER_FILE_LINES
    ]

    assert long == []


def is_view(node: Function) -> bool:
    """Tell a view by what it takes: a request, or somebody's visit."""
    first = next(iter(node.args.posonlyargs + node.args.args), None)
    taken = getattr(first.annotation, "id", "") if first else ""
    return taken in {"Request", "Visit", "MemberVisit"} and getattr(node.returns, "id", "") == "Response"
