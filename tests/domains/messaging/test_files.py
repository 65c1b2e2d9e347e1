"""A message's file is fetched once, by its own job, and what became of it is known."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import pytest

from server.domains import media
from server.domains.messaging import Letter, ask_for_file_again, ask_to_send
from server.errors import BadInputError, LeaseLostError, ProviderDownError, ProviderRefusedError
from server.jobs import load_handlers
from server.jobs.runtime import perform
from server.ports import EventKind, IncomingFile, OutgoingMedia, Outside
from server.providers.media_folder import MediaFolder
from server.queue import Run, enqueue
from server.queue.catalog import MediaCleanup
from server.queue.ledger import Ledger, Outcome
from server.storages import MediaLimits
from tests.domains.messaging.conftest import CIPHER, Phone, Shop
from tests.engine import BUSINESS
from tests.faults.held import SLOT

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 320, 240) + b"\0" * 40
HTML = b"<!doctype html><script>alert(1)</script>"
PICTURE = {"imageMessage": {"mimetype": "image/png", "caption": "The door", "url": "https://files.test/1"}}
FILE = "SELECT state, mimetype, size_bytes, width, height, reason, tries, is_held FROM media_file"


@dataclass
class Camera(Phone):
    """A phone whose files are `content`, or fail with what stands in `failures` first."""

    content: bytes = PNG
    failures: list[Exception] = field(default_factory=list)
    fetched: int = 0
    told_bytes: int | None = None

    posted: list[tuple[OutgoingMedia, bytes]] = field(default_factory=list)

    async def send(self, account, outgoing, *, to, key):
        if isinstance(outgoing, OutgoingMedia):
            self.posted.append((outgoing, b"".join([chunk async for chunk in outgoing.chunks])))
        return await super().send(account, outgoing, to=to, key=key)

    def read(self, payload):
        event = super().read(payload)
        if event.kind.value in {"image", "document", "voice"}:
            object.__setattr__(event, "details", {**event.details, "media": {"url": "https://files.test/1"}})
        return event

    @asynccontextmanager
    async def open_file(self, account, media) -> AsyncIterator[IncomingFile]:  # noqa: ARG002 -- the port's shape
        self.fetched += 1
        if self.failures:
            raise self.failures.pop(0)
        yield IncomingFile("image/png", self.told_bytes, self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), 16):
            yield self.content[start : start + 16]


class DyingFolder(MediaFolder):
    """A folder whose process loses its lease once it has kept a file."""

    async def put(self, business_id: int, key: UUID, chunks: AsyncIterator[bytes]) -> None:
        await super().put(business_id, key, chunks)
        raise LeaseLostError("as a process that dies here")


@dataclass
class Album(Shop):
    folder: Path = Path()
    limits: MediaLimits = field(default_factory=MediaLimits)
    storage: Callable[[Path], MediaFolder] = MediaFolder

    @property
    def outside(self) -> Outside:
        return Outside(
            channels={"whatsapp_bridge": self.phone},
            open_secret=CIPHER.decrypt,
            media=self.storage(self.folder),
            media_limits=self.limits,
        )

    @property
    def camera(self) -> Camera:
        assert isinstance(self.phone, Camera)
        return self.phone

    async def run(self, kind: str, *, again: bool = False) -> Outcome:
        """Run the newest job of a kind, once more if it has ended."""
        if again:
            await self.engine.look.execute(
                "UPDATE job SET state = 'ready', due_at = now(), lease_until = NULL WHERE kind = $1", kind
            )
        job_id = await self.look("SELECT id FROM job WHERE kind = $1 ORDER BY seq DESC LIMIT 1", kind)
        ledger = Ledger(self.engine.worker, lease_s=20)
        [claim] = await ledger.claim([job_id], worker="test")
        run = Run(claim, database=self.engine.worker, outside=self.outside, lease_s=20)
        return (await perform(run, ledger)).ending.outcome

    async def clean_up(self) -> Outcome:
        async with self.engine.worker.transaction() as session:
            await enqueue(session, MediaCleanup(SLOT))
        return await self.run("media_cleanup_job", again=True)

    @property
    def on_disk(self) -> list[bytes]:
        return [one.read_bytes() for one in sorted(self.folder.rglob("*")) if one.is_file()]


@pytest.fixture
async def album(shop, tmp_path):
    load_handlers()
    camera = Camera()
    camera._http = shop.phone._http
    folder = tmp_path / "media"
    folder.mkdir()
    return Album(shop.engine, camera, shop.channel_id, folder=folder)


async def test_a_photo_is_shown_before_it_is_there_and_kept_once_it_is(album):
    await album.deliver(album.says("", **PICTURE))
    [event_id] = [row[0] for row in await album.rows("SELECT id FROM inbox_event")]
    await album.handle(event_id)

    assert await album.look("SELECT text FROM message WHERE direction = 'in'") == "The door"
    assert await album.rows(FILE) == [("waiting", None, None, None, None, None, 0, False)]

    assert await album.run("media_fetch_job") is Outcome.DONE
    assert await album.rows(FILE) == [("stored", "image/png", len(PNG), 320, 240, None, 0, True)]
    assert album.on_disk == [PNG]


async def test_the_second_run_of_the_job_fetches_nothing(album):
    await album.deliver(album.says("", **PICTURE))
    await album.settle()

    assert await album.run("media_fetch_job", again=True) is Outcome.DONE
    assert (album.camera.fetched, album.on_disk) == (1, [PNG])


async def test_a_replayed_webhook_asks_for_no_second_file(album):
    body = album.says("", message_id="M1", **PICTURE)
    await album.deliver(body, body)
    await album.settle()
    await album.deliver(body)
    await album.settle()

    assert (album.camera.fetched, len(await album.rows(FILE))) == (1, 1)


async def test_a_run_that_died_with_the_file_kept_leaves_one_file_and_the_next_run_finishes(album):
    await album.deliver(album.says("", **PICTURE))
    album.storage = DyingFolder
    await album.settle()
    assert (await album.rows("SELECT state, is_held FROM media_file"), len(album.on_disk)) == (
        [("waiting", True)],
        1,
    )

    album.storage = MediaFolder
    assert await album.run("media_fetch_job", again=True) is Outcome.DONE
    assert (await album.look("SELECT state FROM media_file"), album.on_disk) == ("stored", [PNG])


async def test_a_page_that_calls_itself_a_picture_is_kept_as_what_it_is(album):
    album.camera.content = HTML
    await album.deliver(album.says("", **PICTURE))
    await album.settle()

    [(state, mimetype, *_)] = await album.rows(FILE)
    assert (state, mimetype) == ("stored", "application/octet-stream")
    assert media.shown_as("image", mimetype) is None
    assert media.served_as("image", mimetype) == "application/octet-stream"


@pytest.mark.parametrize("told", [None, 5_000])
async def test_a_file_over_its_limit_is_refused_and_nothing_of_it_is_kept(album, told):
    album.camera.content, album.camera.told_bytes = b"\xff\xd8\xff" + b"x" * 5_000, told
    album.limits = MediaLimits(image_bytes=4_000)
    await album.deliver(album.says("", **PICTURE))
    await album.settle()

    assert await album.rows("SELECT state, reason FROM media_file") == [("refused", media.TOO_LARGE)]
    assert album.on_disk == []


async def test_a_file_that_is_gone_can_be_asked_for_again(album):
    album.camera.failures = [ProviderRefusedError("The link has ended: ask the customer to send it again")]
    await album.deliver(album.says("", **PICTURE))
    await album.settle()
    [(media_id, state, reason)] = await album.rows("SELECT id, state, reason FROM media_file")
    assert (state, reason) == ("gone", "The link has ended: ask the customer to send it again")

    for _ in range(2):
        async with album.engine.api.transaction(BUSINESS) as session:
            await ask_for_file_again(session, media_id)
    await album.settle()

    assert await album.rows("SELECT state, tries FROM media_file") == [("stored", 1)]
    assert album.camera.fetched == 2


async def test_a_channel_that_is_away_is_asked_again_and_in_the_end_people_are_told(album):
    album.camera.failures = [ProviderDownError("away")] * 6
    await album.deliver(album.says("", **PICTURE))
    await album.settle()
    outcomes = [await album.run("media_fetch_job", again=True) for _ in range(5)]

    assert outcomes == [Outcome.RETRY] * 4 + [Outcome.FAILED]
    await album.settle()
    assert await album.rows("SELECT state, reason FROM media_file") == [("gone", media.NOT_FETCHED)]


async def test_what_is_to_be_seen_once_is_not_fetched(album):
    await album.deliver(album.says("", viewOnceMessageV2={"message": PICTURE}))
    await album.settle()

    assert (await album.rows(FILE), album.camera.fetched) == ([], 0)
    assert await album.look("SELECT details ->> 'view_once' FROM message WHERE direction = 'in'") == "true"


async def test_a_deleted_messages_file_is_shown_no_longer_and_goes(album):
    await album.deliver(album.says("", message_id="M1", **PICTURE))
    await album.settle()
    revoke = {
        "key": {"remoteJid": "972501234567@s.whatsapp.net", "fromMe": False, "id": "M1"},
        "type": "REVOKE",
    }
    await album.deliver(album.says("", protocolMessage=revoke))
    await album.settle()
    await album.engine.look.execute("UPDATE media_file SET state_at = now() - interval '2 hours'")

    await album.clean_up()

    assert await album.rows("SELECT state, reason, is_held FROM media_file") == [
        ("removed", media.DELETED, False)
    ]
    assert album.on_disk == []


async def test_cleaning_up_takes_what_is_old_unsent_or_left_over_and_nothing_else(album):
    await album.deliver(*(album.says("", message_id=f"M{n}", **PICTURE) for n in range(3)))
    await album.settle()
    old, left, kept = [
        row[0] for row in await album.rows("SELECT id FROM media_file ORDER BY created_at, id")
    ]
    unsent = await upload(album, PNG)
    look = album.engine.look
    await look.execute("UPDATE media_file SET created_at = now() - interval '366 days' WHERE id = $1", old)
    await look.execute(
        "UPDATE media_file SET state = 'gone', reason = 'x', state_at = now() - interval '2 hours'"
        " WHERE id = $1",
        left,
    )
    await look.execute(
        "UPDATE media_file SET created_at = now() - interval '2 days' WHERE id = $1", unsent.id
    )

    assert [await album.clean_up() for _ in range(2)] == [Outcome.DONE] * 2

    assert {path.name for path in album.folder.rglob("*") if path.is_file()} == {str(kept)}
    assert await album.rows("SELECT id, state FROM media_file ORDER BY created_at") == [
        (old, "removed"),
        *((one, "stored" if one == kept else "gone") for one in await in_order(album, left, kept)),
    ]


async def in_order(album: Album, *ids: UUID) -> list[UUID]:
    return [
        row[0]
        for row in await album.rows(
            "SELECT id FROM media_file WHERE id = ANY($1) ORDER BY created_at", list(ids)
        )
    ]


async def upload(album: Album, content: bytes, name: str = "door.png") -> media.MediaFile:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    return await media.keep_upload(
        album.engine.api, album.outside, BUSINESS, file_name=name, mimetype="image/png", chunks=chunks()
    )


async def test_a_file_that_a_person_chose_is_what_its_bytes_say_and_goes_with_one_message(album):
    await album.deliver(album.says("Hello"), album.says("Are you there?"))
    await album.settle()
    first, second = [
        row[0] for row in await album.rows("SELECT id FROM message WHERE direction = 'in' ORDER BY position")
    ]
    picture, page = await upload(album, PNG, "../../etc/door.png"), await upload(album, HTML, "door.png")
    async with album.engine.api.transaction(BUSINESS) as session:
        taken = [await media.attach(session, picture.id, one) for one in (first, second)]

    assert (picture.kind, picture.file_name, page.kind) == ("image", "door.png", "document")
    assert (taken[0] is not None, taken[1]) == (True, None)
    async with media.opened(album.outside.media, picture) as stored:
        assert b"".join([chunk async for chunk in stored.chunks]) == PNG


async def test_a_person_sends_the_file_they_chose_once_and_as_what_it_is(album):
    await album.deliver(album.says("Hello"))
    await album.settle()
    chosen = await upload(album, PNG)
    letter = Letter(
        business_id=BUSINESS,
        conversation_id=await album.look("SELECT id FROM conversation"),
        client_key="once",
        text="Here is the door",
        kind=EventKind.DOCUMENT,
        media_id=chosen.id,
    )

    for _ in range(2):
        async with album.engine.api.transaction(BUSINESS) as session:
            message_id = await ask_to_send(session, letter)
    await album.settle()

    [(sent, content)] = album.camera.posted
    assert (sent.kind, content, sent.size_bytes) == (EventKind.IMAGE, PNG, len(PNG))
    assert sent.mimetype == "image/png"
    assert (sent.caption, sent.file_name) == ("Here is the door", "door.png")
    row = await album.rows("SELECT kind, status FROM message WHERE id = $1", message_id)
    assert row == [("image", "sent")]
    with pytest.raises(BadInputError, match="choose it again"):
        async with album.engine.api.transaction(BUSINESS) as session:
            await ask_to_send(session, replace(letter, client_key="another"))


async def test_a_file_that_the_storage_lost_is_not_sent_and_says_so(album):
    await album.deliver(album.says("Hello"))
    await album.settle()
    chosen = await upload(album, PNG)
    await album.outside.media.remove(BUSINESS, chosen.id)
    letter = Letter(
        business_id=BUSINESS,
        conversation_id=await album.look("SELECT id FROM conversation"),
        client_key="once",
        kind=EventKind.DOCUMENT,
        media_id=chosen.id,
    )
    async with album.engine.api.transaction(BUSINESS) as session:
        await ask_to_send(session, letter)
    await album.settle()

    assert album.camera.posted == []
    assert await album.look("SELECT status FROM message WHERE author = 'person'") == "failed"


async def test_a_picture_over_whatsapps_limit_goes_as_a_document(album):
    album.limits = MediaLimits(image_bytes=20)

    assert (await upload(album, PNG)).kind == "document"


async def test_an_upload_over_the_largest_document_is_refused_and_an_empty_one_too(album):
    album.limits = MediaLimits(document_bytes=20)

    with pytest.raises(media.TooLargeError):
        await upload(album, PNG)
    with pytest.raises(BadInputError, match="empty"):
        await upload(album, b"")
    assert album.on_disk == []
