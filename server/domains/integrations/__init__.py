"""What others are told of, and what their programs may ask: webhooks out, n8n, and the sending API."""

from server.domains.integrations.answered import Answer, answer_once
from server.domains.integrations.delivering import deliver, give_up
from server.domains.integrations.emitting import Happening, emit, emit_all
from server.domains.integrations.endpoints import (
    add_endpoint,
    change_endpoint,
    delete_endpoint,
    forget_old,
    look_at,
    replay,
    replay_failed,
    rotate_secret,
    send_test,
    turn_off,
    turn_on,
)
from server.domains.integrations.models import (
    ApiRequest,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from server.domains.integrations.reading import (
    StoppedEndpoint,
    find_endpoint,
    has_endpoint,
    list_endpoints,
    list_stopped,
    read_log,
)
from server.domains.integrations.rules import EVENTS, TEST

__all__ = [
    "EVENTS",
    "TEST",
    "Answer",
    "ApiRequest",
    "Happening",
    "StoppedEndpoint",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "add_endpoint",
    "answer_once",
    "change_endpoint",
    "delete_endpoint",
    "deliver",
    "emit",
    "emit_all",
    "find_endpoint",
    "forget_old",
    "give_up",
    "has_endpoint",
    "list_endpoints",
    "list_stopped",
    "look_at",
    "read_log",
    "replay",
    "replay_failed",
    "rotate_secret",
    "send_test",
    "turn_off",
    "turn_on",
]
