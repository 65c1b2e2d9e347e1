"""Templates as people see them: what of each is filled in with a sending, and why some may not be sent."""

from __future__ import annotations

from collections.abc import Sequence

from server.domains.messaging import CLOUD, Button, Channel, Template
from server.ports import ButtonKind, TemplateStatus
from server.web.text import inert
from server.web.words import Words

STATES = {
    TemplateStatus.UNSUPPORTED: "channels.template.unsupported",
    TemplateStatus.PENDING: "channels.template.pending",
    TemplateStatus.REJECTED: "channels.template.rejected",
    TemplateStatus.PAUSED: "channels.template.paused",
    TemplateStatus.DISABLED: "channels.template.disabled",
    TemplateStatus.WAITING: "channels.template.waiting",
}


# What a browser offers to choose for a header; its bytes decide when it is there.
ACCEPTED = {"image": "image/jpeg,image/png", "video": "video/mp4,video/3gpp", "document": "*/*"}
FILE_WORDS = {
    "image": "compose.template.image",
    "video": "compose.template.video",
    "document": "compose.template.document",
}
LONGEST_VALUE, LONGEST_HEADER, LONGEST_CODE = 1024, 60, 15


def sendable_view(words: Words, template: Template) -> dict[str, object]:
    """Return a template as the composer offers it: each part with the fields that fill it."""
    file_kind = template.file_kind
    return {
        "id": str(template.id),
        "name": inert(template.name),
        "language": inert(template.language),
        "is_own": template.is_own,
        "file": words(FILE_WORDS[file_kind]) if file_kind else "",
        "accepts": ACCEPTED.get(file_kind or "", ""),
        "parts": [part for part in _parts(words, template) if part["text"] or part["fields"]],
    }


def withheld_view(words: Words, template: Template) -> dict[str, str]:
    """Return a template that may not be sent, with the reason."""
    return {
        "name": inert(template.name),
        "language": inert(template.language),
        "state": words(STATES[TemplateStatus(template.status)]),
        "reason": inert(template.reason or ""),
    }


def _parts(words: Words, template: Template) -> list[dict[str, object]]:
    title = template.header_variable
    header = [_field("header", title, words("compose.template.header"), LONGEST_HEADER)] if title else []
    body = [
        _field(f"var{place}", name, words("compose.variable", n=inert(name)), LONGEST_VALUE)
        for place, name in enumerate(template.places, start=1)
    ]
    return [
        {"look": "title", "text": inert(template.header_text), "dir": "auto", "fields": header},
        {"look": "", "text": inert(template.body), "dir": "auto", "fields": body},
        *(_button(words, one) for one in template.blanks),
    ]


def _button(words: Words, button: Button) -> dict[str, object]:
    name, text = f"button{button.index}", inert(button.text)
    if button.kind is ButtonKind.URL:
        field = _field(
            name, button.variable, words("compose.template.link", text=text), LONGEST_VALUE, direction="ltr"
        )
        return {"look": "address", "text": inert(button.url), "dir": "ltr", "fields": [field]}
    field = _field(name, "code", words("compose.template.code", text=text), LONGEST_CODE, direction="ltr")
    return {"look": "address", "text": "", "dir": "ltr", "fields": [field]}


def _field(
    name: str, variable: str, label: str, longest: int, *, direction: str = "auto"
) -> dict[str, object]:
    return {"name": name, "variable": variable, "label": label, "longest": longest, "dir": direction}


def templates_view(words: Words, channel: Channel, listed: Sequence[Template]) -> dict[str, object]:
    """Return what the list of channels says of a number's templates; a bridge needs none."""
    if channel.kind != CLOUD:
        return {"has_templates": False}
    of_channel = [one for one in listed if one.channel_id == channel.id]
    withheld = [one for one in of_channel if not one.may_be_sent]
    return {
        "has_templates": True,
        "sendable": words("channels.templates.sendable", n=f"{len(of_channel) - len(withheld)}"),
        "withheld": [withheld_view(words, one) for one in withheld],
    }
