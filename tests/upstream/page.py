"""docs/upstream.md, written from how RQ's own tests ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rq.version import VERSION

from tests.upstream.table import EXCLUDED, NOT_RUN, is_named

HEAD = f"""# RQ's own tests, run against our worker

`./run check` takes the tests out of RQ {VERSION}'s source distribution and runs them with our worker in the
place of RQ's `Worker` and `SimpleWorker` (`tests/upstream`): a real `WorkerProcess` on a ledger that grants
every job, and `RqView` for what RQ's tests call directly. This page is written from how they ended
(`.venv/bin/python -m tests.upstream --write`); a run that ends otherwise fails.

Of the tests that pass, some run jobs through our process, some go through what it tells RQ, and the others
ask RQ's classes about keys that both share. What is left out, and why, stands below.

| RQ's module | Pass | of these: through our process | through what it tells RQ | Left out |
| --- | ---: | ---: | ---: | ---: |
"""


def page(ended: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page; `ended` holds by test its outcome and what of our code it ran through."""
    modules = sorted({_module(test) for test in ended})
    lines = [_line(module, {t: e for t, e in ended.items() if _module(t) == module}) for module in modules]
    return HEAD + "".join(lines) + _line("**all**", ended) + _left_out(ended) + _not_run()


def _line(name: str, ended: Mapping[str, Mapping[str, Any]]) -> str:
    passed = [one for one in ended.values() if one["outcome"] == "passed"]
    process = sum("WorkerProcess" in one["used"] for one in passed)
    view = sum(one["used"] == ["RqView"] for one in passed)
    left_out = sum(one["outcome"] == "excluded" for one in ended.values())
    shown = name if name.startswith("*") else f"`{name}`"
    return f"| {shown} | {len(passed)} | {process} | {view} | {left_out} |\n"


def _left_out(ended: Iterable[str]) -> str:
    tests = list(ended)
    lines = ["\n## Tests left out\n\n| Why | Tests |\n| --- | --- |\n"]
    for reason, by_module in EXCLUDED.items():
        names = [
            (f"tests/{module}.py::{name}", name) for module, found in by_module.items() for name in found
        ]
        shown = [f"`{name}`{_many(path, tests)}" for path, name in names]
        lines.append(f"| {reason} | {'<br>'.join(shown)} |\n")
    return "".join(lines)


def _many(path: str, tests: Sequence[str]) -> str:
    count = sum(is_named(test, path) for test in tests)
    return "" if path in tests else f" ×{count}"


def _not_run() -> str:
    lines = ["\n## Modules not run\n\n| Why | Modules |\n| --- | --- |\n"]
    lines += [f"| {why} | {', '.join(f'`{one}`' for one in modules)} |\n" for why, modules in NOT_RUN.items()]
    return "".join(lines)


def _module(test: str) -> str:
    return test.partition(".py")[0].rpartition("/")[2]
