"""What a template asks to be filled in, and whether it was: as Meta checks it, so that it says so sooner.

Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/components
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from server.domains.messaging.letters import TemplateUse
from server.errors import BadInputError
from server.ports import ButtonKind, ButtonValue, TemplateStatus

OWN = "own"
FILES = frozenset({"image", "video", "document"})
LONGEST_VALUE, LONGEST_CODE, LONGEST_PAYLOAD = 1024, 15, 256
VARIABLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
# Meta takes neither in a value.
NOT_IN_VALUES = re.compile(r"[\n\r\t]| {5}")


@dataclass(frozen=True)
class Button:
    """A button that is filled with each sending: the end of the address `url`, or a code to copy."""

    index: int
    kind: ButtonKind
    text: str
    url: str = ""

    @property
    def variable(self) -> str:
        """Return what stands between the braces of its address."""
        found = VARIABLE.search(self.url)
        return found[1] if found else ""


@dataclass(frozen=True)
class Template:
    """One template; see `ports.ListedTemplate`. A quick reply's status is own."""

    id: UUID
    channel_id: UUID | None
    name: str
    language: str
    category: str
    status: str
    reason: str | None
    body: str
    variables: int
    names: Sequence[str] = ()
    header: Mapping[str, str] | None = None
    buttons: Sequence[Any] = ()

    @property
    def is_own(self) -> bool:
        """Tell whether it is a quick reply of the business's own."""
        return self.status == OWN

    @property
    def may_be_sent(self) -> bool:
        """Tell whether its provider lets it out."""
        return self.status in {OWN, TemplateStatus.APPROVED}

    @property
    def places(self) -> list[str]:
        """Return what stands between the braces of its body, in the order of its values."""
        return list(self.names) or [str(place) for place in range(1, self.variables + 1)]

    @property
    def file_kind(self) -> str | None:
        """Return what kind of file its header shows; None for none."""
        kind = (self.header or {}).get("format")
        return kind if kind in FILES else None

    @property
    def header_text(self) -> str:
        """Return the words of its header, with its variable."""
        return (self.header or {}).get("text", "") if self.file_kind is None else ""

    @property
    def header_variable(self) -> str | None:
        """Return what stands between the braces of its header."""
        found = VARIABLE.search(self.header_text)
        return found[1] if found else None

    @property
    def header_name(self) -> str | None:
        """Return the name of its header's variable, where it is not a number."""
        return self.header_variable if self.header_variable and not self.header_variable.isdigit() else None

    @property
    def blanks(self) -> list[Button]:
        """Return the buttons that are filled with each sending."""
        blanks: list[Button] = []
        for index, told in enumerate(self.buttons):
            # Code before kept a button's words alone, of templates that need none filled.
            kind = told.get("type") if isinstance(told, dict) else None
            if kind == ButtonKind.COPY_CODE or (kind == ButtonKind.URL and VARIABLE.search(told["url"])):
                blanks.append(Button(index, ButtonKind(kind), told["text"], told["url"]))
        return blanks


@dataclass(frozen=True)
class Filling:
    """What a person fills a template with; `buttons` by their places, counted from 0."""

    body: Sequence[str] = ()
    header: str | None = None
    buttons: Mapping[int, str] = field(default_factory=dict)


def used(template: Template, filling: Filling) -> TemplateUse:
    """Return a template with what fills it."""
    values = [(one, filling.buttons.get(one.index, "").strip()) for one in template.blanks]
    header = (filling.header or "").strip() or None
    return TemplateUse(
        name=template.name,
        language=template.language,
        body=tuple(value.strip() for value in filling.body)[: template.variables],
        names=tuple(template.names),
        header=header if template.header_variable else None,
        header_name=template.header_name,
        file_kind=template.file_kind,
        buttons=tuple(ButtonValue(one.index, one.kind, value) for one, value in values if value),
    )


