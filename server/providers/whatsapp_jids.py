"""WhatsApp's addresses (JIDs), and whose they are.

`972501234567:12@s.whatsapp.net` is a phone on its twelfth device, `82399031480511@lid` a hidden
id whose digits are never a phone, `…@g.us` a group, `status@broadcast` the stories.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

LONGEST = 255
PHONE_SERVERS = frozenset({"s.whatsapp.net", "c.us", "hosted"})
LID_SERVERS = frozenset({"lid", "hosted.lid"})
CHATS = {"g.us": "group", "newsletter": "newsletter", "broadcast": "broadcast"}
JID = re.compile(r"([0-9A-Za-z._+-]+?)(?::[0-9]+)?@([a-z.]+)")
PHONE_DIGITS = re.compile(r"[1-9][0-9]{6,14}")


@dataclass(frozen=True)
class Jid:
    """One address without its device."""

    user: str
    server: str

    def __str__(self) -> str:
        return f"{self.user}@{self.server}"

    @property
    def chat(self) -> str:
        """Return what kind of chat it is: person, group, status, broadcast or newsletter; other if new."""
        if self == Jid("status", "broadcast"):
            return "status"
        is_person = self.server in PHONE_SERVERS or self.server in LID_SERVERS
        return "person" if is_person else CHATS.get(self.server, "other")

    @property
    def phone(self) -> str | None:
        """Return the phone in E.164, None for a hidden id or anything else."""
        return e164(self.user) if self.server in PHONE_SERVERS else None

    @property
    def lid(self) -> str | None:
        """Return the digits of a hidden id."""
        return self.user if self.server in LID_SERVERS else None


def parse_jid(value: object) -> Jid | None:
    """Read an address; both spellings of a phone's server become one, so that a chat has one lane."""
    return _parse(value) if isinstance(value, str) and len(value) <= LONGEST else None


# The same few people write again and again.
@lru_cache(maxsize=10_000)
def _parse(value: str) -> Jid | None:
    match = JID.fullmatch(value)
    if match is None:
        return None
    user, server = match.groups()
    return Jid(user, "s.whatsapp.net" if server == "c.us" else server)


def e164(digits: str) -> str | None:
    """Return digits with their country code as E.164; WhatsApp's word is enough that they are a phone."""
    if not PHONE_DIGITS.fullmatch(digits):
        return None
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return f"+{digits}"
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
