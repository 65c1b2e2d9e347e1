"""The demo business: a locksmith in Tel Aviv whose WhatsApp is the simulator's."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

from server.db import Database, Session
from server.db.tenancy import credential_digest
from server.domains import accounts, assistant, integrations, messaging
from server.errors import StartRefusedError
from server.roles import ROLES, Role
from server.secrets import Cipher
from server.stack.demo_knowledge import ENGLISH, HEBREW
from server.stack.programs import DEMO_BUSINESS_ID

N8N_PATH = "/n8n/webhook/prosaas"
NAME = "מנעולי דנה"
OWNER_EMAIL = "dana@example.test"
# The simulator's own, which no real number at Meta has.
PHONE_NUMBER_ID, WABA_ID = "106540352242922", "102290129340398"
OWNER_NAME = "דנה לוי"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Where the demo business lives, and how its bridge is reached."""

    database_url: str
    secret_key: str
    public_url: str
    simulator_url: str
    bridge_secret: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Demo:
        """Read what `prosaas up` passes on."""
        return cls(
            database_url=environ["DATABASE_URL"],
            secret_key=environ["SECRET_KEY"],
            public_url=environ["PUBLIC_URL"],
            simulator_url=environ["SIMULATOR_URL"],
            bridge_secret=environ["INTERNAL_SECRET"],
        )


async def seed(demo: Demo) -> str:
    """Make the business unless it is there, point its bridge at the simulator; returns an admin link.

    A second start leaves the business as its owner left it: only the bridge's address and
    secret follow the start.
    """
    database = _as_api(demo.database_url)
    try:
        async with _transaction(database) as session:
            owner_id = await _owner_of(session) or await _create(session)
            await messaging.connect_bridge(
                session,
                DEMO_BUSINESS_ID,
                base_url=f"{demo.simulator_url}/bridge",
                secret=demo.bridge_secret,
                tenant=f"business_{DEMO_BUSINESS_ID}",
                cipher=Cipher(demo.secret_key),
            )
            return await _link(session, owner_id, demo.public_url)
    finally:
        await database.aclose()


async def tell_simulated_n8n(demo: Demo) -> None:
    """Have the demo business tell the simulator's n8n what happens, at its address of this start.

    One that the owner turned off stays off; without any endpoint it is made anew.
    """
    url, cipher = f"{demo.simulator_url}{N8N_PATH}", Cipher(demo.secret_key)
    database = _as_api(demo.database_url)
    try:
        async with _transaction(database) as session:
            endpoints = await integrations.list_endpoints(session, DEMO_BUSINESS_ID)
            ours = next((one for one in endpoints if one.url.endswith(N8N_PATH)), None)
            if ours is not None and ours.url != url:
                await integrations.change_endpoint(
                    session, ours.id, url=url, events=ours.events, description=ours.description
                )
            if not endpoints:
                await integrations.add_endpoint(
                    session,
                    DEMO_BUSINESS_ID,
                    url=url,
                    events=integrations.EVENTS,
                    cipher=cipher,
                    description="n8n",
                )
    finally:
        await database.aclose()


async def connect_simulated_number(demo: Demo) -> dict[str, str]:
    """Give the demo business the simulator's number at Meta; returns what the simulator is told of it.

    Its secrets are new at each start; the owner's other channels stay as they are.
    """
    access_token, app_secret = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    cipher = Cipher(demo.secret_key)
    number = messaging.CloudNumber(
        phone_number_id=PHONE_NUMBER_ID, waba_id=WABA_ID, access_token=access_token, app_secret=app_secret
    )
    database = _as_api(demo.database_url)
    try:
        async with _transaction(database) as session:
            channel_id = await messaging.connect_cloud(
                session, DEMO_BUSINESS_ID, number=number, cipher=cipher
            )
            await messaging.ask_for_templates(session, DEMO_BUSINESS_ID, channel_id)
            channels = await messaging.list_channels(session)
    finally:
        await database.aclose()
    sealed = next(channel.verify_token_encrypted for channel in channels if channel.id == channel_id)
    return {
        "channel_id": str(channel_id),
        "access_token": access_token,
        "app_secret": app_secret,
        "verify_token": cipher.decrypt(sealed),
        "phone_number_id": PHONE_NUMBER_ID,
        "waba_id": WABA_ID,
    }


async def new_admin_link(database_url: str, public_url: str) -> str:
    """Make another one-time link for the demo business's owner."""
    database = _as_api(database_url)
    try:
        async with _transaction(database) as session:
            owner_id = await _owner_of(session)
            if owner_id is None:
                raise StartRefusedError("There is no demo business yet: start ./run once.")
            return await _link(session, owner_id, public_url)
    finally:
        await database.aclose()


def _as_api(database_url: str) -> Database:
    # As the api's role, so that row-level security holds here too.
    return Database(database_url, role=ROLES[Role.API].database_role)


def _transaction(database: Database) -> AbstractAsyncContextManager[Session]:
    return database.transaction(DEMO_BUSINESS_ID, credentials=[credential_digest(OWNER_EMAIL)])


async def _owner_of(session: Session) -> UUID | None:
    if await accounts.find_business(session, DEMO_BUSINESS_ID) is None:
        return None
    owner = await accounts.find_user_by_email(session, OWNER_EMAIL)
    if owner is None:
        raise StartRefusedError(
            f"Business {DEMO_BUSINESS_ID} of this database is not the demo: `prosaas up` is for a "
            "database of its own. Unset DATABASE_URL, or name another database."
        )
    return owner.id


async def _create(session: Session) -> UUID:
    await accounts.create_business(session, name=NAME, business_id=DEMO_BUSINESS_ID, language="he")
    for language, entries in (("he", HEBREW), ("en", ENGLISH)):
        for title, body in entries:
            await assistant.add_knowledge(
                session, DEMO_BUSINESS_ID, title=title, body=body, language=language
            )
    return await accounts.create_user(
        session, email=OWNER_EMAIL, name=OWNER_NAME, business_id=DEMO_BUSINESS_ID, role="owner"
    )


async def _link(session: Session, owner_id: UUID, public_url: str) -> str:
    token = await accounts.issue_entry_link(session, DEMO_BUSINESS_ID, owner_id)
    return f"{public_url}/enter/{token}"