def in_order(template: Template, use: TemplateUse) -> TemplateUse:
    """Return a program's use of a template with its values in the body's order, under the body's names."""
    body = use.body
    if use.names:
        if sorted(use.names) != sorted(template.names):
            wanted = ", ".join(template.names) or "numbers"
            raise invalid(f"The body of {template.name} has variables with other names: {wanted}.")
        by_name = dict(zip(use.names, use.body, strict=True))
        body = [by_name[name] for name in template.names]
    return replace(use, body=tuple(body), names=tuple(template.names), header_name=template.header_name)


def require_filled(template: Template, use: TemplateUse) -> None:
    """Raise BadInputError `template_invalid` unless a template is approved and filled as it asks for."""
    if not template.may_be_sent:
        raise not_approved(template)
    if len(use.body) != template.variables or not all(use.body):
        raise invalid(f"The body of {template.name} needs {template.variables} values, not {len(use.body)}.")
    if (template.header_variable is None) != (use.header is None):
        raise invalid(f"The header of {template.name} needs {'no' if use.header else 'a'} text.")
    if template.file_kind != use.file_kind:
        raise invalid(f"The header of {template.name} needs {template.file_kind or 'no file'}.")
    _require_buttons(template, use)
    require_values(use)


def require_values(use: TemplateUse) -> None:
    """Raise BadInputError for a value that no provider takes."""
    for value in (*use.body, use.header or "", *(one.value for one in use.buttons)):
        if len(value) > LONGEST_VALUE or NOT_IN_VALUES.search(value):
            raise invalid(
                f"A value of a template has at most {LONGEST_VALUE} characters, and no line break, tab"
                " or five spaces in a row."
            )
    for button in use.buttons:
        if button.kind is ButtonKind.COPY_CODE and not _is_code(button.value):
            raise invalid(f"A code to copy has up to {LONGEST_CODE} letters and digits.")
        if button.kind is ButtonKind.QUICK_REPLY and len(button.value) > LONGEST_PAYLOAD:
            raise invalid(f"What a button answers has at most {LONGEST_PAYLOAD} characters.")


def _require_buttons(template: Template, use: TemplateUse) -> None:
    wanted = {(one.index, one.kind) for one in template.blanks}
    given = {(one.index, one.kind) for one in use.buttons if one.kind is not ButtonKind.QUICK_REPLY}
    if missing := sorted(wanted - given):
        raise invalid(f"Button {missing[0][0]} of {template.name} needs a value: {missing[0][1].value}.")
    if surplus := sorted(given - wanted):
        raise invalid(f"Button {surplus[0][0]} of {template.name} takes no value of {surplus[0][1].value}.")
    answers = [index for index, one in enumerate(template.buttons) if _is_quick_reply(one)]
    for button in use.buttons:
        if button.kind is ButtonKind.QUICK_REPLY and button.index not in answers:
            raise invalid(f"Button {button.index} of {template.name} is no quick reply.")


def _is_quick_reply(told: Any) -> bool:
    return not isinstance(told, dict) or told.get("type") == ButtonKind.QUICK_REPLY


def _is_code(value: str) -> bool:
    return value.isascii() and value.isalnum() and len(value) <= LONGEST_CODE


def words_of(template: Template, use: TemplateUse) -> str:
    """Return what the customer reads; what a value holds is not filled again."""
    by_place = dict(zip(template.places, use.body, strict=True))
    words = VARIABLE.sub(lambda found: by_place.get(found[1], found[0]), template.body)
    header = VARIABLE.sub(lambda found: use.header or found[0], template.header_text)
    return f"{header}\n{words}" if header else words


def not_approved(template: Template) -> BadInputError:
    """Return the refusal of a template that its provider does not let out."""
    return invalid(f"WhatsApp does not let the template {template.name} out: it is {template.status}.")


def invalid(sentence: str) -> BadInputError:
    """Return the refusal of a template that is not filled as it asks for."""
    return BadInputError("template_invalid", sentence)
