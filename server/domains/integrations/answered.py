"""A program asks once, however often it asks: the same key and body have the same answer."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from server.db import Session
from server.domains.integrations import queries
from server.errors import BadInputError

LONGEST_KEY = 200


@dataclass(frozen=True)
class Answer:
    """What a program is answered: an HTTP status and a JSON object."""

    status: int
    body: Mapping[str, Any]
    is_repeated: bool = False


async def answer_once(
    session: Session, business_id: int, *, key: str, body: bytes, do: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Return what was answered under a key before, or do it now and keep the answer for a month.

    Who asks at the same moment waits for this transaction. Raises BadInputError `bad_key`, or `key_reused`
    for another body under the same key; what `do` raises is not kept.
    """
    if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise BadInputError("bad_key", f"Idempotency-Key must be 1 to {LONGEST_KEY} printable characters.")
    digest = hashlib.sha256(body).hexdigest()
    await queries.lock_request(session, business_id, key)
    known = await queries.find_request(session, business_id, key)
    if known is None:
        answer = await do()
        await queries.keep_request(
            session, business_id, key, digest=digest, status=answer.status, answer=answer.body
        )
        return answer
    if known[0] != digest:
        raise BadInputError(
            "key_reused", "This Idempotency-Key was used for another request: take a new one."
        )
    return Answer(known[1], known[2], is_repeated=True)
