"""A worker killed at each named place: the job runs again, the customer gets at most one reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from server.queue.crash_points import CrashPoint
from tests.engine import eventually
from tests.faults.held_webhooks import tell_webhook
from tests.processes import text_message


@dataclass(frozen=True)
class Afterwards:
    """What is left once another worker took over: replies that the provider saw, and what the ledger says."""

    replies: int
    effect: frozenset[str]
    runs: int


KNOWN = frozenset({"sent", "confirmed"})
AFTERWARDS: Mapping[CrashPoint, Afterwards] = {
    CrashPoint.AFTER_POP: Afterwards(1, KNOWN, runs=1),
    CrashPoint.AFTER_CLAIM: Afterwards(1, KNOWN, runs=2),
    CrashPoint.BEFORE_SENDING: Afterwards(1, KNOWN, runs=2),
    CrashPoint.AFTER_SENDING: Afterwards(0, frozenset({"unknown"}), runs=2),
    CrashPoint.AFTER_ACCEPTED: Afterwards(1, KNOWN, runs=2),
    CrashPoint.AFTER_SENT: Afterwards(1, KNOWN, runs=2),
    CrashPoint.BEFORE_FINISH: Afterwards(1, KNOWN, runs=2),
    CrashPoint.AFTER_FINISH: Afterwards(1, KNOWN, runs=1),
}


# What a receiver may be told twice, under one id, because nobody knows whether it was told.
TOLD_TWICE = frozenset({CrashPoint.AFTER_ACCEPTED})


@pytest.mark.slow
@pytest.mark.fault("F1")
@pytest.mark.parametrize("point", [*CrashPoint])
async def test_a_worker_killed_while_it_tells_a_webhook_tells_it_again_under_the_same_id(
    stopped, tmp_path, point
):
    crashed, secret = tmp_path / "crashed", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    await stopped.start_all("simulator", "api")
    await stopped.simulator.post("/sim/n8n", json={"path": "flow", "secret": secret})
    await tell_webhook(stopped, f"{stopped.addresses.simulator_url}/n8n/webhook/flow", secret)
    await stopped.start("worker", PROSAAS_CRASH_POINT=point, PROSAAS_CRASH_ONCE=str(crashed))
    await eventually(crashed.exists, within_s=20, what=f"the crash {point}")
    await stopped.start_all("scheduler", "worker")

    async def is_delivered():
        return await stopped.value("SELECT state FROM webhook_delivery") == "delivered"

    await eventually(is_delivered, within_s=40, what="a delivery")
    await stopped.until_quiet(within_s=30)
    calls = (await stopped.simulator.get("/sim/calls", params={"provider": "n8n"})).json()
    assert [call["accepted"] for call in calls] == [True] * (2 if point in TOLD_TWICE else 1)
    assert len({call["request"]["headers"]["webhook-id"] for call in calls}) == 1
    assert await stopped.broken_promises() == []


@pytest.mark.slow
@pytest.mark.fault("F1")
@pytest.mark.parametrize("point", AFTERWARDS)
async def test_a_worker_killed_at_a_crash_point_leaves_one_reply_at_most(stopped, tmp_path, point):
    crashed = tmp_path / "crashed"
    # The scheduler comes later: a job of its own might pass the point first.
    await stopped.start_all("simulator", "api")
    await stopped.start("worker", PROSAAS_CRASH_POINT=point, PROSAAS_CRASH_ONCE=str(crashed))

    await stopped.post(text_message("כמה עולה פריצת דלת?"))
    await eventually(crashed.exists, within_s=20, what=f"the crash {point}")
    await stopped.start_all("scheduler", "worker")
    # With the lease of these tests; a bench measures the same with the real one.
    await stopped.until_quiet(within_s=30)

    left = AFTERWARDS[point]

    async def is_settled():
        return await stopped.value("SELECT state FROM effect") in left.effect

    await eventually(is_settled, within_s=20, what=f"an effect that is {set(left.effect)}")
    assert len(await stopped.sends()) == left.replies
    assert await stopped.value("SELECT state FROM job WHERE urgency = 0 ORDER BY seq LIMIT 1") == "done"
    assert (
        await stopped.value(
            "SELECT count(*) FROM job_attempt WHERE job_id = (SELECT id FROM job WHERE urgency = 0"
            " ORDER BY seq LIMIT 1)"
        )
        == left.runs
    )
    assert await stopped.broken_promises() == []
