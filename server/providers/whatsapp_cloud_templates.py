"""Templates as Meta lists them, read into the house's words.

Source: https://developers.facebook.com/docs/graph-api/reference/whats-app-business-account/message_templates
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from server.ports import ListedTemplate, TemplateStatus
from server.providers.loose_json import list_of, object_of, storable, text_of

FIELDS = "name,language,category,status,rejected_reason,parameter_format,components"
PAGE = 100
# Meta lets an account have 6,000; whoever lists more lists in a circle.
MOST_PAGES = 100
LONGEST_NAME, LONGEST_WORD, LONGEST_BODY, LONGEST_REASON = 512, 20, 4096, 300
MOST_VARIABLES = 20
VARIABLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
NAME = re.compile(r"[a-z0-9_]{1,60}")
PARTS = frozenset({"HEADER", "BODY", "FOOTER", "BUTTONS"})
HEADERS = frozenset({"TEXT", "IMAGE", "VIDEO", "DOCUMENT"})
# What goes out as it was approved, or with one value; any other asks for what is not filled in here.
BUTTONS = frozenset({"QUICK_REPLY", "URL", "PHONE_NUMBER", "COPY_CODE"})
LONGEST_TITLE, LONGEST_URL, MOST_BUTTONS = 60, 2000, 10


class EndlessListError(Exception):
    """The pages do not come to an end."""


async def read_pages(ask: Callable[..., Awaitable[dict[str, Any]]]) -> AsyncIterator[ListedTemplate]:
    """Yield every template; `ask` gets a page's query. Raises EndlessListError."""
    after: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        answer = await ask(fields=FIELDS, limit=str(PAGE), **after)
        for told in list_of(answer.get("data")):
            template = _template(object_of(told))
            if template is not None:
                yield template
        paging = object_of(answer.get("paging"))
        cursor = text_of(object_of(paging.get("cursors")).get("after"))
        if not paging.get("next") or cursor is None:
            return
        after = {"after": cursor}
    raise EndlessListError


def _template(told: dict[str, Any]) -> ListedTemplate | None:
    name, language, status = (text_of(told.get(name)) for name in ("name", "language", "status"))
    if not name or not language or not status or len(name) > LONGEST_NAME or len(language) > LONGEST_WORD:
        return None
    parts = [object_of(part) for part in list_of(told.get("components"))]
    body = next((text_of(part.get("text")) for part in parts if part.get("type") == "BODY"), None) or ""
    header = next((part for part in parts if part.get("type") == "HEADER"), None)
    names = _variables(body)
    lacking = next(_lacking(told, parts, body), None)
    rejected = text_of(told.get("rejected_reason"))
    is_short_of = status == TemplateStatus.APPROVED and lacking is not None
    reason = lacking if is_short_of else rejected if rejected != "NONE" else None
    return ListedTemplate(
        name=storable(name),
        language=storable(language),
        category=storable(text_of(told.get("category")) or "")[:LONGEST_WORD],
        status=_status(status, is_sendable=lacking is None),
        reason=storable(reason)[:LONGEST_REASON] if reason else None,
        body=storable(body)[:LONGEST_BODY] or storable(name),
        variables=len(names) if lacking is None else 0,
        names=[] if _are_numbered(names) or lacking else [storable(one) for one in names],
        header=None if header is None else _header(header),
        buttons=[_button(button) for button in _buttons(parts)[:MOST_BUTTONS]],
    )


def _variables(words: str) -> list[str]:
    """Return what stands between the braces of a text: numbers or names, in order, each once."""
    return list(dict.fromkeys(VARIABLE.findall(words)))


def _are_numbered(names: list[str]) -> bool:
    return set(names) == {str(place) for place in range(1, len(names) + 1)}


def _header(part: dict[str, Any]) -> dict[str, str]:
    words = storable(text_of(part.get("text")) or "")[:LONGEST_TITLE]
    return {"format": storable(text_of(part.get("format")) or "TEXT").lower()[:LONGEST_WORD], "text": words}


def _button(told: dict[str, Any]) -> dict[str, str]:
    url = storable(text_of(told.get("url")) or "")[:LONGEST_URL]
    kind = storable(text_of(told.get("type")) or "").lower()[:LONGEST_WORD]
    return {"type": kind, "text": storable(text_of(told.get("text")) or "")[:LONGEST_TITLE], "url": url}


def _status(told: str, *, is_sendable: bool) -> TemplateStatus:
    if told == TemplateStatus.APPROVED and not is_sendable:
        return TemplateStatus.UNSUPPORTED
    return TemplateStatus(told) if told in set(TemplateStatus) else TemplateStatus.WAITING


def _lacking(told: dict[str, Any], parts: list[dict[str, Any]], body: str) -> Iterator[str]:
    """Yield what of a template cannot be filled in here, in Meta's words."""
    names = _variables(body)
    is_named = told.get("parameter_format") == "NAMED" and all(NAME.fullmatch(name) for name in names)
    if not 0 < len(body) <= LONGEST_BODY or len(names) > MOST_VARIABLES:
        yield "BODY"
    if not (_are_numbered(names) or is_named):
        yield "BODY"
    if told.get("category") == "AUTHENTICATION":
        yield "AUTHENTICATION"
    for part in parts:
        kind, format_ = part.get("type"), part.get("format", "TEXT")
        if kind not in PARTS:
            yield str(kind)
        if kind == "HEADER" and (
            format_ not in HEADERS or len(_variables(text_of(part.get("text")) or "")) > 1
        ):
            yield f"HEADER {format_}"
    buttons = _buttons(parts)
    if len(buttons) > MOST_BUTTONS:
        yield "BUTTONS"
    for button in buttons:
        if button.get("type") not in BUTTONS or len(_variables(text_of(button.get("url")) or "")) > 1:
            yield f"BUTTON {button.get('type')}"


def _buttons(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        object_of(button)
        for part in parts
        if part.get("type") == "BUTTONS"
        for button in list_of(part.get("buttons"))
    ]
