"""How far a message came, in seven steps, and what is said where it stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domains.messaging import GIVEN_UP
from server.domains.messaging.pages import Journey
from server.web.steps import NAMES, State, tell_steps
from server.web.text import duration, inert

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
STORED = Journey(
    event_id=UUID(int=1),
    provider_event_id="W1",
    event_state="stored",
    event_reason=None,
    conversation_id=None,
    received_at=START,
    job_state="ready",
    enqueued_at=START,
    dispatched_at=START,
    due_at=START,
    attempts=0,
    started_at=None,
    drafted_at=None,
    effect_state=None,
    sent_at=None,
    answer_status=None,
    answer_status_at=None,
    answer_reason=None,
)
RUNNING = replace(STORED, job_state="running", attempts=1, started_at=START + timedelta(milliseconds=20))
DRAFTED = replace(
    RUNNING,
    event_state="done",
    drafted_at=START + timedelta(milliseconds=600),
    effect_state="planned",
    answer_status="queued",
    answer_status_at=START + timedelta(milliseconds=600),
)
SENT = replace(DRAFTED, effect_state="sent", sent_at=START + timedelta(seconds=1), answer_status="sent")


def _stop(journey: Journey) -> tuple[str, State, str | None]:
    """The first step that is not done."""
    step = next(step for step in tell_steps(journey) if step.state is not State.DONE)
    return step.name, step.state, step.note


@pytest.mark.parametrize(
    ("journey", "stop"),
    [
        (STORED, ("running", State.NOW, None)),
        (replace(STORED, dispatched_at=None), ("enqueued", State.NOW, "steps.waits_for_queue")),
        (RUNNING, ("drafted", State.NOW, None)),
        (replace(RUNNING, job_state="ready"), ("drafted", State.NOW, "steps.trying_again")),
        (replace(RUNNING, job_state="quarantined"), ("drafted", State.FAILED, "steps.gave_up")),
        (replace(STORED, job_state="expired"), ("running", State.FAILED, "steps.gave_up")),
        (replace(RUNNING, job_state="done"), ("drafted", State.SKIPPED, "steps.no_answer")),
        (
            replace(RUNNING, job_state="done", event_state="unreadable"),
            ("drafted", State.FAILED, "steps.unreadable"),
        ),
        (DRAFTED, ("sent", State.NOW, None)),
        (replace(DRAFTED, effect_state="unknown"), ("sent", State.UNKNOWN, "steps.checking")),
        (replace(DRAFTED, answer_status="unknown"), ("sent", State.UNKNOWN, "steps.checking")),
        (
            replace(DRAFTED, effect_state="failed", answer_status="failed"),
            ("sent", State.FAILED, "steps.not_sent"),
        ),
        (
            replace(
                DRAFTED, effect_state="abandoned", answer_status="failed", answer_reason=GIVEN_UP["cancelled"]
            ),
            ("sent", State.FAILED, "steps.called_off"),
        ),
        (replace(STORED, job_state="cancelled"), ("running", State.FAILED, "steps.cancelled")),
        (SENT, ("delivered", State.NOW, None)),
    ],
)
def test_where_it_stopped_is_said_with_the_reason(
    journey: Journey, stop: tuple[str, State, str | None]
) -> None:
    assert _stop(journey) == stop


def test_a_delivered_answer_has_all_seven_steps_done() -> None:
    delivered = replace(SENT, answer_status="read", answer_status_at=START + timedelta(seconds=2))
    assert [step.state for step in tell_steps(delivered)] == [State.DONE] * 7


def test_what_the_owner_can_do_stands_beside_a_failure() -> None:
    failed = replace(DRAFTED, effect_state="failed", answer_reason="Scan the code again.")
    assert "Scan the code again." in {step.detail for step in tell_steps(failed)}


moments = st.none() | st.integers(-5_000, 5_000).map(lambda ms: START + timedelta(milliseconds=ms))


@given(
    dispatched=moments,
    started=moments,
    drafted=moments,
    sent=moments,
    state=st.sampled_from(["ready", "running", "done", "failed", None]),
    status=st.sampled_from(["queued", "sent", "delivered", "failed", "unknown", None]),
)
def test_time_never_runs_backwards_and_done_steps_have_no_holes(
    dispatched: datetime | None,
    started: datetime | None,
    drafted: datetime | None,
    sent: datetime | None,
    state: str | None,
    status: str | None,
) -> None:
    steps = tell_steps(
        replace(
            STORED,
            dispatched_at=dispatched,
            started_at=started,
            drafted_at=drafted,
            sent_at=sent,
            job_state=state,
            answer_status=status,
            answer_status_at=sent,
        )
    )
    told = [step.at for step in steps if step.at]
    assert told == sorted(told)
    assert tuple(step.name for step in steps) == NAMES
    done = [step.state is State.DONE for step in steps]
    assert done == sorted(done, reverse=True)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 ms"), (-1, "0 ms"), (0.0214, "21 ms"), (1.25, "1.2 s"), (130.4, "130 s")]
)
def test_a_duration_is_said_in_the_unit_that_reads_best(seconds: float, said: str) -> None:
    assert duration(seconds, milliseconds_word="{n} ms", seconds_word="{n} s") == said


@given(st.text())
def test_no_text_keeps_a_character_that_could_mislead(text: str) -> None:
    shown = inert(text)
    assert not set(shown) & {
        *map(chr, range(0x202A, 0x202F)),
        *map(chr, range(0x2066, 0x206A)),
        "\x00",
        "\x1b",
    }
    assert inert(shown) == shown


def test_hebrew_emoji_and_lines_stay_as_they_were_written() -> None:
    text = "שלום\n\tכמה עולה? 🔑 \u200f(180)"
    assert inert(text) == text
