"""The two ways a customer can be on WhatsApp with the business, behind one face."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from simulator import bridge_contents, cloud_contents, cloud_envelopes, envelopes
from simulator.cloud_envelopes import Person, Sent
from simulator.cloud_number import CloudNumber, new_wamid
from simulator.envelopes import Identity, Written
from simulator.errors import BadInputError
from simulator.jsontypes import Json
from simulator.phone import PhoneMessage, new_message_id
from simulator.said import META_ALONE, Place, Said
from simulator.webhooks import WebhookPoster
from simulator.world import World


class Channel(StrEnum):
    """The way a customer is reached."""

    BRIDGE = "bridge"
    CLOUD = "cloud"


class Line(Protocol):
    """One channel with one customer at its other end."""

    @property
    def someone(self) -> Identity | Person:
        """Who the customer is."""

    @property
    def poster(self) -> WebhookPoster:
        """What posts to the business's webhook."""

    def new_id(self) -> str:
        """Make a message id as this channel does."""

    def said(
        self, written: Sequence[tuple[str, datetime, Said]], *, place: Place, is_history: bool
    ) -> list[Json]:
        """Build one envelope of what the customer said, and of its twin under another address."""

    def echoed(self, message_id: str, at: datetime, said: Said) -> Json:
        """Build the envelope of what the owner said on their own phone."""

    def read(self, messages: Sequence[PhoneMessage]) -> list[Json]:
        """Build the reports that the customer read these messages."""

    def note(self, at: datetime) -> None:
        """Remember that the customer wrote."""


class BridgeLine:
    """A customer of the bridge; `under_both` posts everything under the phone's address as well."""

    def __init__(self, world: World, identity: Identity, *, under_both: bool = False) -> None:
        self._world = world
        self._tenant = world.settings.tenant
        self._under_both = under_both
        self.someone: Identity = identity
        self.poster = world.webhooks

    def new_id(self) -> str:
        """Make a WhatsApp Web id."""
        return new_message_id()

    def said(
        self, written: Sequence[tuple[str, datetime, Said]], *, place: Place, is_history: bool
    ) -> list[Json]:
        """Build one envelope, and the same once more under the phone where that is asked for."""
        jid = self.someone.jid
        told = [Written(id_, at, bridge_contents.content(said, jid)) for id_, at, said in written]
        addresses = [self.someone]
        if self._under_both:
            addresses.append(Identity(self.someone.phone, None, self.someone.name))
        return [
            envelopes.customer_messages(self._tenant, identity, told, place=place, is_history=is_history)
            for identity in addresses
        ]

    def echoed(self, message_id: str, at: datetime, said: Said) -> Json:
        """Build a `fromMe` message."""
        jid = self.someone.jid
        content = bridge_contents.content(said, jid)
        return envelopes.own_echo(self._tenant, jid, message_id=message_id, at=at, content=content)

    def read(self, messages: Sequence[PhoneMessage]) -> list[Json]:
        """Build receipts, unless the bridge sends none."""
        if not self._world.receipts:
            return []
        jid, read = self.someone.jid, envelopes.READ_ACK
        return [
            envelopes.receipt(self._tenant, jid, message_id=message.id, status=read) for message in messages
        ]

    def note(self, at: datetime) -> None:
        """Do nothing: a bridge has no window."""


class CloudLine:
    """A customer of the Cloud number."""

    def __init__(self, number: CloudNumber, person: Person) -> None:
        self._number = number
        self._connection = number.connection
        self.someone: Person = person
        self.poster = number.webhooks

    def new_id(self) -> str:
        """Make one of Meta's ids."""
        return new_wamid()

    def said(
        self, written: Sequence[tuple[str, datetime, Said]], *, place: Place, is_history: bool
    ) -> list[Json]:
        """Build one envelope; a Cloud number hears of no groups and stories."""
        if place is not Place.PERSON:
            raise BadInputError(f"A Cloud number has no {place}: use the bridge.")
        told = [Written(id_, at, self._content(said)) for id_, at, said in written]
        return [
            cloud_envelopes.customer_messages(self._connection, self.someone, told, is_history=is_history)
        ]

    def echoed(self, message_id: str, at: datetime, said: Said) -> Json:
        """Build a `smb_message_echoes` change."""
        return cloud_envelopes.owner_echo(
            self._connection, self.someone, message_id=message_id, at=at, content=self._content(said)
        )

    def read(self, messages: Sequence[PhoneMessage]) -> list[Json]:
        """Build the `read` statuses, unless the number was told to send none."""
        if not self._number.sends_receipts:
            return []
        now = datetime.now(UTC)
        reports = [message.report for message in messages if isinstance(message.report, Sent)]
        return [cloud_envelopes.status(self._connection, sent, status="read", at=now) for sent in reports]

    def note(self, at: datetime) -> None:
        """Open the window."""
        self._number.note_customer(self.someone.chat, at)

    def _content(self, said: Said) -> Json:
        return cloud_contents.content(said, self._connection.display_phone_number)


Customer: TypeAlias = Identity | Person


def line_to(world: World, customer: Customer, *, under_both: bool = False) -> Line:
    """Return the line to a customer; raises BadInputError before the Cloud number is connected."""
    if isinstance(customer, Person):
        return CloudLine(world.cloud, customer)
    return BridgeLine(world, customer, under_both=under_both)


def check_kind(customer: Customer, said: Said) -> None:
    """Raise BadInputError for what this customer's channel does not have."""
    if isinstance(customer, Identity) and said.kind in META_ALONE:
        raise BadInputError(f"{said.kind} is Meta's alone: use channel cloud.")
    if isinstance(customer, Person) and said.is_ephemeral:
        raise BadInputError("ephemeral is the bridge's alone: Meta turns it off for businesses.")
