"""Files are given to the members of their business alone, in parts, and as nothing that runs."""

from __future__ import annotations

import struct
from uuid import UUID, uuid4

import httpx
import pytest

from server.ports import Outside
from server.providers.media_folder import MediaFolder
from server.storages import MediaLimits
from server.web.media import Part, part_of
from tests.web.conftest import form_token

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 320, 240) + bytes(range(200))
HTML = b"<!doctype html><script>alert(1)</script>"


@pytest.fixture
def kept(site, tmp_path):
    """Files are kept in a folder."""
    outside = Outside(channels={}, media=MediaFolder(tmp_path), media_limits=MediaLimits(document_bytes=3000))
    object.__setattr__(site.context, "outside", outside)
    return tmp_path


async def send(
    browser: httpx.AsyncClient, content: bytes, name: str = "door.png", **more: str
) -> httpx.Response:
    token = form_token(await browser.get("/inbox"))
    headers = {"x-csrf-token": token} | more
    return await browser.post("/media", files={"file": (name, content, "image/png")}, headers=headers)


async def test_what_was_chosen_is_kept_and_given_out_again(dana, kept):
    answer = await send(dana, PNG)
    told = answer.json()
    given = await dana.get(f"/media/{told['id']}")

    assert (answer.status_code, told["kind"], told["name"]) == (201, "image", "door.png")
    assert (given.status_code, given.content) == (200, PNG)
    # Chosen and not sent: nobody has said that it is a picture to be shown in a conversation, its bytes have.
    assert given.headers["content-type"] == "image/png"
    assert given.headers["content-disposition"].startswith("inline")


async def test_a_page_that_is_named_like_a_picture_is_a_download_in_a_sandbox(dana, kept):
    told = (await send(dana, HTML)).json()
    given = await dana.get(f"/media/{told['id']}")

    assert given.headers["content-type"] == "application/octet-stream"
    assert given.headers["content-disposition"].startswith("attachment")
    assert given.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in given.headers["content-security-policy"]
    assert "script" not in given.headers["content-security-policy"]


async def test_another_business_and_a_stranger_see_nothing_of_it(dana, noa, site, kept):
    told = (await send(dana, PNG)).json()
    async with site.visitor() as stranger:
        asked = await stranger.get(f"/media/{told['id']}")

    assert (await noa.get(f"/media/{told['id']}")).status_code == 404
    assert (await dana.get(f"/media/{uuid4()}")).status_code == 404
    assert (asked.status_code, PNG in asked.content) == (303, False)


async def test_a_browser_asks_for_parts_and_for_what_it_has(dana, kept):
    url = f"/media/{(await send(dana, PNG)).json()['id']}"
    part = await dana.get(url, headers={"range": "bytes=10-19"})
    last = await dana.get(url, headers={"range": "bytes=-5"})
    beyond = await dana.get(url, headers={"range": "bytes=9999-"})
    known = await dana.get(url, headers={"if-none-match": part.headers["etag"]})
    other = await dana.get(url, headers={"range": "bytes=0-1", "if-range": '"another"'})

    assert (part.status_code, part.content) == (206, PNG[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(PNG)}"
    assert last.content == PNG[-5:]
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(PNG)}")
    assert (known.status_code, known.content) == (304, b"")
    assert (other.status_code, other.content) == (200, PNG)


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("", Part(0, 10)),
        ("bytes=0-", Part(0, 10)),
        ("bytes=2-4", Part(2, 5)),
        ("bytes=2-99", Part(2, 10)),
        ("bytes=-3", Part(7, 10)),
        ("bytes=-99", Part(0, 10)),
        ("bytes=0-1,4-5", Part(0, 10)),
        ("lines=1-2", Part(0, 10)),
        ("bytes=10-", None),
        ("bytes=5-4", None),
        ("bytes=-0", None),
    ],
)
def test_a_range_is_read_as_the_standard_says(wanted, part):
    assert part_of(wanted, 10) == part


async def test_a_file_that_cannot_be_kept_is_refused_with_a_sentence(dana, kept):
    large, empty = await send(dana, b"x" * 4000), await send(dana, b"")
    much_too_large = await send(dana, b"x" * 300_000)

    assert (large.status_code, large.json()["error"]) == (413, "too_large")
    assert large.json()["message"] == "The file is too large. The most is 2.9 KB."
    assert much_too_large.status_code == 413
    assert (empty.status_code, empty.json()["error"]) == (400, "empty")
    assert [one for one in kept.rglob("*") if one.is_file()] == []


@pytest.mark.parametrize("name", ["מחירון.png", 'דו"ח.png', "résumé 📄.png", "a\u202egnp.png"])
async def test_a_file_keeps_the_name_that_its_sender_gave_it(dana, kept, name):
    token = form_token(await dana.get("/inbox"))
    files = {"file": (f"C:\\fakepath\\{name}", PNG, "image/png")}
    answer = await dana.post("/media", files=files, headers={"x-csrf-token": token})

    assert (answer.status_code, answer.json()["name"]) == (201, name)


async def test_a_file_that_no_page_of_ours_sent_is_refused(dana, kept):
    answer = await send(dana, PNG, **{"x-csrf-token": "another"})

    assert answer.status_code == 403
    assert list(kept.rglob("*")) == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"no form at all"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nhalf of it',
        ),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x"),
    ],
)
async def test_a_form_without_a_whole_file_is_refused(dana, kept, kind, body):
    token = form_token(await dana.get("/inbox"))
    answer = await dana.post("/media", content=body, headers={"content-type": kind, "x-csrf-token": token})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid")
    assert [one for one in kept.rglob("*") if one.is_file()] == []


async def test_a_file_that_did_not_come_is_asked_for_again_by_a_member(dana, noa, shops, kept):
    conversation = await shops.dana.meet("Maya")
    message = await shops.dana.writes(conversation, None, kind="image")
    media_id: UUID = await shops.dana.connection.fetchval(
        "INSERT INTO media_file (business_id, message_id, kind, state, reason)"
        " VALUES ($1, $2, 'image', 'gone', 'it could not be fetched') RETURNING id",
        shops.dana.business_id,
        message,
    )
    page = await dana.get(f"/inbox/{conversation}")
    await noa.post(f"/media/{media_id}/again", data={"csrf": form_token(await noa.get("/inbox"))})
    before = await shops.dana.connection.fetchval("SELECT state FROM media_file")
    answer = await dana.post(f"/media/{media_id}/again", data={"csrf": form_token(page)})

    assert "It could not be fetched" in page.text
    assert f'action="/media/{media_id}/again"' in page.text
    assert (before, await shops.dana.connection.fetchval("SELECT state FROM media_file")) == (
        "gone",
        "waiting",
    )
    assert answer.headers["location"] == f"/inbox/{conversation}"
    assert (
        await shops.dana.connection.fetchval("SELECT count(*) FROM job WHERE kind = 'media_fetch_job'") == 1
    )
