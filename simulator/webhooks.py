"""Posting to a webhook, with the persistence of the provider whose webhook it is."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import aiohttp
import orjson
import structlog

from simulator.jsontypes import Json

BRIDGE_RETRY_DELAYS_S = (5, 10, 30, 60, 120)
ANSWER_TIMEOUT_S = 30
# Beyond this many deliveries in flight the world drops new ones, as a bridge without memory would.
MOST_IN_FLIGHT = 10_000
FIRST_SUCCESS, FIRST_REDIRECT, TOO_MANY_REQUESTS, FIRST_FAULT = 200, 300, 429, 500

_log = structlog.get_logger("simulator.webhooks")


@dataclass(frozen=True)
class Webhook:
    """Where one provider posts, how it signs what it posts, and what it tries again, when."""

    url: str
    seal: Callable[[Json], tuple[bytes, dict[str, str]]]
    is_worth_retrying: Callable[[int | None], bool]
    retry_delays_s: tuple[float, ...]


def is_worth_retrying(status: int | None) -> bool:
    """429, 500 and above, and a connection error (None) are tried again by bridges; nothing else is."""
    return status is None or status == TOO_MANY_REQUESTS or status >= FIRST_FAULT


def bridge_webhook(url: str, secret: str, *, retry_scale: float) -> Webhook:
    """Describe the webhook of a bridge: a shared secret in a header, five retries."""
    headers = {"X-Internal-Secret": secret, "Content-Type": "application/json"}

    def seal(envelope: Json) -> tuple[bytes, dict[str, str]]:
        return orjson.dumps(envelope), headers

    delays_s = tuple(delay_s * retry_scale for delay_s in BRIDGE_RETRY_DELAYS_S)
    return Webhook(url, seal, is_worth_retrying, delays_s)


class WebhookClient:
    """The connections that all posters of a world share, opened with the first request."""

    def __init__(self) -> None:
        self._opened: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            # A burst waits for a free connection instead of failing: only an answer has a deadline.
            timeout = aiohttp.ClientTimeout(sock_connect=ANSWER_TIMEOUT_S, sock_read=ANSWER_TIMEOUT_S)
            self._opened = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._opened

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> int | None:
        """Post once and return the status, or None if no answer came."""
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _log.warning("webhook_unreachable", error=type(error).__name__)
            return None

    async def get(self, url: str, params: dict[str, str], *, timeout_s: float) -> tuple[int, str] | None:
        """Ask once and return the status and the text, or None if no answer came."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.get(
                url, params=params, timeout=timeout, allow_redirects=False
            ) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    async def aclose(self) -> None:
        """Close every connection."""
        if self._opened is not None:
            await self._opened.close()


class WebhookPoster:
    """Posts envelopes to one webhook; what needs retries goes on in the background."""

    def __init__(self, webhook: Webhook, client: WebhookClient) -> None:
        self._webhook = webhook
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()

    def is_worth_retrying(self, status: int | None) -> bool:
        """Tell whether this provider tries again after such an answer."""
        return self._webhook.is_worth_retrying(status)

    async def post(self, envelope: Json) -> int | None:
        """Post once and return the status, or None if no answer came."""
        body, headers = self._webhook.seal(envelope)
        status = await self._client.post(self._webhook.url, body, headers)
        if status is not None and not FIRST_SUCCESS <= status < FIRST_REDIRECT:
            _log.warning("webhook_refused", status=status)
        return status

    async def deliver(self, envelopes: list[Json]) -> None:
        """Post these one after another, each with its retries."""
        for envelope in envelopes:
            await self._retry(envelope, await self.post(envelope))

    def deliver_in_order(self, envelopes: list[Json]) -> None:
        """Do the same in the background."""
        self._spawn(self.deliver(envelopes))

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
        """Cancel what is in flight and wait for its end."""
        self.forget_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _retry(self, envelope: Json, status: int | None) -> int | None:
        for delay_s in self._webhook.retry_delays_s:
            if not self.is_worth_retrying(status):
                return status
            await asyncio.sleep(delay_s)
            status = await self.post(envelope)
        if self.is_worth_retrying(status):
            _log.error("webhook_dropped", status=status, tries=1 + len(self._webhook.retry_delays_s))
        return status

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if len(self._tasks) >= MOST_IN_FLIGHT:
            work.close()
            _log.error("webhook_dropped", reason="too many in flight", limit=MOST_IN_FLIGHT)
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
