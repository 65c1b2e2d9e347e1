"""Files of leads, brought and looked at as the pages do."""

from __future__ import annotations

from uuid import UUID

from server.domains import contacts
from tests.engine import BUSINESS, Engine


async def bring(engine: Engine, content: str | bytes) -> UUID:
    """Upload a file and start it as its columns were recognised."""
    told = content if isinstance(content, bytes) else content.encode()
    async with engine.api.transaction(BUSINESS) as session:
        file = await contacts.check_file(told)
        kept = await contacts.keep_file(session, BUSINESS, file, name="leads.csv", made_by="test")
        await contacts.start_import(session, BUSINESS, kept, file.mapping)
    return kept


async def read(engine: Engine, import_id: UUID) -> contacts.Import:
    """Look at a file as its page does."""
    async with engine.api.transaction(BUSINESS) as session:
        file = await contacts.read_import(session, import_id)
    assert file
    return file
