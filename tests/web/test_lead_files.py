"""Dana brings a file of leads: she is told what is wrong with it, sees how far it is, and may stop it."""

from __future__ import annotations

import pytest

from tests.web.conftest import form_token

ROWS = """
INSERT INTO lead_import_row (business_id, import_id, line, fields, state, reason)
SELECT business_id, id, line, jsonb_build_object('phone', '=1+' || line, 'budget', '7'), 'bad', 'bad_phone'
FROM lead_import, generate_series(2, 700) AS line
"""


async def brought(browser, content, name="leads.csv"):
    token = form_token(await browser.get("/leads/import"))
    return await browser.post(
        "/leads/import", files={"file": (name, content, "text/csv")}, headers={"X-CSRF-Token": token}
    )


async def act(browser, where, **told):
    token = form_token(await browser.get("/leads/import"))
    return await browser.post(where, data={"csrf": token} | told, follow_redirects=True)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "There is nothing in the file."),
        (b"name,phone\n", "has a single row"),
        (b"PK\x03\x04" + bytes(99), "CSV UTF-8"),
        (b"\x89PNG" + bytes(range(200)), "no table of text"),
        (b"phone\n" + b"0501234567\n" * 60_000, "over 50,000 rows"),
        (b"phone\n" + b"0" * (20 * 1024 * 1024), "over 20 MB"),
        (b'phone\n"' + b"0" * 200_000, "Line 2 cannot be read"),
    ],
)
async def test_what_is_wrong_with_a_file_is_said_in_words(dana, content, sentence):
    answer = await brought(dana, content)

    assert answer.status_code == 400
    assert sentence in answer.json()["message"]


async def test_a_file_without_titles_shows_its_cells_under_numbered_columns(dana):
    where = (await brought(dana, b"Maya,0501234567\n<b>Eli</b>,0502222222\n")).json()["to"]
    page = (await dana.get(where)).text

    assert "Column 1" in page
    assert '<option value="phone" selected>' in page
    assert "&lt;b&gt;Eli" in page
    assert 'name="has_header" value="yes">' in page


async def test_an_import_is_stopped_and_goes_on(dana, shops):
    where = (await brought(dana, b"phone\n0501234567\n")).json()["to"]
    page = await act(dana, where, c0="phone", has_header="yes", act="start")
    assert "Waiting for its turn" in page.text

    page = await act(dana, where, act="stop")
    assert '<strong id="import-word">Stopped</strong>' in page.text
    assert "Stopped" in (await dana.get("/leads/import")).text

    page = await act(dana, where, act="resume")
    assert "Waiting for its turn" in page.text
    jobs = "SELECT array_agg(state ORDER BY seq) FROM job WHERE kind = 'lead_import_rows_job'"
    assert await shops.dana.connection.fetchval(jobs) == ["cancelled", "ready"]


async def test_rows_that_were_not_taken_go_out_with_their_lines_and_run_nowhere(dana, noa, shops):
    where = (await brought(dana, b"phone\n0501234567\n")).json()["to"]
    await act(dana, where, c0="phone", has_header="yes", act="start")
    await shops.dana.connection.execute(ROWS)

    page = (await dana.get(where)).text
    sheet = (await dana.get(f"{where}/bad.csv")).text

    assert f"{where}/bad.csv" in page
    lines = sheet.splitlines()
    assert lines[0] == "\ufeffLine,Why it was not taken,phone,budget"
    assert len(lines) == 700
    assert lines[-1].startswith("700,")
    assert lines[-1].endswith(",'=1+700,7")
    assert (await noa.get(f"{where}/bad.csv")).status_code == 404
