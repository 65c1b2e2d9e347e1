"""What the code says of itself, the pages say too."""

from __future__ import annotations

import pytest

from server.stack.settings import StackSettings
from tests.docs.generate import DOCS, TABLES, expected


@pytest.mark.parametrize("page", sorted({page for page, _ in TABLES.values()}))
def test_the_tables_are_as_the_code_is(page):
    assert (DOCS / page).read_text(encoding="utf-8") == expected(page), "run: python -m tests.docs.generate"


def test_every_setting_of_prosaas_up_is_explained():
    told = (DOCS / "settings.md").read_text(encoding="utf-8")

    assert [name for name in StackSettings.__dataclass_fields__ if f"`{name.upper()}`" not in told] == []


def test_every_decision_is_listed_in_the_order_it_was_taken():
    listed = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    records = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))

    assert [name for name in records if f"({name})" not in listed] == []
    numbers = [int(name[:4]) for name in records]
    assert numbers == sorted(set(numbers))
