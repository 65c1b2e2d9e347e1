"""Leads as files of rows: reading what spreadsheets write, and writing what they may open. No I/O."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence

from server.domains.contacts.form_fields import CONSENT, LONGEST_FIELD, asks_consent, kind_of
from server.domains.contacts.reading import LeadRow
from server.domains.contacts.rules import normalise_email
from server.errors import BadInputError

LARGEST_BYTES = 20 * 1024 * 1024
MOST_ROWS = 50_000
MOST_COLUMNS = 100
DELIMITERS = ",;\t|"
SAMPLE = 64 * 1024
# UTF-8 with or without its mark, UTF-16 as Excel's "Unicode text" has it, else what Hebrew Windows writes.
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# How Excel, Numbers and LibreOffice begin their own files: a ZIP archive, and what Office wrote before 2007.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# Text is what has no more control characters than a slip of the hand: a picture is full of them.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
MOST_CONTROL_SHARE = 0.02
FEW_CONTROLS = 16
# One zero in ten bytes, all on one side: letters of two bytes each, with no mark at their beginning.
LEAST_ZERO_SHARE = 0.1
IN_QUOTES = re.compile(r'"[^"]*"')
# Excel's own way to say which delimiter a file has, in a line before the first.
SEP = re.compile(r'sep=([^"\r\n])\r?\n', re.IGNORECASE)
PHONE_LIKE = re.compile(r"'?\+?[\d\s().-]{7,25}")
LEAST_DIGITS = 7
# A spreadsheet runs what begins so, the wide forms of East Asian keyboards included (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# In a mapping: the file names no columns, its first row is a lead like any other.
FIRST_ROW, IS_DATA = "first_row", "data"
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


class BadSheetError(BadInputError):
    """A file that is none we can take: `code` says why, `line` where, if it is one line's fault.

    The codes: `empty_file`, `only_header`, `is_workbook`, `not_text`, `bad_line`, `too_many_rows`,
    `too_large`.
    """

    def __init__(self, code: str, text: str, line: int | None = None) -> None:
        super().__init__(code, text)
        self.line = line


def decode(content: bytes) -> str:
    """Return a file's text; raise BadSheetError where it is none."""
    if content.startswith(WORKBOOKS):
        raise BadSheetError("is_workbook", "The file is a workbook: save its sheet as CSV UTF-8.")
    for encoding in _encodings(content):
        try:
            told = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        most = max(FEW_CONTROLS, MOST_CONTROL_SHARE * len(told[:SAMPLE]))
        if len(CONTROL.findall(told[:SAMPLE])) <= most:
            return told.replace("\x00", "\ufffd")
    raise BadSheetError("not_text", "The file is no text: save it as CSV UTF-8.")


def read_rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield a file's rows with their lines, the header first; empty ones are left out.

    Raises BadSheetError, past MOST_ROWS as well.
    """
    told = decode(content)
    before = SEP.match(told)
    begins_at = before.end() if before else 0
    first = IN_QUOTES.sub("", told[begins_at : begins_at + SAMPLE].partition("\n")[0])
    delimiter = before[1] if before else max(DELIMITERS, key=first.count)
    text = io.StringIO(told, newline="")
    text.seek(begins_at)
    reader = csv.reader(text, delimiter=delimiter)
    skipped = 1 if before else 0
    found = 0
    try:
        for row in reader:
            cells = [cell.strip()[:LONGEST_FIELD] for cell in row[:MOST_COLUMNS]]
            if not any(cells):
                continue
            found += 1
            if found > MOST_ROWS + 1:
                raise BadSheetError("too_many_rows", f"A file has at most {MOST_ROWS} rows.")
            yield reader.line_num + skipped, cells
    except csv.Error:
        line = reader.line_num + skipped
        raise BadSheetError("bad_line", f"Line {line} of the file cannot be read.", line) from None


def open_sheet(
    content: bytes, mapping: Mapping[str, str]
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return what a file calls its columns, nothing where it names none, and its rows with their lines."""
    rows = read_rows(content)
    if mapping.get(FIRST_ROW) == IS_DATA:
        return [], rows
    return next(rows, (0, []))[1], rows


def guess(first: Sequence[str]) -> dict[str, str]:
    """Return which column is which field, by what the first row calls it; the first of several wins.

    A first row with a phone or an address in it names no columns: then these two are told by their looks.
    """
    looks = [_looks_like(cell) for cell in first]
    is_data = any(looks)
    found: dict[str, str] = {FIRST_ROW: IS_DATA} if is_data else {}
    for place, kind in enumerate(looks if is_data else [_field_of(title) for title in first]):
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
    return rows_as_csv([_cells(row) for row in rows])


def rows_as_csv(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as CSV that no spreadsheet runs."""
    sheet = io.StringIO()
    csv.writer(sheet).writerows([[quoted(cell) for cell in row] for row in rows])
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


def _encodings(content: bytes) -> list[str]:
    marked = next((name for mark, name in MARKS if content.startswith(mark)), None)
    if marked is not None:
        return [marked]
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = content[start:SAMPLE:2].count(0), content[1 - start : SAMPLE : 2].count(0)
        if zeros > LEAST_ZERO_SHARE * min(len(content), SAMPLE) / 2 and not others:
            return [encoding]
    return ["utf-8", "windows-1255"]


def _field_of(title: str) -> str | None:
    return CONSENT if asks_consent(title) else kind_of(title)


def _looks_like(cell: str) -> str | None:
    if normalise_email(cell):
        return "email"
    has_digits = sum(sign.isdigit() for sign in cell) >= LEAST_DIGITS
    return "phone" if has_digits and PHONE_LIKE.fullmatch(cell) else None
