"""Sending one message of ours, whoever wrote it: within the window, once, and shown as what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from server.db import Session
from server.domains.messaging import own, queries, refusing, sendings, windows
from server.domains.messaging.connecting import find_account
from server.domains.messaging.stored import StoredMessage
from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError
from server.ports import ChannelAccount, DeliveryStatus, MessageChannel, Outgoing, OutgoingTemplate
from server.queue import Account, EffectResult, Run, abandon_effect


@dataclass(frozen=True)
class Parcel:
    """A message of ours that is recorded and planned; `address` is where, word for word as received."""

    conversation_id: UUID
    channel_id: UUID
    channel_kind: str
    message_id: UUID
    effect_key: str
    address: str


@dataclass(frozen=True)
class Route:
    """How a parcel goes out; `is_closed` when its channel's window lets it out no more."""

    account: ChannelAccount
    is_closed: bool


async def find_route(run: Run, session: Session, parcel: Parcel, outgoing: Outgoing) -> Route:
    """Read how a parcel goes out, just before it does; one that may go out no more is called off."""
    channel = run.outside.channels[parcel.channel_kind]
    account = await find_account(session, parcel.channel_id, run.outside.open_secret)
    return Route(account, await _keep_in(session, channel, parcel, outgoing))


async def deliver(
    run: Run, parcel: Parcel, outgoing: Outgoing, route: Route, *, also: Callable[[Session], Awaitable[None]]
) -> None:
    """Send a message at most once over all runs, and complete the job together with what `also` writes.

    Raises ProviderDownError when the provider took nothing and the sending may be tried again; Busy,
    which uses no attempt, while the account is held.
    """
    if route.is_closed:
        async with run.completing() as session:
            await also(session)
        return
    channel = run.outside.channels[parcel.channel_kind]
    try:
        result, refused = await _send(run, channel, route.account, parcel, outgoing)
    except ProviderBusyError:
        raise
    except ProviderDownError as error:
        if run.is_last_attempt:
            await _give_up(run, parcel, str(error))
        raise
    async with run.completing() as session:
        await queries.lock_conversation(session, parcel.conversation_id)
        message = await get(session, parcel.message_id)
        await own.fold_result(session, channel, message, result, refused)
        await also(session)


async def _send(
    run: Run, channel: MessageChannel, account: ChannelAccount, parcel: Parcel, outgoing: Outgoing
) -> tuple[EffectResult, refusing.Refused | None]:
    refused = None
    called = Account(parcel.channel_kind, str(parcel.channel_id))
    async with run.effect(parcel.effect_key, account=called) as effect:
        if effect.goes_out:
            try:
                sent = await channel.send(account, outgoing, to=parcel.address, key=parcel.effect_key)
            except ProviderRefusedError as error:
                refused = refusing.read(error)
                raise
            effect.accept(sent)
    return effect.result, refused


async def _keep_in(session: Session, channel: MessageChannel, parcel: Parcel, outgoing: Outgoing) -> bool:
    """Call off what the channel's window does not let out; tell whether that was done."""
    if channel.window is None or isinstance(outgoing, OutgoingTemplate):
        return False
    window = await windows.read(session, parcel.conversation_id, channel.window)
    if window.is_open:
        return False
    await queries.lock_conversation(session, parcel.conversation_id)
    # The message before its effect, as whoever reads a receipt locks them.
    message = await sendings.lock_sending(session, parcel.effect_key)
    called_off = await abandon_effect(session, key=parcel.effect_key, reason=windows.CLOSED)
    if message is None or not called_off:
        return False
    await own.show(session, message, DeliveryStatus.FAILED, windows.CLOSED)
    await queries.mark_needs_person(session, parcel.conversation_id)
    return True


async def _give_up(run: Run, parcel: Parcel, reason: str) -> None:
    """Show people a message that could not be sent, before the job fails with the same reason."""
    async with run.step() as session:
        await queries.lock_conversation(session, parcel.conversation_id)
        await queries.mark_needs_person(session, parcel.conversation_id)
        await own.show(session, await get(session, parcel.message_id), DeliveryStatus.FAILED, reason)


async def get(session: Session, message_id: UUID) -> StoredMessage:
    """Return a message of this run by our own id; LookupError where it is gone."""
    message = await queries.get_message(session, message_id)
    if message is None:
        raise LookupError("a message of this run is gone")
    return message
