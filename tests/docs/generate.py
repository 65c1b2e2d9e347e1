"""`python -m tests.docs.generate`: write the tables of docs/jobs.md and docs/settings.md anew from the code.

The rest of those pages is written by hand; a table stands between two comments that name it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from server.config import Settings
from server.queue import KINDS
from server.roles import ROLES
from server.scheduler.schedule import TIMETABLE, Entry

DOCS = Path(__file__).parents[2] / "docs"


def jobs_table() -> str:
    """Return every kind of the catalogue, most urgent first."""
    kinds = sorted(KINDS.values(), key=lambda kind: (kind.urgency, kind.name))
    return _table(
        ("Kind", "Queue", "Urgency", "Time limit", "Tried again after", "What it does"),
        (
            (
                f"`{kind.name}`",
                f"`{kind.queue}`",
                kind.urgency.name.lower().replace("_", " "),
                f"{kind.timeout_s:g} s",
                ", ".join(f"{wait:g}" for wait in kind.retry_after_s) + " s",
                str(kind.payload_type.__doc__).partition("\n")[0],
            )
            for kind in kinds
        ),
    )


def timetable() -> str:
    """Return the scheduler's timetable in its own order."""
    return _table(
        ("Entry", "Cron", "Missed slots", "Longest age"),
        (
            (f"`{entry.kind.name}`", f"`{entry.cron}`", entry.catch_up.value, _hours(entry))
            for entry in TIMETABLE
        ),
    )


def settings_table() -> str:
    """Return every setting of a role in the order of the code."""
    return _table(
        ("Variable", "Default", "What it is"),
        (
            (f"`{name.upper()}`", _default(field.get_default()), field.description or "")
            for name, field in Settings.model_fields.items()
        ),
    )


def roles_table() -> str:
    """Return the five roles with their rights."""
    return _table(
        ("`SERVICE_ROLE`", "Command", "May", "Connects to PostgreSQL as"),
        (
            (
                f"`{role}`",
                f"`{rules.command}`",
                ", ".join(sorted(rules.rights)),
                f"`{rules.database_role}`" if rules.database_role else "its children's own",
            )
            for role, rules in ROLES.items()
        ),
    )


TABLES: Mapping[str, tuple[str, Callable[[], str]]] = {
    "jobs": ("jobs.md", jobs_table),
    "timetable": ("jobs.md", timetable),
    "settings": ("settings.md", settings_table),
    "roles": ("architecture.md", roles_table),
}


def expected(page: str) -> str:
    """Return a page as it should be; raise LookupError when it lacks a table's two comments."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for name, (where, table) in TABLES.items():
        if where == page:
            text = _replaced(text, name, table())
    return text


def _replaced(text: str, name: str, table: str) -> str:
    begin, end = f"<!-- table: {name} -->\n", f"<!-- end: {name} -->"
    if begin not in text or end not in text:
        raise LookupError(f"the comments of the table {name} are missing")
    return re.sub(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}{table}{end}", text, flags=re.DOTALL
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    shown = value.get_secret_value() if isinstance(value, SecretStr) else value
    return f"`{shown}`" if str(shown) else "empty"


def _hours(entry: Entry) -> str:
    return f"{entry.longest_age.total_seconds() / 3600:g} h"


def main() -> int:
    """Write the pages."""
    for page in {where for where, _ in TABLES.values()}:
        (DOCS / page).write_text(expected(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
