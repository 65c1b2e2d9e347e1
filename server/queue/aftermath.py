"""What follows where a job ended badly: failed, quarantined, expired or cancelled.

The database asks for it in the transaction in which the job ends so, whoever ends it and how (0007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.db.session import Session, driver_of
from server.errors import BadInputError, Snooze
from server.log import get_logger
from server.queue.effects import give_up_effects
from server.queue.kinds import AFTERMATHS, KINDS
from server.queue.run import Run

log = get_logger(__name__)

UPGRADE_WAIT_S = 60.0
# Locked: whoever wants to run it again waits for this transaction, and finds what it did.
READ = """
SELECT id AS job_id, kind, version, payload::text AS payload, state, lane FROM job
WHERE id = $1 AND state IN ('failed', 'quarantined', 'expired', 'cancelled') FOR SHARE
"""

IS_LEFT = "SELECT state NOT IN ('ready', 'running') FROM job WHERE id = $1 FOR SHARE"


@dataclass(frozen=True)
class GivenUp:
    """A job that ended badly and that nobody runs; `payload` is JSON."""

    job_id: str
    kind: str
    version: int
    payload: str
    state: str
    lane: str | None

    @property
    def reason(self) -> str:
        """Return why, in words that fit any kind of work."""
        return f"given up: its job is {self.state}"


async def conclude(run: Run, job_id: str) -> None:
    """Call off what a job that ended badly had planned, and tell whom its kind wants told.

    Changes nothing where somebody made the job ready again, and nothing a second time.
    """
    async with run.completing() as session:
        row = await (await driver_of(session)).fetchrow(READ, job_id)
        if row is None:
            return
        given_up = GivenUp(**dict(row))
        await _tell(run, session, given_up)
        # Of what its kind did not call off itself.
        await give_up_effects(session, job_id, reason=given_up.reason)


async def _tell(run: Run, session: Session, given_up: GivenUp) -> None:
    aftermath = AFTERMATHS.get(given_up.kind)
    if aftermath is None:
        return
    try:
        payload = _payload(given_up)
    except BadInputError as error:
        # No handler could read it either: it says nothing about whom to tell.
        log.warning("aftermath_untold", job_id=given_up.job_id, error=str(error))
        return
    await aftermath(run, session, payload, given_up)


async def is_left(session: Session, job_id: str) -> bool:
    """Tell whether nobody will run a job, and keep it so until the transaction ends."""
    found = await (await driver_of(session)).fetchval(IS_LEFT, job_id)
    return found is None or bool(found)


def _payload(given_up: GivenUp) -> Any:
    kind = KINDS[given_up.kind]
    if given_up.version > kind.version:
        raise Snooze("waits for a worker that knows this version", for_s=UPGRADE_WAIT_S)
    return kind.decode(given_up.payload, given_up.version)
