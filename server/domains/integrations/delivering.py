"""One try at telling one endpoint one event, and what follows from it.

A webhook is told at least once: each try is an effect of its own, and what a try may have told is tried
again under the same id, by which the receiver knows it. The log keeps what came of every one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson

from server import clock
from server.db import Session
from server.domains.integrations import queries
from server.domains.integrations.queries import Attempted, Task
from server.domains.integrations.rules import (
    ANSWER_KEPT,
    FAILING,
    LONGEST_PATIENCE_S,
    ROUND,
    Signed,
    Verdict,
    attempt_key,
    body_of,
    headers_of,
    verdict_of,
    wait_s,
    why_not,
)
from server.errors import (
    ProviderBusyError,
    ProviderDownError,
    ProviderError,
    ProviderRefusedError,
    Snooze,
)
from server.log import get_logger
from server.ports import Accepted, Posted, WebhookPoster
from server.queue import (
    Account,
    Changed,
    EffectResult,
    EffectState,
    GivenUp,
    Run,
    abandon_effect,
    enqueue,
    plan_effect,
    settle_effect,
)
from server.queue.catalog import WebhookDeliver

log = get_logger(__name__)

PROVIDER = "webhook"
ENDPOINT_OFF = "not sent: the endpoint is off"
TOO_LONG = "given up: the endpoint took nothing for a day"
NOT_KNOWN = "the process that sent it ended, and nobody knows whether it arrived"
PATIENCE_S = 30.0


@dataclass
class Try:
    """One try while it is made: what is known of it so far."""

    task: Task
    number: int
    made: Attempted | None = None
    asked_s: float | None = None

    @property
    def key(self) -> str:
        """Return the key of its effect."""
        return attempt_key(self.task.id, self.number)


async def deliver(run: Run, delivery_id: UUID, number: int) -> None:
    """Make one try of a delivery and plan the next one where it failed; a second time changes nothing."""
    async with run.step() as session:
        task = await queries.read_task(session, delivery_id)
        if task is None or task.state != "waiting" or task.tries != number:
            return
        why_never = _why_never(task)
        if why_never is not None:
            await queries.end_delivery(session, delivery_id, number, "failed", why_never)
            session.outbox.append(Changed(task.business_id, "webhook", task.endpoint_id))
            return
        one = Try(task, number)
        await plan_effect(
            session, key=one.key, business_id=task.business_id, provider=PROVIDER, job_id=run.job_id
        )
    result = await _send(run, one)
    async with run.completing() as session:
        await _conclude(session, one, result)


def _why_never(task: Task) -> str | None:
    """Return why a delivery is not even tried, if so."""
    if task.endpoint_state != "on":
        return ENDPOINT_OFF
    return TOO_LONG if clock.utc_now() - task.round_at > ROUND else None


async def _send(run: Run, one: Try) -> EffectResult:
    """Post the event unless this try was made before; return what is known of it.

    Raises Snooze, and uses no try, while the endpoint is not called at all.
    """
    name, poster = str(one.task.endpoint_id), run.outside.webhooks
    if poster is None:
        raise LookupError("this process was given nothing that posts webhooks")
    if not poster.has_room(name):
        raise Snooze("as many are on their way to this endpoint as may be at once", for_s=1)
    try:
        async with run.effect(one.key, account=Account(PROVIDER, name)) as effect:
            if effect.goes_out:
                await _post(run, poster, one)
                effect.accept(Accepted(_signed(run, one.task).webhook_id))
    except ProviderBusyError as busy:
        if one.made is None:
            patience_s = min(PATIENCE_S * run.token, LONGEST_PATIENCE_S)
            raise Snooze(str(busy), for_s=max(busy.retry_after_s, patience_s)) from busy
        return EffectResult(EffectState.PLANNED)
    except ProviderDownError:
        return EffectResult(EffectState.PLANNED)
    return effect.result


async def _post(run: Run, poster: WebhookPoster, one: Try) -> None:
    """Post, note what came of it, and raise the ProviderError that says the same to the effect ledger."""
    signed, began_s = _signed(run, one.task), clock.monotonic_s()
    headers, name = headers_of(signed, clock.utc_now()), str(one.task.endpoint_id)
    try:
        posted = await poster.post(one.task.url, body=signed.body, headers=headers, name=name)
    except ProviderError as error:
        one.made = Attempted(duration_ms=_ms_since(began_s), error=str(error))
        raise
    _judge(one, posted, _ms_since(began_s))


def _judge(one: Try, posted: Posted, duration_ms: int) -> None:
    verdict = verdict_of(posted.status, retry_after_s=posted.retry_after_s)
    error = None if verdict is Verdict.DELIVERED else why_not(posted.status, posted.answer)
    one.made = Attempted(posted.status, duration_ms, error, posted.answer[:ANSWER_KEPT])
    one.asked_s = posted.retry_after_s
    match verdict:
        case Verdict.DELIVERED:
            return
        case Verdict.GONE:
            raise ProviderRefusedError(str(error))
        case Verdict.BUSY:
            raise ProviderBusyError(str(error), retry_after_s=posted.retry_after_s or 1.0)
        case Verdict.AGAIN:
            raise ProviderDownError(str(error))


def _signed(run: Run, task: Task) -> Signed:
    sealed = [task.secret_encrypted, task.older_secret_encrypted]
    return Signed(
        id=task.event_id,
        type=task.type,
        body=body_of(task.type, task.created_at, orjson.loads(task.data)),
        secrets=[run.outside.open_secret(one) for one in sealed if one is not None],
    )


def _ms_since(began_s: float) -> int:
    return round(1000 * (clock.monotonic_s() - began_s))


async def _conclude(session: Session, one: Try, result: EffectResult) -> None:
    """Write the try into the log, and end its delivery or plan the next try."""
    task, number = one.task, one.number
    session.outbox.append(Changed(task.business_id, "webhook", task.endpoint_id))
    if result.was_sent:
        await queries.record_attempt(session, task.id, number, one.made or Attempted())
        await queries.end_delivery(session, task.id, number, "delivered", None)
        await queries.note_recovered(session, task.endpoint_id)
        return
    made = one.made or Attempted(error=result.reason or NOT_KNOWN)
    await queries.record_attempt(session, task.id, number, made)
    await _close_effect(session, one.key, result.state, made.error or NOT_KNOWN)
    await _note_failure(session, task, made)
    wait = None
    if result.state is not EffectState.FAILED:
        wait = wait_s(number - task.round_from, dice=random.random(), asked_s=one.asked_s)  # noqa: S311 -- decides nothing secret
    if wait is None:
        await queries.end_delivery(session, task.id, number, "failed", made.error)
        return
    await _plan_next(session, one, made.error, timedelta(seconds=wait))


async def _plan_next(session: Session, one: Try, reason: str | None, wait: timedelta) -> None:
    task = one.task
    following = await queries.plan_next_try(session, task.id, one.number, reason=reason, wait=wait)
    if following is not None:
        payload = WebhookDeliver(task.id, following)
        await enqueue(session, payload, business_id=task.business_id, due_in=wait)


async def _close_effect(session: Session, key: str, state: EffectState, reason: str) -> None:
    """Let nobody look for what became of this try: the next one tells the same."""
    if state is EffectState.UNKNOWN:
        await settle_effect(session, key=key, state=EffectState.ABANDONED)
    else:
        await abandon_effect(session, key=key, reason=reason)


async def _note_failure(session: Session, task: Task, made: Attempted) -> None:
    if made.status is not None and verdict_of(made.status, retry_after_s=None) is Verdict.GONE:
        is_off = await queries.turn(session, task.endpoint_id, "gone")
    else:
        is_off = await queries.note_failed(session, task.endpoint_id, FAILING)
    if is_off:
        log.warning("webhook_endpoint_turned_off", endpoint_id=str(task.endpoint_id), status=made.status)


async def give_up(session: Session, delivery_id: UUID, number: int, given_up: GivenUp) -> None:
    """Show that a delivery's job ended without its last word; it can be told again on its page."""
    reason = f"its job ended: {given_up.state}"
    await queries.end_delivery(session, delivery_id, number, "failed", reason)
