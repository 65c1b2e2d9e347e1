"""What RQ's own tools tell a worker over pub/sub: stop a job, stop one run of it, leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rq.command import PUBSUB_CHANNEL_TEMPLATE

from server.log import get_logger

log = get_logger(__name__)

AWAY_WAIT_S = 1.0


class Commands:
    """Follows RQ's commands to one worker; `kill-horse` means nothing here, for there is no horse."""

    def __init__(
        self,
        client: Redis,
        *,
        worker: str,
        stop_job: Callable[[str, str | None], None],
        leave: Callable[[], None],
    ) -> None:
        """`stop_job` takes RQ's ids of the job and of its execution, None for whichever runs."""
        self._client = client
        self._channel = PUBSUB_CHANNEL_TEMPLATE % worker
        self._stop_job = stop_job
        self._leave = leave

    async def obey(self) -> None:
        """Listen for as long as the worker runs, through every loss of Redis."""
        while True:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self._channel)
                    while True:
                        message = await pubsub.get_message(timeout=None)
                        if message is not None:
                            self._follow(_told(message["data"]))
            except (RedisError, OSError, TimeoutError):
                await asyncio.sleep(AWAY_WAIT_S)

    def _follow(self, told: dict[str, Any]) -> None:
        match told:
            case {"command": "stop-job", "job_id": job_id}:
                self._stop_job(str(job_id), None)
            case {"command": "stop-execution", "job_id": job_id, "execution_id": execution_id}:
                self._stop_job(str(job_id), str(execution_id))
            case {"command": "shutdown"}:
                self._leave()
            case _:
                log.warning("command_ignored", command=str(told.get("command"))[:40])


def _told(data: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
