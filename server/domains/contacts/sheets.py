"""Leads as files of rows: reading what spreadsheets write, and writing what they may open. No I/O."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from server.domains.contacts.form_fields import LONGEST_FIELD, kind_of
from server.domains.contacts.reading import LeadRow
from server.errors import BadInputError

LARGEST_BYTES = 20 * 1024 * 1024
MOST_ROWS = 50_000
MOST_COLUMNS = 100
DELIMITERS = ",;\t|"
SAMPLE = 64 * 1024
# UTF-8 with or without its mark, UTF-16 as Excel's "Unicode text" has it, else what Hebrew Windows writes.
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# A spreadsheet runs what begins so.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "name",
    "phone",
    "email",
    "city",
    "stage",
    "title",
    "value",
    "currency",
    "source",
    "created_at",
    "last_contact_at",
)


def decode(content: bytes) -> str:
    """Return a file's text; raise BadInputError `bad_file` where it is none."""
    marked = next((name for mark, name in MARKS if content.startswith(mark)), None)
    for encoding in [marked] if marked else ["utf-8", "windows-1255"]:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadInputError("bad_file", "The file is no text: save it as CSV.")


def read_rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield a file's rows with their lines, the header first; empty ones are left out.

    Raises BadInputError `bad_file`, or `too_many_rows` past MOST_ROWS.
    """
    told = decode(content).replace("\x00", "\ufffd")
    first = told[:SAMPLE].partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(told, newline=""), delimiter=delimiter)
    found = 0
    try:
        for row in reader:
            cells = [cell.strip()[:LONGEST_FIELD] for cell in row[:MOST_COLUMNS]]
            if not any(cells):
                continue
            found += 1
            if found > MOST_ROWS + 1:
                raise BadInputError("too_many_rows", f"A file has at most {MOST_ROWS} rows.")
            yield reader.line_num, cells
    except csv.Error:
        raise BadInputError("bad_file", f"Line {reader.line_num} of the file cannot be read.") from None


def guess(header: Sequence[str]) -> dict[str, str]:
    """Return which column is which field, by what it is called; the first of several wins."""
    found: dict[str, str] = {}
    for place, title in enumerate(header):
        kind = kind_of(title)
        if kind is not None and kind not in found.values():
            found[str(place)] = kind
    return found


def fields_of(cells: Sequence[str], header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return a row's fields by our names, and those that are mapped to nothing by the file's own."""
    found: dict[str, str] = {}
    for place, cell in enumerate(cells):
        title = header[place] if place < len(header) and header[place] else f"column {place + 1}"
        name = mapping.get(str(place)) or title
        if cell and name not in found:
            found[name] = unquoted(cell)
    return found


def unquoted(cell: str) -> str:
    """Return a cell as it was before `quoted` made it safe."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def quoted(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def written(rows: Sequence[LeadRow]) -> str:
    """Return rows of leads as CSV."""
    sheet = io.StringIO()
    csv.writer(sheet).writerows([[quoted(cell) for cell in _cells(row)] for row in rows])
    return sheet.getvalue()


def _cells(row: LeadRow) -> list[str]:
    worth = "" if row.value_minor is None else f"{row.value_minor / 100:.2f}"
    told = [row.name, row.phone or row.told_phone, row.email, row.city, row.stage, row.title]
    return [
        *(one or "" for one in told),
        worth,
        row.currency or "",
        row.source,
        row.created_at.isoformat(),
        row.last_contact_at.isoformat(),
    ]
