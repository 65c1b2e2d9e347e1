"""A number's templates as its owner sees them: how many may be sent, and why the others may not."""

from __future__ import annotations

from collections.abc import Sequence

from server.domains.messaging import CLOUD, Channel, Template
from server.ports import TemplateStatus
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


def templates_view(words: Words, channel: Channel, listed: Sequence[Template]) -> dict[str, object]:
    """Return what the list of channels says of a number's templates; a bridge needs none."""
    if channel.kind != CLOUD:
        return {"has_templates": False}
    of_channel = [one for one in listed if one.channel_id == channel.id]
    withheld = [one for one in of_channel if not one.may_be_sent]
    return {
        "has_templates": True,
        "sendable": words("channels.templates.sendable", n=f"{len(of_channel) - len(withheld)}"),
        "withheld": [
            {
                "name": inert(one.name),
                "language": inert(one.language),
                "state": words(STATES[TemplateStatus(one.status)]),
                "reason": inert(one.reason or ""),
            }
            for one in withheld
        ],
    }
