"""Delete expired log-in sessions and one-time links."""

from __future__ import annotations

from server.domains import accounts
from server.queue import Run, handles
from server.queue.catalog import LoginCleanup

ROWS_A_RUN = 10_000


@handles(LoginCleanup)
async def login_cleanup_job(run: Run, _payload: LoginCleanup) -> None:
    """Delete a bounded number of rows; the next slot takes the rest."""
    async with run.completing(*await run.every_business()) as session:
        await accounts.forget_expired_logins(session, limit=ROWS_A_RUN)
