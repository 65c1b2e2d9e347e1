"""`python -m tests.upstream`: run RQ's own tests against our worker.

`--write` also writes docs/upstream.md from how they ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from server.stack.valkey import Valkey, ValkeyOptions
from tests.ports import new_port
from tests.upstream.page import page
from tests.upstream.source import ROOT, unpack_tests
from tests.upstream.table import NOT_RUN, RUN, excluded, is_named

PAGE = ROOT / "docs" / "upstream.md"
OURS = Path(__file__).parent
RUN_WITHIN_S = 300
PYTEST = (
    sys.executable,
    "-m",
    "pytest",
    "-c",
    os.devnull,
    "--rootdir",
    ".",
    "-q",
    "-W",
    "ignore",
    "--timeout",
    "60",
)


async def main() -> int:
    """Return 0 when every test that is not left out passed, and the page says so."""
    with tempfile.TemporaryDirectory(prefix="prosaas-upstream-") as name:
        folder = Path(name)
        modules = unpack_tests(folder)
        # Under one name in both places: here, and beside RQ's own tests.
        (folder / "tests" / "upstream").symlink_to(OURS)
        valkey = Valkey(ValkeyOptions(data=folder / "redis", port=(port := new_port())))
        await valkey.start()
        try:
            ended = await asyncio.to_thread(_run, folder, port)
        finally:
            await valkey.stop()
    wrong = [*_unlisted(modules), *_stale(ended), *_not_passed(ended)]
    written = page(ended)
    if "--write" in sys.argv and not wrong:
        PAGE.write_text(written, encoding="utf-8")
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != written:
        wrong.append("docs/upstream.md does not say how they ended: python -m tests.upstream --write")
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


def _run(folder: Path, port: int) -> dict[str, dict[str, Any]]:
    results, used = folder / "results.json", folder / "used"
    used.mkdir()
    told = {"UPSTREAM_PORT": str(port), "UPSTREAM_RESULTS": str(results), "UPSTREAM_USED": str(used)}
    told["RUN_SLOW_TESTS_TOO"] = "1"
    paths = {"PYTHONPATH": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    plugins = ("-p", "no:cacheprovider", "-p", "tests.upstream.plugin")
    modules = [f"tests/{module}.py" for module in RUN]
    subprocess.run(
        [*PYTEST, *plugins, *modules],
        cwd=folder,
        env=os.environ | told | paths,
        check=False,
        timeout=RUN_WITHIN_S,
    )
    found: dict[str, dict[str, Any]] = json.loads(results.read_text(encoding="utf-8"))
    return found


def _unlisted(modules: Sequence[str]) -> list[str]:
    listed = {*RUN, *(one for names in NOT_RUN.values() for one in names)}
    return [
        *(
            f"{one}: a module of RQ's tests that tests/upstream/table.py does not name"
            for one in modules
            if one not in listed
        ),
        *(
            f"{one}: named in tests/upstream/table.py, and RQ has no such module"
            for one in listed - {*modules}
        ),
    ]


def _stale(ended: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: left out in tests/upstream/table.py, and RQ has no such test"
        for name in excluded()
        if not any(is_named(test, name) for test in ended)
    ]


def _not_passed(ended: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"{test}: {one['outcome']}, and tests/upstream/table.py gives no reason"
        for test, one in ended.items()
        if one["outcome"] not in {"passed", "excluded"}
    ]


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
