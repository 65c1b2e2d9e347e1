"""Accounts at providers: one breaker and one rate limit over all processes."""

from __future__ import annotations

import asyncio
import time

import pytest

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.queue.accounts import TRIPS, Account, Accounts, SharedModel

SHOP = Account("whatsapp_bridge", "shop")


async def fail(accounts, error, account=SHOP):
    try:
        async with accounts.calling(account):
            raise error
    except type(error) as seen:
        return seen


async def trip(accounts, account=SHOP):
    for _ in range(TRIPS):
        seen = await fail(accounts, ProviderDownError("refused"), account)
    return seen


async def reopen(engine):
    await engine.look.execute("UPDATE provider_account SET closed_until = now() - interval '1 second'")


@pytest.mark.fault("F19")
async def test_failures_in_a_row_close_the_account_to_every_process_and_to_no_other(engine):
    first, second = Accounts(engine.worker), Accounts(engine.worker)

    seen = await trip(first)

    # Whoever was failing waits for the account, and has used no attempt.
    assert isinstance(seen, ProviderBusyError)
    with pytest.raises(ProviderBusyError):
        await second.admit(SHOP)
    await second.admit(Account("whatsapp_bridge", "another shop"))


async def test_an_answer_that_never_came_counts_and_a_refusal_does_not(engine):
    accounts = Accounts(engine.worker)
    for _ in range(TRIPS * 2):
        await fail(accounts, ProviderRefusedError("no such number"))
    await accounts.admit(SHOP)

    for _ in range(TRIPS):
        await fail(accounts, ProviderUnknownError("timed out"))

    with pytest.raises(ProviderBusyError):
        await accounts.admit(SHOP)


async def test_one_success_forgets_the_failures_before_it(engine):
    accounts = Accounts(engine.worker)
    for _ in range(3):
        for _ in range(TRIPS - 1):
            await fail(accounts, ProviderDownError("refused"))
        async with accounts.calling(SHOP):
            pass

    await accounts.admit(SHOP)


async def test_after_a_while_one_call_of_all_processes_tries_it(engine):
    processes = [Accounts(engine.worker) for _ in range(4)]
    await trip(processes[0])
    await reopen(engine)

    answers = await asyncio.gather(*(one.admit(SHOP) for one in processes), return_exceptions=True)

    assert sum(isinstance(answer, int) for answer in answers) == 1


async def test_a_trial_that_fails_closes_it_for_longer_and_one_that_works_opens_it(engine):
    accounts = Accounts(engine.worker)
    await trip(accounts)
    await reopen(engine)
    assert isinstance(await fail(accounts, ProviderDownError("refused")), ProviderBusyError)
    assert await engine.look.fetchval("SELECT failures FROM provider_account") == TRIPS + 1

    await reopen(engine)
    async with accounts.calling(SHOP):
        pass

    assert await asyncio.gather(*(accounts.admit(SHOP) for _ in range(50))) == [0] * 50


@pytest.mark.fault("F21")
async def test_a_provider_that_asks_to_wait_is_left_alone_by_every_process(engine):
    first, second = Accounts(engine.worker), Accounts(engine.worker)
    await fail(first, ProviderBusyError("slow down", retry_after_s=60))

    with pytest.raises(ProviderBusyError) as told:
        await second.admit(SHOP)

    assert 55 < told.value.retry_after_s <= 90


@pytest.mark.fault("F21")
async def test_all_processes_together_keep_the_rate(engine):
    limited = Account("whatsapp_bridge", "limited", per_second=40, burst=10)
    processes = [Accounts(engine.worker) for _ in range(4)]
    calls, started = [], time.monotonic()

    async def call(process):
        for _ in range(20):
            while True:
                try:
                    await process.admit(limited)
                except ProviderBusyError:
                    continue
                calls.append(time.monotonic() - started)
                break

    await asyncio.gather(*(call(process) for process in processes))

    # Leave that was given and not used is lost, so it may be slower and never faster.
    for since in calls:
        assert sum(since <= at < since + 1 for at in calls) <= 40 + 10 + 1
    assert len(calls) == 80


async def test_calls_share_the_question_for_leave(engine):
    accounts = Accounts(engine.worker)

    await asyncio.gather(*(accounts.admit(SHOP) for _ in range(100)))

    xmin = "SELECT xmin::text FROM provider_account"
    before = await engine.look.fetchval(xmin)
    await accounts.admit(SHOP)
    assert await engine.look.fetchval(xmin) == before


async def test_a_bug_in_the_call_says_nothing_about_the_provider(engine):
    accounts = Accounts(engine.worker)
    for _ in range(TRIPS):
        await fail(accounts, KeyError("a bug"))

    await accounts.admit(SHOP)


class SlowModel:
    """A model that never answers in time, and counts who tried."""

    calls = 0

    async def complete(self, _turns, *, tools=()):  # noqa: ARG002 -- the port's own name
        self.calls += 1
        raise ProviderUnknownError("timed out")


@pytest.mark.fault("F19")
async def test_a_model_that_does_not_answer_is_soon_not_waited_for(engine):
    slow = SlowModel()
    model = SharedModel(slow, Accounts(engine.worker), Account("openai", "here"))

    for _ in range(TRIPS):
        with pytest.raises(ProviderUnknownError):
            await model.complete([])
    with pytest.raises(ProviderBusyError):
        await model.complete([])

    assert slow.calls == TRIPS
