"""Templates as Meta lists them, read into the house's words.

Source: https://developers.facebook.com/docs/graph-api/reference/whats-app-business-account/message_templates
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
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
PARTS = frozenset({"HEADER", "BODY", "FOOTER", "BUTTONS"})
# These go out as they were approved; any other asks for something to be filled in with each sending.
BUTTONS = frozenset({"QUICK_REPLY", "URL", "PHONE_NUMBER"})


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
    variables = list(dict.fromkeys(VARIABLE.findall(body)))
    is_sendable = _goes_out_with_its_body(told, parts, body, variables)
    reason = text_of(told.get("rejected_reason"))
    return ListedTemplate(
        name=storable(name),
        language=storable(language),
        category=storable(text_of(told.get("category")) or "")[:LONGEST_WORD],
        status=_status(status, is_sendable=is_sendable),
        reason=storable(reason)[:LONGEST_REASON] if reason and reason != "NONE" else None,
        body=storable(body)[:LONGEST_BODY] or storable(name),
        variables=len(variables) if is_sendable else 0,
        buttons=[storable(text_of(button.get("text")) or "") for button in _buttons(parts)],
    )


def _status(told: str, *, is_sendable: bool) -> TemplateStatus:
    if told == TemplateStatus.APPROVED and not is_sendable:
        return TemplateStatus.UNSUPPORTED
    return TemplateStatus(told) if told in set(TemplateStatus) else TemplateStatus.WAITING


def _goes_out_with_its_body(
    told: dict[str, Any], parts: list[dict[str, Any]], body: str, variables: list[str]
) -> bool:
    """Tell whether the values of its body, by their places, are all that a sending has to bring."""
    header: dict[str, Any] = next((part for part in parts if part.get("type") == "HEADER"), {})
    return (
        0 < len(body) <= LONGEST_BODY
        and told.get("category") != "AUTHENTICATION"
        and all(part.get("type") in PARTS for part in parts)
        and header.get("format", "TEXT") == "TEXT"
        and not VARIABLE.search(text_of(header.get("text")) or "")
        and all(_goes_out(button) for button in _buttons(parts))
        and len(variables) <= MOST_VARIABLES
        and set(variables) == {str(place) for place in range(1, len(variables) + 1)}
    )


def _goes_out(button: dict[str, Any]) -> bool:
    return button.get("type") in BUTTONS and not VARIABLE.search(text_of(button.get("url")) or "")


def _buttons(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        object_of(button)
        for part in parts
        if part.get("type") == "BUTTONS"
        for button in list_of(part.get("buttons"))
    ]
