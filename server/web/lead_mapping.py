"""A file of leads before it is imported: what its columns are taken for, and why it may be refused."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from server.domains import contacts
from server.web.words import Words

FIELDS = (
    "name",
    "first_name",
    "last_name",
    "phone",
    "email",
    "city",
    "message",
    "source",
    "stage",
    "consent",
)
SAMPLES = 3
LONGEST_SAMPLE = 80
# What a file may be refused for, each in its own words.
REFUSALS = (
    "empty_file",
    "only_header",
    "is_workbook",
    "not_text",
    "bad_line",
    "too_many_rows",
    "too_large",
    "bad_file",
)


def columns_of(t: Words, file: contacts.Import, mapping: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a file's columns: what each is called, its first cells, and the field it is taken for."""
    cells = zip_longest(file.header, *file.sample, fillvalue="")
    # Where the first row is a lead, there is no title before the cells.
    columns = [(one[0], one[1:]) if file.header else ("", one) for one in cells]
    return [
        {
            "place": place,
            "title": title or t("leads.import.column", n=str(place + 1)),
            "samples": [cell[:LONGEST_SAMPLE] for cell in told if cell][:SAMPLES],
            "chosen": mapping.get(str(place), ""),
        }
        for place, (title, told) in enumerate(columns)
    ]


def mapping_of(form: Mapping[str, str]) -> dict[str, str]:
    """Return what a member took each column for."""
    mapping = {key[1:]: kind for key, kind in form.items() if key[:1] == "c" and kind in FIELDS}
    return mapping if form.get("has_header") else mapping | {contacts.FIRST_ROW: contacts.IS_DATA}


def refusal(t: Words, error: Exception) -> dict[str, str]:
    """Return why a file was refused, for the script that brought it."""
    code = getattr(error, "code", "bad_file")
    line = getattr(error, "line", None)
    key = code if code in REFUSALS else "bad_file"
    return {"error": code, "message": t(f"leads.refused.{key}", line=str(line or ""))}
