"""Every URL of machines on one page; pages for people are listed in `web/routes.py`."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp

from server.api.webhooks import WhatsappBridgeWebhook
from server.domains.messaging.receiving import Receiver
from server.ports import Outside


def webhooks(receiver: Receiver, outside: Outside) -> Mapping[str, ASGIApp]:
    """Return path → endpoint of what providers post."""
    bridge = WhatsappBridgeWebhook(receiver, outside.channels["whatsapp_bridge"])
    return {
        "/webhook/whatsapp/incoming": bridge,
        "/api/whatsapp/webhook/incoming": bridge,
    }
