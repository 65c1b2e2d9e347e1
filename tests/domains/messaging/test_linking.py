"""A file that a program names by its address: fetched first, sent once, and told of when it does not come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from server.domains import contacts, media, messaging
from server.domains.messaging import Letter, Link, TemplateUse, ask_to_send
from server.errors import BadInputError, ProviderDownError, ProviderRefusedError
from server.jobs import load_handlers
from server.ports import EventKind, IncomingFile, OutgoingTemplate, Outside
from server.queue.ledger import Outcome
from server.storages import MediaLimits
from tests.domains.messaging.test_files import HTML, PNG, Album, Camera
from tests.engine import BUSINESS

PDF = b"%PDF-1.7 an invoice"
FILE = "SELECT state, kind, file_name, mimetype_told, reason FROM media_file"
LETTER = "SELECT kind, status, status_reason FROM message WHERE author = 'api'"
NEEDS = "SELECT needs_person FROM conversation"


@dataclass
class Web:
    """Where files lie: each is `content`, or fails with what stands in `failures` first."""

    content: bytes = PNG
    mimetype: str = "image/png"
    failures: list[Exception] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, url: str, *, name: str) -> AsyncIterator[IncomingFile]:
        self.asked.append((url, name))
        if self.failures:
            raise self.failures.pop(0)
        yield IncomingFile(self.mimetype, None, self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield self.content


@dataclass
class Linked(Album):
    web: Web = field(default_factory=Web)

    @property
    def outside(self) -> Outside:
        return replace(super().outside, links=self.web)

    async def ask(self, link: Link | None = None, **more) -> None:
        link = link or Link("https://shop.test/door.png", file_name="door.png")
        letter = Letter(
            business_id=BUSINESS,
            conversation_id=await self.look("SELECT id FROM conversation"),
            client_key=more.pop("client_key", "once"),
            text=more.pop("text", "The door"),
            kind=more.pop("kind", EventKind.DOCUMENT),
            author="api",
            link=link,
            **more,
        )
        async with self.engine.api.transaction(BUSINESS) as session:
            await ask_to_send(session, letter)

    async def send_again(self) -> None:
        message_id = await self.look("SELECT id FROM message WHERE author = 'api'")
        async with self.engine.api.transaction(BUSINESS) as session:
            assert await messaging.send_again(session, BUSINESS, message_id)


@pytest.fixture
async def linked(shop, tmp_path):
    load_handlers()
    camera = Camera()
    camera._http = shop.phone._http
    (tmp_path / "media").mkdir()
    album = Linked(shop.engine, camera, shop.channel_id, folder=tmp_path / "media")
    await album.deliver(album.says("Hello"))
    await album.settle()
    album.camera.sent.clear()
    return album


async def test_a_message_waits_for_its_file_and_goes_with_it_once(linked):
    await linked.ask()
    await linked.ask()

    assert await linked.rows(LETTER) == [("document", "queued", None)]
    assert await linked.rows(FILE) == [("waiting", "document", "door.png", None, None)]
    await linked.settle()

    [(sent, content)] = linked.camera.posted
    assert (sent.kind, content, sent.caption, sent.file_name) == (
        EventKind.IMAGE,
        PNG,
        "The door",
        "door.png",
    )
    assert await linked.rows(LETTER) == [("image", "sent", None)]
    assert linked.web.asked == [("https://shop.test/door.png", str(BUSINESS))]


async def test_the_second_run_of_either_job_fetches_and_sends_nothing(linked):
    await linked.ask()
    await linked.settle()

    assert await linked.run("link_fetch_job", again=True) is Outcome.DONE
    assert await linked.run("message_send_job", again=True) is Outcome.DONE
    assert (len(linked.web.asked), len(linked.camera.posted)) == (1, 1)


async def test_an_address_is_neither_in_the_job_nor_shown_to_others(linked):
    await linked.ask()

    told = await linked.look("SELECT string_agg(payload::text, ' ') FROM job WHERE kind = 'link_fetch_job'")
    assert "shop.test" not in told


async def test_what_a_server_calls_a_file_is_told_where_its_bytes_say_nothing(linked):
    linked.web.content, linked.web.mimetype = b"350, 400", "text/csv; charset=utf-8"
    await linked.ask(Link("https://shop.test/p", file_name="prices.csv"))
    await linked.settle()

    [(sent, _)] = linked.camera.posted
    assert (sent.kind, sent.mimetype) == (EventKind.DOCUMENT, "text/csv; charset=utf-8")


@pytest.mark.parametrize(
    ("content", "wanted", "text", "reason"),
    [
        (PDF, "image", "", media.WRONG_KIND),
        (PNG, "video", "", media.WRONG_KIND),
        (HTML, "audio", "", media.WRONG_KIND),
        (b"\xff\xd8\xff" + b"x" * 9_000, "image", "", media.TOO_LARGE),
        (b"", None, "", media.EMPTY),
        (b"OggS\x00" + b"x", None, "words", "WhatsApp sends no words with a sound"),
    ],
    ids=["not a picture", "not a film", "not a sound", "too large", "empty", "a sound with words"],
)
async def test_a_file_that_cannot_be_sent_as_it_was_asked_is_not_and_says_why(
    linked, content, wanted, text, reason
):
    linked.limits = MediaLimits(image_bytes=8_000)
    linked.web.content = content
    await linked.ask(Link("https://shop.test/x", wanted), text=text)
    await linked.settle()

    [(_, status, told)] = await linked.rows(LETTER)
    assert (status, linked.camera.posted) == ("failed", [])
    assert reason in told
    assert await linked.look(NEEDS)


async def test_a_picture_goes_as_a_document_where_that_is_asked(linked):
    await linked.ask(Link("https://shop.test/x", "document", "plan.png"))
    await linked.settle()

    [(sent, _)] = linked.camera.posted
    assert (sent.kind, sent.mimetype) == (EventKind.DOCUMENT, "image/png")


async def test_an_address_that_refuses_fails_the_message_and_a_person_sends_it_again(linked):
    linked.web.failures = [ProviderRefusedError("the file's address answered with status 404")]
    await linked.ask()
    await linked.settle()
    [(_, status, reason)] = await linked.rows(LETTER)
    assert (status, reason) == (
        "failed",
        "not sent: its file could not be had: the file's address answered with status 404",
    )

    await linked.send_again()
    assert await linked.rows(LETTER) == [("document", "queued", None)]
    await linked.settle()

    assert await linked.rows(LETTER) == [("image", "sent", None)]
    assert len(linked.camera.posted) == 1


async def test_an_address_that_is_away_is_asked_again_and_in_the_end_people_are_told(linked):
    linked.web.failures = [ProviderDownError("away")] * 4
    await linked.ask()
    await linked.settle()
    outcomes = [await linked.run("link_fetch_job", again=True) for _ in range(3)]
    await linked.settle()

    assert outcomes == [Outcome.RETRY, Outcome.RETRY, Outcome.FAILED]
    [(_, status, reason)] = await linked.rows(LETTER)
    assert (status, media.NOT_FETCHED in reason, linked.camera.posted) == ("failed", True, [])


async def test_a_templates_header_shows_the_file_and_takes_no_other_kind(linked):
    template = TemplateUse("doors", "he", ("Maya",), file_kind="image")
    said: list[OutgoingTemplate] = []
    plain = linked.camera.send

    async def send(account, outgoing, *, to, key):
        said.append(outgoing)
        return await plain(account, outgoing, to=to, key=key)

    linked.camera.send = send
    await linked.ask(Link("https://shop.test/x", "image"), kind=EventKind.TEMPLATE, template=template)
    await linked.settle()
    linked.web.content = PDF
    await linked.ask(
        Link("https://shop.test/x", "image"), kind=EventKind.TEMPLATE, template=template, client_key="2"
    )
    await linked.settle()

    [sent] = said
    assert (sent.name, sent.body) == ("doors", ("Maya",))
    assert sent.file is not None
    assert sent.file.kind is EventKind.IMAGE
    assert [row[:2] for row in await linked.rows(f"{LETTER} ORDER BY position")] == [
        ("template", "sent"),
        ("template", "failed"),
    ]
    with pytest.raises(BadInputError, match="needs a file"):
        check = Letter(
            business_id=BUSINESS,
            conversation_id=await linked.look("SELECT id FROM conversation"),
            client_key="3",
            kind=EventKind.TEMPLATE,
            template=template,
        )
        async with linked.engine.api.transaction(BUSINESS) as session:
            await ask_to_send(session, check)


async def test_whoever_says_stop_while_a_file_is_fetched_gets_no_marketing(linked):
    await linked.ask(details={"marketing": True})
    async with linked.engine.worker.transaction(BUSINESS) as session:
        contact_id = await linked.look("SELECT contact_id FROM conversation")
        await contacts.note_consent(
            session, contact_id, value=contacts.WITHDRAWN, wording="STOP", source="member", key="stop"
        )
    await linked.settle()

    assert await linked.rows(LETTER) == [("image", "failed", "not sent: this contact wants no marketing")]
    assert linked.camera.posted == []
