"""Any server that speaks OpenAI's chat completions, a local one too.

Source: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import httpx

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import ChatTurn, Completion
from server.providers.answers import json_object, retry_after_s
from server.providers.loose_json import list_of, object_of, text_of

CONNECT_TIMEOUT_S = 5.0
FIRST_REDIRECT = 300
FIRST_FAULT = 500
NAME = "The language model"
# A 429 that waiting does not end: the account has no money left.
NO_QUOTA = "insufficient_quota"
# Local reasoning models put what they think before what they say.
THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


class OpenAiChat:
    """One model of one server; `timeout_s` bounds a whole answer, connecting included."""

    def __init__(
        self, http: httpx.AsyncClient, *, base_url: str, api_key: str, model: str, timeout_s: float
    ) -> None:
        self._http = http
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
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
        headers = httpx.Headers(self._headers, encoding="utf-8")
        content = json.dumps(body).encode()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._http.post(self._url, content=content, headers=headers, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderDownError(f"{NAME} cannot be reached: check OPENAI_BASE_URL") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise ProviderRefusedError(f"{NAME} has no usable address: check OPENAI_BASE_URL") from error
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise ProviderUnknownError(f"{NAME} did not answer in time ({type(error).__name__})") from error


def _raise_refusal(answer: httpx.Response) -> None:
    status = answer.status_code
    told = object_of(json_object(answer).get("error"))
    has_no_quota = NO_QUOTA in (told.get("code"), told.get("type"))
    if status == httpx.codes.TOO_MANY_REQUESTS and not has_no_quota:
        raise ProviderBusyError(f"{NAME} asks to slow down", retry_after_s=retry_after_s(answer))
    if status >= FIRST_FAULT:
        raise ProviderDownError(f"{NAME} failed with status {status}")
    if has_no_quota:
        raise ProviderRefusedError(f"{NAME}'s account has no quota left: add credit to it")
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise ProviderRefusedError(f"{NAME} does not accept the key: check OPENAI_API_KEY")
    raise ProviderRefusedError(
        f"{NAME} refused the request (status {status}): check OPENAI_MODEL and OPENAI_BASE_URL"
    )


def _completion(body: dict[str, Any], model: str) -> Completion:
    choice = object_of(next(iter(list_of(body.get("choices"))), None))
    text = THOUGHTS.sub("", _said(object_of(choice.get("message")).get("content"))).strip()
    if not text:
        raise ProviderUnknownError(f"{NAME} answered without a text")
    if choice.get("finish_reason") == "length":
        raise ProviderRefusedError(f"{NAME} was cut off in the middle of its answer")
    usage = object_of(body.get("usage"))
    return Completion(
        text=text,
        model=text_of(body.get("model")) or model,
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
    )


def _said(content: object) -> str:
    """Return the text of a message, which some servers give in parts."""
    if isinstance(content, list):
        return "".join(text_of(object_of(part).get("text")) or "" for part in content)
    return text_of(content) or ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
