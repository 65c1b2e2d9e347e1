"""F21: an account with a rate limit, more to send than it allows, and a provider that asks to wait."""

from __future__ import annotations

from datetime import datetime

import pytest

from server.queue.accounts import BLOCK_LASTS_S
from tests.engine import BUSINESS, eventually
from tests.faults.held import ask
from tests.faults.own_kinds import LIMIT, SendLimited, own_kinds
from tests.faults.senders import taken_sends

MESSAGES = 70
STORM, RETRY_AFTER_S, REFUSED_FOR_NOW = 8, 3, 429
# From its leave to the wire a call may take so long on these two cores.
ON_ITS_WAY_S = 0.5
KIND = "send_limited_job"
LEFT = f"SELECT count(*) FROM job WHERE kind = '{KIND}' AND state <> 'done'"


@pytest.mark.slow
@pytest.mark.fault("F21")
async def test_two_workers_keep_an_accounts_limit_and_its_wait_and_send_each_message_once(stopped, tmp_path):
    stopped.instead = dict.fromkeys(("worker", "scheduler"), "tests.faults.own_kinds")
    await stopped.start_all("simulator", "scheduler")
    await stopped.behave(receipts=False, echo=False)
    for number in range(2):
        await stopped.start("worker", PROMETHEUS_MULTIPROC_DIR=metrics_folder(tmp_path, number))
    with own_kinds():
        await ask(stopped, *(SendLimited(number) for number in range(MESSAGES)), business_id=BUSINESS)
    await stopped.until_sent(20)

    await stopped.behave(times=STORM, status=429, retry_after_s=RETRY_AFTER_S)

    async def all_done():
        return not await stopped.value(LEFT)

    await eventually(all_done, within_s=60, what="every message sent")
    calls = await stopped.sends()
    assert over_the_limit([moment(call) for call in calls]) == []
    assert too_early(calls) == []
    keys = await taken_sends(stopped)
    assert (len(calls), len(keys), len(set(keys))) == (MESSAGES + STORM, MESSAGES, MESSAGES)
    assert await stopped.value(f"SELECT max(attempts) FROM job WHERE kind = '{KIND}'") == 1
    ran = "SELECT count(DISTINCT worker) FROM job_attempt WHERE outcome = 'done'"
    assert await stopped.value(ran) > 2, "one worker alone did it all"


def metrics_folder(tmp_path, number):
    folder = tmp_path / f"metrics{number}"
    folder.mkdir()
    return str(folder)


def moment(call):
    return datetime.fromisoformat(call["at"]).timestamp()


def over_the_limit(moments):
    """Return every window, from any call to any later one, in which more calls were made than allowed.

    A call may be made with leave that was given BLOCK_LASTS_S before.
    """
    return [
        (count, round(last - first, 3))
        for start, first in enumerate(moments)
        for count, last in enumerate(moments[start:], 1)
        if count > LIMIT.burst + LIMIT.per_second * (last - first + BLOCK_LASTS_S)
    ]


def too_early(calls):
    """Return when calls were made that had no leave yet when they were told to wait, and did not wait."""
    told = [moment(call) for call in calls if (call["answer"] or {}).get("status") == REFUSED_FOR_NOW]
    return [
        round(moment(call) - at, 3)
        for at in told
        for call in calls
        if BLOCK_LASTS_S + ON_ITS_WAY_S < moment(call) - at < RETRY_AFTER_S
    ]
