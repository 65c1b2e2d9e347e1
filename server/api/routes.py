"""Every URL of machines on one page; pages for people are listed in `web/routes.py`."""

from __future__ import annotations

from starlette.routing import Route

from server.api.webhooks import WhatsappBridgeWebhook
from server.domains.messaging.receiving import Receiver
from server.ports import Outside


def api_routes(receiver: Receiver, outside: Outside) -> list[Route]:
    """Return what providers post to; their paths have no parts that vary."""
    bridge = WhatsappBridgeWebhook(receiver, outside.channels["whatsapp_bridge"])
    return [
        Route("/webhook/whatsapp/incoming", bridge, methods=["POST"]),
        Route("/api/whatsapp/webhook/incoming", bridge, methods=["POST"]),
    ]
