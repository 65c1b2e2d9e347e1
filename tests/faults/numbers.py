"""The demo business's number at Meta, for tests that break what lies between."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import httpx

from server.db import Database
from server.domains import messaging
from server.roles import ROLES, Role
from server.stack.demo import Demo, connect_simulated_number
from simulator import cloud_envelopes
from simulator.cloud_control import parse_connection
from simulator.cloud_envelopes import Person, user_id_of
from simulator.cloud_number import Connection, sealed
from simulator.envelopes import Written
from simulator.jsontypes import Json
from tests.engine import BUSINESS
from tests.faults.stories import Deed, Told
from tests.processes import PAGE, SECRET, Installation


@dataclass(frozen=True)
class Number:
    """The number's channel, and what the simulated Meta was told of it."""

    channel_id: str
    connection: Connection

    @property
    def path(self) -> str:
        """Where its webhooks go, on any api."""
        return f"/webhook/whatsapp/cloud/{self.channel_id}"


async def connect_number(house: Installation) -> Number:
    """Give the demo business its number, at Meta too; once more gives it new secrets at both ends."""
    where = house.addresses
    told = await connect_simulated_number(
        Demo(
            database_url=where.database_url,
            secret_key=where.secret_key,
            public_url=where.public_url,
            simulator_url=where.simulator_url,
            bridge_secret=SECRET,
        )
    )
    channel_id = told.pop("channel_id")
    url = f"{where.public_url}/webhook/whatsapp/cloud/{channel_id}"
    number = Number(channel_id, parse_connection({"webhook_url": url, **told}))
    await _agree(house, number.connection)
    return number


async def revoke_token(house: Installation, number: Number) -> None:
    """Have Meta refuse the token that we have, with its code 190."""
    await _agree(house, replace(number.connection, access_token=secrets.token_urlsafe()))


async def connect_again(house: Installation) -> Number:
    """Enter new secrets as the number's owner does on its page."""
    number = await connect_number(house)
    database = Database(house.addresses.database_url, role=ROLES[Role.API].database_role)
    try:
        async with database.transaction(BUSINESS) as session:
            [channel] = [one for one in await messaging.list_channels(session) if one.kind == messaging.CLOUD]
            await messaging.ask_to_reopen(session, BUSINESS, channel.id)
    finally:
        await database.aclose()
    return number


async def post(house: Installation, number: Number, envelope: Json, *, at: str = "") -> httpx.Response:
    """Post a webhook as Meta does, signed; `at` is the address of one of several apis."""
    content, headers = sealed(envelope, number.connection.app_secret)
    return await house.http.post(f"{at}{number.path}", content=content, headers=headers)


def envelope_of(number: Number, phone: str, told: Told) -> Json:
    """Return an event as Meta tells it, which knows no groups and takes nothing back."""
    person = Person(phone, user_id_of(phone), "דנה")
    match told.deed:
        case Deed.WRITES:
            content: Mapping[str, Any] = _text(told.text)
        case Deed.REACTS:
            reaction = {"message_id": told.target, "emoji": told.text}
            content = {"type": "reaction", "reaction": reaction}
        case Deed.OWNER_TYPES:
            return cloud_envelopes.owner_echo(
                number.connection, person, message_id=told.id, at=told.at, content=_text(told.text)
            )
        case Deed.EDITS | Deed.DELETES | Deed.GROUP:
            raise AssertionError(f"A number at Meta hears of nothing like {told.deed}")
    written = Written(told.id, told.at, dict(content))
    return cloud_envelopes.customer_messages(number.connection, person, [written])


def status_of(number: Number, send: Mapping[str, Any], *, message_id: str, at: datetime) -> Json:
    """Return what Meta reports of a message that it was asked to send: that it was delivered."""
    body = send["request"]["body"]
    sent = cloud_envelopes.Sent(
        message_id=message_id,
        recipient=body["to"],
        user_id=user_id_of(body["to"]),
        callback_data=body["biz_opaque_callback_data"],
        category="service",
    )
    return cloud_envelopes.status(number.connection, sent, status="delivered", at=at)


async def sends_at_meta(house: Installation) -> list[dict[str, Any]]:
    """Return every message that Meta was asked to send, in order; a page of calls at most."""
    wanted: dict[str, str | int] = {"provider": "whatsapp_cloud", "limit": PAGE}
    calls: list[dict[str, Any]] = (await house.simulator.get("/sim/calls", params=wanted)).json()
    return [
        call
        for call in calls
        if call["request"]["path"].endswith("/messages") and "to" in (call["request"]["body"] or {})
    ]


async def _agree(house: Installation, connection: Connection) -> None:
    answer = await house.simulator.post("/sim/cloud", json=asdict(connection))
    if not answer.raise_for_status().json()["verified"]:
        raise AssertionError("the api does not give Meta's challenge back")


def _text(words: str) -> Json:
    return {"type": "text", "text": {"body": words}}
