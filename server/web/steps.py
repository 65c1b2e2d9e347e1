"""The way of one message, told in seven steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.domains import messaging
from server.domains.messaging.pages import Journey


class State(StrEnum):
    """How a step stands."""

    DONE = "done"
    NOW = "now"
    TODO = "todo"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One step; `note` is the key of a sentence, `detail` what a provider or a person reads beside it."""

    name: str
    state: State
    at: datetime | None = None
    note: str | None = None
    detail: str | None = None


NAMES = ("received", "stored", "enqueued", "running", "drafted", "sent", "delivered")
GIVEN_UP = frozenset(messaging.GIVEN_UP)
# Why an answer did not go out where it was not the provider who refused it.
CALLED_OFF = frozenset({*messaging.GIVEN_UP.values(), messaging.NOT_GONE_OUT, messaging.NOBODY_KNOWS})
SENT = frozenset({"sent", "delivered", "read"})
DELIVERED = frozenset({"delivered", "read"})


def tell_steps(journey: Journey) -> list[Step]:
    """Return the seven steps; a moment never lies before the one of the step it follows."""
    told: list[Step] = []
    latest = journey.received_at
    for step in _complete(_moments(journey), _obstacle(journey)):
        if step.at is not None:
            latest = max(latest, step.at)
        told.append(Step(step.name, step.state, latest if step.at else None, step.note, step.detail))
    return told


def _moments(journey: Journey) -> dict[str, datetime | None]:
    dispatched = journey.dispatched_at
    # A retry is dispatched anew; what the strip tells is the first way into the queue.
    if dispatched and journey.started_at:
        dispatched = min(dispatched, journey.started_at)
    was_sent = journey.effect_state in {"sent", "confirmed"} or journey.answer_status in SENT
    return {
        "received": journey.received_at,
        "stored": journey.received_at,
        "enqueued": dispatched or journey.started_at,
        "running": journey.started_at,
        "drafted": journey.drafted_at,
        "sent": (journey.sent_at or journey.answer_status_at) if was_sent else None,
        "delivered": journey.answer_status_at if journey.answer_status in DELIVERED else None,
    }


def _obstacle(journey: Journey) -> Step:
    """Say what the first step that is not done waits for, or why it will not come."""
    answer = {journey.effect_state, journey.answer_status}
    told = (
        (
            journey.answer_status == "failed" and journey.answer_reason in CALLED_OFF,
            Step("", State.FAILED, note="steps.called_off", detail=journey.answer_reason),
        ),
        ("failed" in answer, Step("", State.FAILED, note="steps.not_sent", detail=journey.answer_reason)),
        ("unknown" in answer, Step("", State.UNKNOWN, note="steps.checking")),
        (journey.event_state == "unreadable", Step("", State.FAILED, note="steps.unreadable")),
        (journey.job_state == "cancelled", Step("", State.FAILED, note="steps.cancelled")),
        (journey.job_state in GIVEN_UP, Step("", State.FAILED, note="steps.gave_up")),
        (
            journey.job_state == "done" and journey.drafted_at is None,
            Step("", State.SKIPPED, note="steps.no_answer"),
        ),
        (
            journey.job_state == "ready" and journey.attempts > 0,
            Step("", State.NOW, note="steps.trying_again"),
        ),
        (
            journey.job_state == "ready" and journey.dispatched_at is None,
            Step("", State.NOW, note="steps.waits_for_queue"),
        ),
    )
    return next((step for applies, step in told if applies), Step("", State.NOW))


def _complete(moments: dict[str, datetime | None], obstacle: Step) -> Iterator[Step]:
    last_done = max(place for place, name in enumerate(NAMES) if moments[name] is not None)
    for place, name in enumerate(NAMES):
        if place <= last_done:
            yield Step(name, State.DONE, moments[name])
        elif place == last_done + 1:
            yield Step(name, obstacle.state, None, obstacle.note, obstacle.detail)
        else:
            yield Step(name, State.SKIPPED if obstacle.state is State.SKIPPED else State.TODO)
