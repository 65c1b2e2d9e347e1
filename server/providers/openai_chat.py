"""Any server that speaks OpenAI's chat completions, a local one too.

Source: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import ChatTurn, Completion
from server.providers.answers import json_object, retry_after_s

CONNECT_TIMEOUT_S = 5.0
FIRST_REDIRECT = 300
FIRST_FAULT = 500
NAME = "The language model"
# A 429 that waiting does not end: the account has no money left.
NO_QUOTA = "insufficient_quota"


class OpenAiChat:
    """One model of one server; `timeout_s` bounds a whole answer, connecting included."""

    def __init__(
        self, http: httpx.AsyncClient, *, base_url: str, api_key: str, model: str, timeout_s: float
    ) -> None:
        self._http = http
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._model = model
        self._timeout_s = timeout_s

    async def complete(self, turns: Sequence[ChatTurn]) -> Completion:
        """Return the next assistant turn; raise ProviderError when it cannot be had in time."""
        body = {
            "model": self._model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in turns],
            # What customers write is not the vendor's to keep.
            "store": False,
        }
        answer = await self._post(body)
        if answer.status_code >= FIRST_REDIRECT:
            _raise_refusal(answer)
        return _completion(json_object(answer), self._model)

    async def _post(self, body: dict[str, Any]) -> httpx.Response:
        timeout = httpx.Timeout(self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._http.post(self._url, json=body, headers=self._headers, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderDownError(f"{NAME} cannot be reached: check OPENAI_BASE_URL") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise ProviderRefusedError(f"{NAME} has no usable address: check OPENAI_BASE_URL") from error
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise ProviderUnknownError(f"{NAME} did not answer in time ({type(error).__name__})") from error


def _raise_refusal(answer: httpx.Response) -> None:
    status = answer.status_code
    told = json_object(answer).get("error")
    code = told.get("code") or told.get("type") if isinstance(told, dict) else None
    if status == httpx.codes.TOO_MANY_REQUESTS and code != NO_QUOTA:
        raise ProviderBusyError(f"{NAME} asks to slow down", retry_after_s=retry_after_s(answer))
    if status >= FIRST_FAULT:
        raise ProviderDownError(f"{NAME} failed with status {status}")
    if code == NO_QUOTA:
        raise ProviderRefusedError(f"{NAME}'s account has no quota left: add credit to it")
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise ProviderRefusedError(f"{NAME} does not accept the key: check OPENAI_API_KEY")
    raise ProviderRefusedError(
        f"{NAME} refused the request (status {status}): check OPENAI_MODEL and OPENAI_BASE_URL"
    )


def _completion(body: dict[str, Any], model: str) -> Completion:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    text = message.get("content") if isinstance(message, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise ProviderUnknownError(f"{NAME} answered without a text")
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    told = body.get("model")
    return Completion(
        text=text.strip(),
        model=told if isinstance(told, str) else model,
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
