"""Every tool of the assistant on one page: its arguments are its fields, its docstring is what a model reads.

`about` tells a model what a field holds. What has no default must be given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from server.domains.assistant import TOOL_NAMES


def _about(text: str) -> dict[str, str]:
    return {"about": text}


@dataclass(frozen=True)
class SaveContactDetails:
    """Save what the customer said about themselves. Only what they wrote, never a guess."""

    name: str | None = field(default=None, metadata=_about("Their own full name."))
    email: str | None = field(default=None, metadata=_about("Their e-mail address."))
    phone: str | None = field(default=None, metadata=_about("A phone number they gave, with country code."))
    city: str | None = field(default=None, metadata=_about("The town they are in."))


@dataclass(frozen=True)
class UpdateLead:
    """Note in the sales pipeline what this customer wants, or that it moved on to another stage."""

    note: str | None = field(default=None, metadata=_about("What they want, in one sentence."))
    stage: str | None = field(default=None, metadata=_about("The name of the pipeline's stage it is in now."))


@dataclass(frozen=True)
class SetReminder:
    """Remind the people of the business of something about this customer. It books nothing."""

    text: str = field(metadata=_about("What to do, in one sentence that makes sense by itself."))
    at: str = field(metadata=_about("When, in the business's local time, as YYYY-MM-DDTHH:MM."))


@dataclass(frozen=True)
class HandOverToPerson:
    """Let a person of the business take over, and tell the customer so. Ends your part."""

    reason: str = field(metadata=_about("What the person should know, in one sentence."))


@dataclass(frozen=True)
class LookUpKnowledge:
    """Search what the business has written down, where what you were given does not answer."""

    query: str = field(metadata=_about("The words to look for, in the language of the business."))


SKILLS: dict[str, type[Any]] = dict(
    zip(
        TOOL_NAMES,
        (SaveContactDetails, UpdateLead, SetReminder, HandOverToPerson, LookUpKnowledge),
        strict=True,
    )
)
