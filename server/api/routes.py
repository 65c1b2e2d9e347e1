"""Every URL of machines on one page; pages for people are listed in `web/routes.py`."""

from __future__ import annotations

from starlette.routing import Route

from server.api.bridge_status import BridgeStatusWebhook
from server.api.cloud_webhook import WhatsappCloudWebhook
from server.api.lead_forms import LeadFormWebhook
from server.api.refusals import Refusals
from server.api.webhooks import WhatsappBridgeWebhook
from server.db import Database
from server.domains.messaging import Doors, Receiver
from server.ports import Outside


def api_routes(database: Database, receiver: Receiver, doors: Doors, outside: Outside) -> list[Route]:
    """Return what providers post to; a path without parts that vary is served before any framework."""
    refusals = Refusals()
    bridge = WhatsappBridgeWebhook(receiver, outside.channels["whatsapp_bridge"], refusals)
    status = BridgeStatusWebhook(database, refusals)
    cloud = WhatsappCloudWebhook(receiver, doors, outside, refusals)
    leads = LeadFormWebhook(database, refusals)
    return [
        Route("/webhook/whatsapp/incoming", bridge, methods=["POST"]),
        Route("/api/whatsapp/webhook/incoming", bridge, methods=["POST"]),
        Route("/webhook/whatsapp/status", status, methods=["POST"]),
        Route("/api/internal/whatsapp/status-webhook", status, methods=["POST"]),
        Route("/webhook/whatsapp/cloud/{channel_id:uuid}", cloud, methods=["GET", "POST"]),
        Route("/api/webhook/leads/{form}", leads, methods=["POST"]),
        Route("/api/webhooks/leads/{form}", leads, methods=["POST"]),
    ]
