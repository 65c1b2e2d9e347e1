"""Reading a provider's HTTP answer without trusting it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from server.clock import utc_now
from server.errors import ProviderDownError, ProviderRefusedError
from server.ports import ChannelAccount

OK = 200
GONE = frozenset({404, 410})
REFUSED = frozenset({400, 401, 403})
UNSAID_S = 30.0
LONGEST_S = 3600.0


def json_object(answer: httpx.Response) -> dict[str, Any]:
    """Return the body as a JSON object; an empty one when it is anything else."""
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def retry_after_s(answer: httpx.Response) -> float:
    """Return the seconds of Retry-After, as a number or a date, within 1 s and an hour (RFC 9110 §10.2.3)."""
    told = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(told) if told.replace(".", "", 1).isdigit() else _until(told, answer)
    except (ValueError, OverflowError):
        seconds = UNSAID_S
    return min(max(seconds, 1.0), LONGEST_S)


def refuse_unless_there(answer: httpx.Response, account: ChannelAccount, *, name: str) -> None:
    """Raise what an answer other than the file itself means: gone for good, or to be asked for again."""
    if answer.status_code == OK:
        return
    if answer.status_code in GONE:
        raise ProviderRefusedError(f"{name}: the file is gone", account=str(account.channel_id))
    if answer.status_code in REFUSED:
        # The address lives for five minutes: the next try asks for a new one.
        raise ProviderDownError(
            f"{name}: the file's address is no longer good", account=str(account.channel_id)
        )
    raise ProviderDownError(
        f"{name}: the file cannot be had just now (status {answer.status_code})",
        account=str(account.channel_id),
    )


def _until(told: str, answer: httpx.Response) -> float:
    # Against the clock that named the moment: ours may differ by more than the wait.
    dated = answer.headers.get("date")
    return (_moment(told) - (_moment(dated) if dated else utc_now())).total_seconds()


def _moment(told: str) -> datetime:
    at = parsedate_to_datetime(told)
    return at.replace(tzinfo=at.tzinfo or UTC)
