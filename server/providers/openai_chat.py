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
from server.ports import ChatTurn, Completion, Tool, ToolCall
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
# More calls in one answer than any sensible one holds.
MOST_CALLS = 10
LONGEST_ARGUMENTS = 10_000


class OpenAiChat:
    """One model of one server; `timeout_s` bounds a whole answer, connecting included.

    `prices` are the dollars that a million tokens cost, told and answered.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str,
        api_key: str,
        model: str,
        timeout_s: float,
        prices: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._http = http
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._model = model
        self._timeout_s = timeout_s
        self._prices = prices
        self._takes_tools = True

    async def complete(self, turns: Sequence[ChatTurn], *, tools: Sequence[Tool] = ()) -> Completion:
        """Return the next assistant turn; raise ProviderError when it cannot be had in time.

        A model that knows no tools is asked without them from then on.
        """
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [_message(turn) for turn in turns],
            # What customers write is not the vendor's to keep.
            "store": False,
        }
        if tools and self._takes_tools:
            body["tools"] = [_tool(tool) for tool in tools]
        answer = await self._post(body)
        if "tools" in body and _knows_no_tools(answer):
            self._takes_tools = False
            del body["tools"]
            answer = await self._post(body)
        if answer.status_code >= FIRST_REDIRECT:
            _raise_refusal(answer)
        return _completion(json_object(answer), self._model, self._prices)

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


def _message(turn: ChatTurn) -> dict[str, Any]:
    if turn.role == "tool":
        return {"role": "tool", "tool_call_id": turn.call_id, "content": turn.content}
    if not turn.calls:
        return {"role": turn.role, "content": turn.content}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in turn.calls
    ]
    return {"role": turn.role, "content": turn.content or None, "tool_calls": calls}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _knows_no_tools(answer: httpx.Response) -> bool:
    told = object_of(json_object(answer).get("error"))
    refuses = answer.status_code in {httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY}
    return refuses and "tool" in (text_of(told.get("message")) or "").lower()


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


def _completion(body: dict[str, Any], model: str, prices: tuple[float, float]) -> Completion:
    choice = object_of(next(iter(list_of(body.get("choices"))), None))
    message = object_of(choice.get("message"))
    text, calls = THOUGHTS.sub("", _said(message.get("content"))).strip(), _calls(message)
    if not text and not calls:
        raise ProviderUnknownError(f"{NAME} answered without a text")
    if choice.get("finish_reason") == "length":
        raise ProviderRefusedError(f"{NAME} was cut off in the middle of its answer")
    usage = object_of(body.get("usage"))
    told, answered = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return Completion(
        text=text,
        model=text_of(body.get("model")) or model,
        input_tokens=told,
        output_tokens=answered,
        calls=calls,
        # Dollars a million tokens are millionths of a dollar a token.
        cost_micro=round(told * prices[0] + answered * prices[1]),
    )


def _calls(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    """Return the tools that a message asks for; what has no name is none."""
    found = []
    for number, one in enumerate(list_of(message.get("tool_calls"))[:MOST_CALLS]):
        function = object_of(object_of(one).get("function"))
        name, arguments = text_of(function.get("name")), function.get("arguments")
        # Some servers give the arguments as an object, and no id.
        written = text_of(arguments) if isinstance(arguments, str) else json.dumps(object_of(arguments))
        if name:
            call_id = text_of(object_of(one).get("id")) or f"call_{number}"
            found.append(ToolCall(call_id, name, (written or "{}")[:LONGEST_ARGUMENTS]))
    return tuple(found)


def _said(content: object) -> str:
    """Return the text of a message, which some servers give in parts."""
    if isinstance(content, list):
        return "".join(text_of(object_of(part).get("text")) or "" for part in content)
    return text_of(content) or ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
