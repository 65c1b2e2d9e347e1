"""A file of leads is taken row by row: once, with what is wrong told by line, and goes out again."""

from __future__ import annotations

import pytest

from server.domains import contacts
from server.domains.contacts import import_rows, sheets
from server.errors import BadInputError
from server.jobs import lead_import_rows_job
from tests.domains.contacts.files import bring, read
from tests.engine import Queue, open_engine

__all__ = ["lead_import_rows_job"]

FILE = (
    "\ufeffשם;טלפון;מייל;תקציב\r\n"
    "מאיה;050-123-4567;;900\r\n"
    ";'+972509999999;noa@example.com;\r\n"
    ";;;\r\n"
    "בלי כלום;;;5\r\n"
    "טלפון שבור;12;;\r\n"
)


@pytest.fixture
async def engine(clean_database, redis_url):
    async with open_engine(clean_database, redis_url) as opened:
        yield opened


async def test_a_file_is_taken_and_a_second_time_adds_nothing(engine, clean_database):
    first = await bring(engine, FILE)
    await Queue(engine, clean_database).drain()
    second = await bring(engine, FILE)
    await Queue(engine, clean_database).drain()

    assert dict((await read(engine, first)).counts) == {"added": 2, "bad": 2}
    told = await read(engine, second)
    assert dict(told.counts) == {"known": 2, "bad": 2}
    assert (told.state, list(told.bad)) == ("done", [(5, "no_names"), (6, "bad_phone")])
    assert await engine.look.fetchval("SELECT count(*) FROM lead") == 2
    assert await engine.look.fetchval("SELECT count(*) FROM contact") == 2
    assert '"תקציב": "900"' in await engine.look.fetchval(
        "SELECT data FROM lead_activity WHERE kind = 'import' ORDER BY position LIMIT 1"
    )


async def test_its_progress_is_told_from_its_rows(engine, clean_database):
    await bring(engine, "email\n" + "".join(f"{n}@example.com\n" for n in range(250)))
    await Queue(engine, clean_database).drain()

    row = await engine.look.fetchrow(
        "SELECT progress, progress_share FROM job WHERE kind LIKE 'lead_import%'"
    )
    assert row["progress_share"] == 1000
    assert '"total": 250' in row["progress"]


async def test_where_rows_take_long_slices_become_smaller(engine, clean_database, monkeypatch):
    monkeypatch.setattr(import_rows, "SLICE", 4)
    monkeypatch.setattr(import_rows, "SLICE_S", 0.0)
    import_id = await bring(engine, "email\n" + "".join(f"{n}@example.com\n" for n in range(8)))

    await Queue(engine, clean_database).drain()

    slices = (
        "SELECT count(*) FROM lead_import_row AS row JOIN lead_activity AS told"
        " ON told.kind = 'import' AND told.data ->> 'form' = 'leads.csv'"
        " JOIN contact ON contact.id = told.contact_id AND contact.email = row.fields ->> 'email'"
        " GROUP BY told.at ORDER BY told.at LIMIT 9"
    )
    assert [row["count"] for row in await engine.look.fetch(slices)] == [4, 2, 1, 1]
    assert (await read(engine, import_id)).state == "done"


async def test_no_other_business_reads_a_file(engine):
    import_id = await bring(engine, FILE)
    async with engine.api.transaction(9) as session:
        assert await contacts.read_import(session, import_id) is None
        assert await contacts.list_imports(session, 9) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "bad_file"),
        (b"name,phone\n", "bad_file"),
        (b"\x81\x8d\xff\x00" * 9, "bad_file"),
        (b"phone\n" + b"1\n" * 50_001, "too_many_rows"),
    ],
)
def test_what_is_no_file_of_leads_is_refused(content, code):
    with pytest.raises(BadInputError) as refused:
        rows = list(sheets.read_rows(content))
        if len(rows) < 2:
            raise BadInputError("bad_file", "no rows")

    assert refused.value.code == code


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1255"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_sheet_is_read_in_every_usual_shape(encoding, delimiter):
    told = f'שם{delimiter}נייד\r\n"לוי{delimiter} מאיה"{delimiter}050\r\n'.encode(encoding)

    assert [cells for _, cells in sheets.read_rows(told)] == [
        ["שם", "נייד"],
        [f"לוי{delimiter} מאיה".strip(), "050"],
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+972501234567", "-1", "@cmd", "\tx"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted_and_read_back(cell):
    assert sheets.quoted(cell) == f"'{cell}"
    assert sheets.unquoted(sheets.quoted(cell)) == cell
