"""Tables in a terminal: what `prosaas jobs` and `prosaas schedule` show."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

WIDEST = 240
INDENT = "    "


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, none: str) -> str:
    """Lay rows out; where a terminal is too narrow, the last column stands below its row."""
    if not rows:
        return none
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    told = [[_shown(one) for one in row] for row in rows]
    whole = _lines([list(heads), *told])
    if width is None or max(map(len, whole)) <= width:
        return "\n".join(whole)
    head, *narrow = _lines([list(heads[:-1]), *(row[:-1] for row in told)])
    below = (textwrap.wrap(row[-1], max(width - len(INDENT), 1)) for row in told)
    return "\n".join(
        [
            head,
            *(line for row, rest in zip(narrow, below, strict=True) for line in [row, *map(_indented, rest)]),
        ]
    )


def _lines(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(one.ljust(width) for one, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _indented(line: str) -> str:
    return f"{INDENT}{line}"


def _shown(value: object) -> str:
    # Reasons may quote the outside world: nothing in them may steer the terminal.
    text = "".join(one if one.isprintable() else " " for one in str(value if value is not None else ""))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def age(seconds: float | None) -> str:
    """Return a duration in its largest unit."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
