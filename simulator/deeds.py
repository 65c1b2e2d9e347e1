"""What happens on the phones when somebody says something: bubbles, and what the webhook hears."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from simulator.behaviours import FIRST_REFUSAL
from simulator.jsontypes import Json
from simulator.lines import Line, check_kind, line_to
from simulator.phone import Direction, PhoneMessage, State
from simulator.phone_orders import Order
from simulator.said import CHANGES, FILES, File, Kind, Quoted, Said
from simulator.samples import sample_file, seconds_of
from simulator.webhooks import WebhookPoster
from simulator.world import World

Spoken = tuple[str, datetime, Said]


async def customer_says(world: World, order: Order, *, base_url: str) -> Json:
    """Say it as the customer; returns when the webhook has answered the first try of each message."""
    line = line_to(world, order.customer, under_both=order.under_both)
    spoken = _spoken(world, order, line, base_url=base_url)
    # Built before anything shows: what the channel does not have leaves no trace.
    batches = [spoken] if order.is_batch else [[one] for one in spoken]
    posts = [(batch, line.said(batch, place=order.place, is_history=order.is_history)) for batch in batches]
    world.phones.remember(line.someone)
    line.note(spoken[-1][1])
    bubbles = {id_: _show_sent(world, order, id_=id_, at=at, said=said) for id_, at, said in spoken}
    statuses = [
        await _post(
            world,
            line.poster,
            [bubbles[id_] for id_, _, _ in batch],
            envelopes * order.copies,
        )
        for batch, envelopes in (reversed(posts) if order.is_reversed else posts)
    ]
    return {"ids": [id_ for id_, _, _ in spoken], "webhook_status": _worst(statuses)}


async def owner_says(world: World, order: Order, *, base_url: str) -> Json:
    """Say it as the owner on their own phone: the customer sees it, and the webhook hears the echo."""
    line = line_to(world, order.customer)
    spoken = _spoken(world, order, line, base_url=base_url)
    echoes = [line.echoed(*one) for one in spoken]
    world.phones.remember(line.someone)
    for id_, at, said in spoken:
        _show_received(world, order, id_=id_, at=at, said=said)
    statuses = [
        await _post(world, line.poster, [], [echo] * order.copies)
        for echo in (reversed(echoes) if order.is_reversed else echoes)
    ]
    return {"ids": [id_ for id_, _, _ in spoken], "webhook_status": _worst(statuses)}


def _spoken(world: World, order: Order, line: Line, *, base_url: str) -> list[Spoken]:
    """List what is said in the order of writing, a second apart as WhatsApp counts."""
    said = _said(world, order, base_url=base_url)
    check_kind(order.customer, said)
    count = len(order.texts)
    last = datetime.now(UTC) - timedelta(seconds=order.late_s)
    return [
        (
            order.provider_id or line.new_id(),
            last - timedelta(seconds=count - 1 - place),
            replace(said, text=text),
        )
        for place, text in enumerate(order.texts)
    ]


def _said(world: World, order: Order, *, base_url: str) -> Said:
    return Said(
        kind=order.kind,
        file=_file(world, order, base_url=base_url) if order.kind in FILES else None,
        choice=order.choice,
        quoted=_quoted(world, order.quotes),
        target=_quoted(world, order.target),
        details=order.details or {},
        is_view_once=order.is_view_once,
        is_ephemeral=order.is_ephemeral,
    )


def _file(world: World, order: Order, *, base_url: str) -> File:
    data, mimetype, file_name = sample_file(order.kind)
    if order.upload:
        data, mimetype, file_name = order.upload.data, order.upload.mimetype, order.upload.file_name
    stored = world.media.add(data, mimetype)
    return File(
        id=stored.id,
        url=f"{base_url}sim/media/{stored.name}",
        mimetype=mimetype,
        size_bytes=len(data),
        sha256=stored.sha256,
        file_name=file_name,
        seconds=seconds_of(order.kind),
    )


def _quoted(world: World, message_id: str | None) -> Quoted | None:
    if message_id is None:
        return None
    bubble = world.phones.find(message_id)
    # What the phone does not know was the business's: nobody else's message can be answered here.
    by_business = bubble is None or bubble.direction is Direction.RECEIVED
    return Quoted(message_id, by_business, bubble.text if bubble else "")


def _bubble(order: Order, *, id_: str, at: datetime, said: Said) -> PhoneMessage:
    flags = {
        "view_once": said.is_view_once,
        "ephemeral": said.is_ephemeral,
        "history": order.is_history,
    }
    details = said.details | {name: True for name, is_set in flags.items() if is_set}
    if order.place != "person":
        details["place"] = str(order.place)
    if said.file:
        details |= {"file_name": said.file.file_name, "mimetype": said.file.mimetype}
    return PhoneMessage(
        id=id_,
        chat=order.customer.chat,
        direction=Direction.SENT,
        kind=said.kind,
        text=said.choice.title if said.choice else said.text,
        at=at,
        state=State.SENDING,
        url=said.file.url if said.file else None,
        note=_note(order),
        quotes=said.quoted.id if said.quoted else None,
        details=details,
    )


def _note(order: Order) -> str | None:
    if order.copies > 1 or order.under_both:
        return "twice"
    if order.is_reversed:
        return "reordered"
    return "late" if order.late_s else None


def _show_sent(world: World, order: Order, *, id_: str, at: datetime, said: Said) -> PhoneMessage:
    bubble = _bubble(order, id_=id_, at=at, said=said)
    if said.kind in CHANGES:
        _change(world, Direction.SENT, said)
    else:
        world.phones.show(bubble)
    return bubble


def _show_received(world: World, order: Order, *, id_: str, at: datetime, said: Said) -> None:
    if said.kind in CHANGES:
        _change(world, Direction.RECEIVED, said)
        return
    bubble = _bubble(order, id_=id_, at=at, said=said)
    bubble.direction, bubble.state = Direction.RECEIVED, State.RECEIVED
    world.phones.show(bubble)


def _change(world: World, direction: Direction, said: Said) -> None:
    """Show a reaction, an edit or a deletion on the bubble it is about, if the phone has it."""
    target = world.phones.find(said.target.id) if said.target else None
    if target is None:
        return
    match said.kind:
        case Kind.REACTION:
            world.phones.react(target, direction, said.text)
            return
        case Kind.EDIT:
            target.text, target.is_edited = said.text, True
        case _:
            target.is_deleted = True
    world.phones.change(target)


async def _post(
    world: World, poster: WebhookPoster, bubbles: Sequence[PhoneMessage], envelopes: Sequence[Json]
) -> int | None:
    """Post every envelope at once and return the worst status; failures go on in the background."""

    def settle(status: int | None) -> None:
        delivered = status is not None and status < FIRST_REFUSAL
        advance(State.DELIVERED if delivered else State.FAILED)

    def advance(state: State) -> None:
        for bubble in bubbles:
            world.phones.advance(bubble, state)

    statuses = await asyncio.gather(*(poster.post(envelope) for envelope in envelopes))
    for envelope, status in zip(envelopes, statuses, strict=True):
        if poster.is_worth_retrying(status):
            advance(State.RETRYING)
            poster.retry_later(envelope, settle)
        else:
            settle(status)
    return _worst(statuses)


def _worst(statuses: Sequence[int | None]) -> int | None:
    return None if None in statuses else max(status for status in statuses if status is not None)
