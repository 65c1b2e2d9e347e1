"""What stands still until somebody of the business looks: said on the inbox and above the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from server.db import Session
from server.domains import assistant, integrations, messaging
from server.domains.integrations import StoppedEndpoint
from server.web.context import MemberVisit
from server.web.desk import AWAY, HELD

WEBHOOKS = "/settings/webhooks"
STOPPED = {"gone": "alarms.webhook.gone", "failing": "alarms.webhook.failing"}


@dataclass(frozen=True)
class Alarm:
    """One thing that stands still; `href` is where an owner puts it right, in the words of `link`."""

    text: str
    href: str
    link: str


async def read_alarms(session: Session, visit: MemberVisit) -> list[Alarm]:
    """Return what a business's people have to look at, what keeps customers waiting first."""
    business_id = visit.login.business_id
    held = await messaging.list_holds(session, await messaging.list_channels(session))
    away = [one for one in await messaging.list_away(session) if one.channel_id not in held]
    stopped = await integrations.list_stopped(session, business_id)
    notices = await assistant.list_notices(session, business_id)
    words = visit.words
    settle = words("desk.held.settle")
    return [
        *(
            Alarm(words(HELD[meaning]), "/settings/channels", settle)
            for meaning in sorted({hold.meaning for hold in held.values()})
        ),
        *(
            Alarm(words(AWAY[reason]), "/settings/channels", settle)
            for reason in {one.reason for one in away}
        ),
        *_stopped(visit, stopped),
        *([Alarm(words("alarms.notices"), "/settings/assistant", words("alarms.read"))] if notices else []),
    ]


def _stopped(visit: MemberVisit, stopped: Sequence[StoppedEndpoint]) -> list[Alarm]:
    words = visit.words
    match stopped:
        case []:
            return []
        case [one]:
            told = words(STOPPED[one.state], host=urlsplit(one.url).hostname or "")
            return [Alarm(told, f"{WEBHOOKS}/{one.id}", words("alarms.look"))]
        case _:
            return [Alarm(words("alarms.webhooks", n=str(len(stopped))), WEBHOOKS, words("alarms.look"))]
