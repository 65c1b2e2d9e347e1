"""A file of leads is taken row by row: once, with what is wrong told by line, and goes out again."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from server.domains import contacts
from server.domains.contacts import import_rows, importing, sheets
from server.jobs import inbox_cleanup_job, job_given_up_job, lead_import_rows_job
from server.queue import own_jobs
from server.queue.catalog import InboxCleanup
from tests.domains.contacts.files import bring, read
from tests.engine import BUSINESS, Queue, open_engine

__all__ = ["inbox_cleanup_job", "job_given_up_job", "lead_import_rows_job"]

DANA = UUID(int=42)
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

    assert dict((await read(engine, first)).stand.counts) == {"added": 2, "bad": 2}
    told = await read(engine, second)
    assert (told.stand.state, dict(told.stand.counts)) == ("done", {"known": 2, "bad": 2})
    assert [(row.line, row.reason) for row in told.bad] == [(5, "no_names"), (6, "bad_phone")]
    assert told.bad[1].fields == {"name": "טלפון שבור", "phone": "12"}
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
    assert (await read(engine, import_id)).stand.state == "done"


async def test_no_other_business_reads_a_file(engine):
    import_id = await bring(engine, FILE)
    async with engine.api.transaction(9) as session:
        assert await contacts.read_import(session, import_id) is None
        assert await contacts.list_imports(session, 9) == []


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "windows-1255"]
)
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


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"", "empty_file", None),
        (b"\n\n ,, \n", "empty_file", None),
        (b"name,phone\n", "only_header", None),
        (b"PK\x03\x04" + PICTURE, "is_workbook", None),
        (b"\xd0\xcf\x11\xe0" + PICTURE, "is_workbook", None),
        (PICTURE, "not_text", None),
        (b"phone\n" + b"0501234567\n" * 60_000, "too_many_rows", None),
        (b"phone\n" + b"0" * 20 * 1024 * 1024, "too_large", None),
        (b'phone\n0501234567\n"' + b"0" * 200_000, "bad_line", 3),
    ],
)
async def test_what_is_no_file_of_leads_is_refused_with_the_reason(content, code, line):
    with pytest.raises(contacts.BadSheetError) as refused:
        await contacts.check_file(content)

    assert (refused.value.code, refused.value.line) == (code, line)


def test_a_delimiter_within_a_title_is_none():
    told = '"שם, מלא, בעברית";טלפון\r\nמאיה;050\r\n'.encode()

    assert [cells for _, cells in sheets.read_rows(told)] == [["שם, מלא, בעברית", "טלפון"], ["מאיה", "050"]]


def test_a_file_may_say_its_delimiter_in_a_line_of_its_own():
    told = b"sep=;\r\nname;phone\r\nMaya, Haifa;050\r\n"

    assert list(sheets.read_rows(told)) == [(2, ["name", "phone"]), (3, ["Maya, Haifa", "050"])]


async def test_a_file_without_titles_has_its_first_row_taken_too(engine, clean_database):
    file = await contacts.check_file(b"Maya,050-123-4567,maya@example.com\n")
    import_id = await bring(engine, file.content)
    await Queue(engine, clean_database).drain()

    assert file.mapping == {sheets.FIRST_ROW: sheets.IS_DATA, "1": "phone", "2": "email"}
    assert dict((await read(engine, import_id)).stand.counts) == {"added": 1}
    assert "Maya" in await engine.look.fetchval("SELECT data FROM lead_activity WHERE kind = 'import'")


async def test_two_files_of_a_business_are_taken_one_after_the_other(engine):
    first, second = [await bring(engine, f"phone\n05{n}1234567\n") for n in (0, 2)]
    lanes = await engine.look.fetch("SELECT DISTINCT lane FROM job ORDER BY lane LIMIT 9")

    assert first != second
    assert [one["lane"] for one in lanes] == [f"import:{BUSINESS}"]
    assert (await read(engine, second)).stand.state == "waiting"


@pytest.mark.parametrize(
    ("state", "reason", "job_state", "shown"),
    [
        ("uploaded", None, None, "uploaded"),
        ("running", None, "ready", "waiting"),
        ("running", None, "running", "running"),
        ("done", "stopped", "ready", "waiting"),
        ("done", "stopped", "running", "running"),
        ("done", "stopped", "quarantined", "failed"),
        ("running", None, "failed", "failed"),
        ("done", "stopped", "cancelled", "stopped"),
        ("done", "stopped", None, "stopped"),
        ("done", None, "done", "done"),
        ("unreadable", "bad_line", "done", "unreadable"),
    ],
)
def test_a_file_stands_as_its_job_does(state, reason, job_state, shown):
    assert importing.stands(state, reason, job_state) == shown


async def test_a_file_that_was_stopped_before_it_was_read_goes_on(engine, clean_database):
    import_id = await bring(engine, "phone\n0501234567\n")
    job_id = (await read(engine, import_id)).stand.job_id or ""
    async with engine.api.transaction(BUSINESS, user_id=DANA) as session:
        await own_jobs.cancel(session, BUSINESS, job_id)
    await Queue(engine, clean_database).drain()
    assert (await read(engine, import_id)).stand.state == "stopped"

    for _ in range(2):
        async with engine.api.transaction(BUSINESS) as session:
            await contacts.resume_import(session, BUSINESS, import_id)
    await Queue(engine, clean_database).drain()

    stand = (await read(engine, import_id)).stand
    assert (stand.state, dict(stand.counts)) == ("done", {"added": 1})


async def test_a_quarantined_file_that_is_run_again_says_so(engine, clean_database):
    import_id = await bring(engine, "phone\n0501234567\n")
    await engine.look.execute("UPDATE job SET state = 'quarantined', finished_at = now() WHERE queue = 'low'")
    await Queue(engine, clean_database).drain()
    assert (await read(engine, import_id)).stand.state == "failed"

    async with engine.api.transaction(BUSINESS, user_id=DANA) as session:
        await own_jobs.run_again(session, BUSINESS, None, limit=9)
    assert (await read(engine, import_id)).stand.state == "waiting"
    await Queue(engine, clean_database).drain()

    assert (await read(engine, import_id)).stand.state == "done"
    assert await engine.look.fetchval("SELECT reason IS NULL AND content IS NULL FROM lead_import")


async def test_files_of_long_ago_are_forgotten_and_their_leads_stay(engine, clean_database):
    await bring(engine, "phone\n0501234567\n")
    await Queue(engine, clean_database).drain()
    await engine.look.execute("UPDATE lead_import SET created_at = now() - interval '31 days'")

    await engine.ask(InboxCleanup(datetime(2026, 8, 1, tzinfo=UTC)))
    await Queue(engine, clean_database).drain()

    assert await engine.look.fetchval("SELECT count(*) FROM lead_import") == 0
    assert await engine.look.fetchval("SELECT count(*) FROM lead_import_row") == 0
    assert await engine.look.fetchval("SELECT count(*) FROM lead") == 1
