"""How a job about a message's file is caught in its handler."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from server.queue.catalog import LinkFetch, MediaCleanup, MediaFetch
from tests.engine import BUSINESS
from tests.faults.held import SLOT, Work, ask
from tests.processes import Installation

FETCHED, OLD, LINKED = UUID(int=61), UUID(int=62), UUID(int=63)
ROW = "FROM media_file WHERE id = '{}'"


async def wait_for_a_file(house: Installation) -> None:
    """Have a message that does not say where its file is."""
    await _message(house, FETCHED, "in", "{}")


async def wait_for_a_linked_file(house: Installation) -> None:
    """Have a message that is to be sent with a file from an address inside."""
    await _message(house, LINKED, "out", '{"link": {"url": "http://10.0.0.1/x"}}')


async def _message(house: Installation, media_id: UUID, direction: str, details: str) -> None:
    author, status = ("customer", "received") if direction == "in" else ("api", "queued")
    await house.value(
        "WITH someone AS (INSERT INTO contact (business_id) VALUES ($1) RETURNING id),"
        " talk AS (INSERT INTO conversation (business_id, channel_id, contact_id, address)"
        "  SELECT $1, channel.id, someone.id, 'files ' || $3 FROM channel, someone"
        "  WHERE channel.kind = 'whatsapp_bridge' ORDER BY channel.id LIMIT 1 RETURNING id, channel_id),"
        " said AS (INSERT INTO message"
        "  (business_id, conversation_id, channel_id, direction, author, kind, status, details)"
        "  SELECT $1, id, channel_id, $3, $4, 'image', $5, $6::jsonb FROM talk RETURNING id)"
        " INSERT INTO media_file (id, business_id, message_id, kind) SELECT $2, $1, id, 'image' FROM said",
        BUSINESS,
        media_id,
        direction,
        author,
        status,
        details,
    )


async def keep_too_long(house: Installation) -> None:
    """Have a file that was chosen, and never sent."""
    await house.value(
        "INSERT INTO media_file"
        " (id, business_id, kind, state, is_held, mimetype, size_bytes, sha256, created_at)"
        " VALUES ($2, $1, 'document', 'stored', true, 'application/pdf', 3, '-', now() - interval '9 days')",
        BUSINESS,
        OLD,
    )
    folder = house.data_dir / "media" / str(BUSINESS)
    folder.mkdir(parents=True)
    (folder / str(OLD)).write_bytes(b"pdf")


WORKS: Mapping[str, Work] = {
    "media_fetch_job": Work(
        f"SELECT {ROW.format(FETCHED)} FOR UPDATE",
        lambda house: ask(house, MediaFetch(FETCHED), business_id=BUSINESS),
        f"SELECT state = 'waiting' AND NOT is_held {ROW.format(FETCHED)}",
        f"SELECT state = 'gone' {ROW.format(FETCHED)}",
        after=wait_for_a_file,
    ),
    "link_fetch_job": Work(
        f"SELECT {ROW.format(LINKED)} FOR UPDATE",
        lambda house: ask(house, LinkFetch(LINKED), business_id=BUSINESS),
        f"SELECT state = 'waiting' AND NOT is_held {ROW.format(LINKED)}",
        f"SELECT state = 'gone' {ROW.format(LINKED)}",
        after=wait_for_a_linked_file,
    ),
    # The file goes before its row does.
    "media_cleanup_job": Work(
        f"SELECT {ROW.format(OLD)} FOR UPDATE",
        lambda house: ask(house, MediaCleanup(SLOT)),
        f"SELECT is_held {ROW.format(OLD)}",
        f"SELECT count(*) = 0 {ROW.format(OLD)}",
        after=keep_too_long,
    ),
}
