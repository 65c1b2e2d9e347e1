"""Posting to the bridge's webhook, with the persistence of bridges in the field."""

import asyncio
from collections.abc import Callable, Coroutine

import httpx
import orjson
import structlog

from simulator.jsontypes import Json

RETRY_DELAYS_S = (5, 10, 30, 60, 120)
ANSWER_TIMEOUT_S = 30
# Beyond this many deliveries in flight the world drops new ones, as a bridge without memory would.
MOST_IN_FLIGHT = 10_000

_log = structlog.get_logger("simulator.webhooks")


def is_worth_retrying(status: int | None) -> bool:
    """429, 500 and above, and a connection error (None) are tried again; nothing else is."""
    return (
        status is None
        or status == httpx.codes.TOO_MANY_REQUESTS
        or status >= httpx.codes.INTERNAL_SERVER_ERROR
    )


class WebhookPoster:
    """Posts envelopes to one webhook; what needs retries goes on in the background."""

    def __init__(self, *, url: str, secret: str, retry_scale: float) -> None:
        self._url = url
        self._headers = {"X-Internal-Secret": secret, "Content-Type": "application/json"}
        self._retry_delays_s = [delay_s * retry_scale for delay_s in RETRY_DELAYS_S]
        self._tasks: set[asyncio.Task[None]] = set()
        # The pool's own queue has no deadline: a burst waits for a free connection instead of failing.
        timeout = httpx.Timeout(ANSWER_TIMEOUT_S, pool=None)
        self._client = httpx.AsyncClient(timeout=timeout, trust_env=False)

    async def post(self, envelope: Json) -> int | None:
        """Post once and return the status, or None if no answer came."""
        try:
            answer = await self._client.post(self._url, content=orjson.dumps(envelope), headers=self._headers)
        except httpx.TransportError as error:
            _log.warning("webhook_unreachable", error=type(error).__name__)
            return None
        if not answer.is_success:
            _log.warning("webhook_refused", status=answer.status_code)
        return answer.status_code

    def deliver_in_order(self, envelopes: list[Json]) -> None:
        """Post these one after another in the background, each with its retries."""

        async def deliver() -> None:
            for envelope in envelopes:
                await self._retry(envelope, await self.post(envelope))

        self._spawn(deliver())

    def retry_later(self, envelope: Json, on_end: Callable[[int | None], None]) -> None:
        """Go on with a post that failed once; `on_end` hears the last status."""

        async def retry() -> None:
            on_end(await self._retry(envelope, None))

        self._spawn(retry())

    def forget_all(self) -> None:
        """Cancel every delivery in flight."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancel what is in flight and close the connections."""
        self.forget_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _retry(self, envelope: Json, status: int | None) -> int | None:
        for delay_s in self._retry_delays_s:
            if not is_worth_retrying(status):
                return status
            await asyncio.sleep(delay_s)
            status = await self.post(envelope)
        if is_worth_retrying(status):
            _log.error("webhook_dropped", status=status, tries=1 + len(RETRY_DELAYS_S))
        return status

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if len(self._tasks) >= MOST_IN_FLIGHT:
            work.close()
            _log.error("webhook_dropped", reason="too many in flight", limit=MOST_IN_FLIGHT)
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
