"""Recorded samples of real channels, each read as `expected.json` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from server.ports import ChannelEvent, EventKind, IdentityKind, MessageChannel
from server.providers.whatsapp_bridge import WhatsappBridge
from server.providers.whatsapp_cloud import WhatsappCloud

FIXTURES = Path(__file__).parents[1] / "fixtures" / "whatsapp"
EXPECTED: dict[str, Any] = orjson.loads((FIXTURES / "expected.json").read_bytes())
SAMPLES = sorted(name for name in EXPECTED if name.endswith(".json"))


@pytest.fixture
async def channels():
    async with httpx.AsyncClient() as http:
        cloud: MessageChannel = WhatsappCloud(http, base_url="http://127.0.0.1:1", version="v23.0")
        yield {"bridge": WhatsappBridge(http), "cloud": cloud}


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_channels_sample_is_read_as_expected(channels, name):
    channel = channels[name.split("/")[0]]
    events = channel.split(orjson.loads((FIXTURES / name).read_bytes()))

    told = [as_expected(channel.read(event.payload)) for event in events]

    assert [trimmed(one, wanted) for one, wanted in zip(told, EXPECTED[name], strict=True)] == EXPECTED[name]


def trimmed(told: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Keep what the sample speaks of; what it does not mention must be absent."""
    return {key: told[key] for key in wanted} | {
        key: value for key, value in told.items() if key not in wanted and key in STRICT and value
    }


STRICT = {"phone", "lid", "text", "quotes", "target", "choice_id", "takeover"}


def as_expected(event: ChannelEvent) -> dict[str, Any]:
    identities = event.sender.identities if event.sender else {}
    readable = event.kind is not EventKind.UNREADABLE
    code = {"code": int(event.details["code"])} if "code" in event.details else {}
    return (
        dict(event.details)
        | code
        | {
            "kind": event.kind,
            "provider_id": event.provider_id if readable else None,
            "text": event.text,
            "phone": identities.get(IdentityKind.PHONE),
            "lid": identities.get(IdentityKind.LID),
            "business_scoped_id": identities.get(IdentityKind.BUSINESS_SCOPED_ID),
            "username": identities.get(IdentityKind.USERNAME),
            "status": event.status,
            "may_be_answered": event.may_be_answered,
            "quotes": event.quoted_id,
            "target": event.target_id,
            "chat": event.chat,
            "direction": "out" if event.from_us else "in",
            "takeover": event.from_us and event.kind is not EventKind.STATUS,
            "sent_at": event.sent_at and event.sent_at.isoformat().replace("+00:00", "Z"),
        }
    )
