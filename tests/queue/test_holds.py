"""Accounts that only their owner can free: nothing is called, nothing is lost, and a page can say why."""

from __future__ import annotations

import asyncpg
import pytest

from server.errors import (
    ProviderBusyError,
    ProviderDownError,
    ProviderRefusedError,
    RecipientBusyError,
    Refusal,
)
from server.queue import holds
from server.queue.accounts import Account, Accounts

NUMBER, OTHER = Account("whatsapp_cloud", "number"), Account("whatsapp_cloud", "another")
NO_TOKEN = ProviderRefusedError("no token", meaning=Refusal.CREDENTIALS, code="190")


async def call(accounts, error=None, account=NUMBER):
    async with accounts.calling(account):
        if error is not None:
            raise error


async def held(engine, *names):
    async with engine.api.transaction(6) as session:
        return await holds.read_holds(session, "whatsapp_cloud", names)


@pytest.mark.parametrize("meaning", [Refusal.CREDENTIALS, Refusal.PAYMENT, Refusal.POLICY])
async def test_a_refusal_that_holds_the_account_lets_its_messages_wait(engine, meaning):
    accounts = Accounts(engine.worker)

    with pytest.raises(ProviderBusyError, match="waits"):
        await call(accounts, ProviderRefusedError("no", meaning=meaning))

    with pytest.raises(ProviderBusyError):
        await Accounts(engine.worker).admit(NUMBER)
    await accounts.admit(OTHER)
    assert [hold.meaning for hold in (await held(engine, "number", "another")).values()] == [meaning]


async def test_a_hold_outlasts_a_provider_that_is_down_and_ends_with_the_first_success(engine):
    accounts = Accounts(engine.worker)
    with pytest.raises(ProviderBusyError):
        await call(accounts, NO_TOKEN)
    for error in (ProviderDownError("down"), None):
        assert (await held(engine, "number"))["number"].meaning is Refusal.CREDENTIALS
        await engine.look.execute("UPDATE provider_account SET closed_until = now() - interval '1 s'")
        if error is None:
            await call(accounts)
        else:
            with pytest.raises(ProviderBusyError):
                await call(accounts, error)

    assert await held(engine, "number") == {}


async def test_an_account_that_is_opened_again_is_called_at_once(engine):
    accounts = Accounts(engine.worker)
    with pytest.raises(ProviderBusyError):
        await call(accounts, NO_TOKEN)

    async with engine.worker.transaction(6) as session:
        await holds.open_account(session, NUMBER)

    await call(accounts)
    assert await held(engine, "number") == {}


async def test_evidence_from_a_status_holds_an_account_too(engine):
    await Accounts(engine.worker).admit(NUMBER)

    async with engine.worker.transaction(6) as session:
        await holds.hold_account(session, NUMBER, Refusal.PAYMENT)
        await holds.hold_account(session, NUMBER, Refusal.CAPPED)

    assert (await held(engine, "number"))["number"].meaning is Refusal.PAYMENT


async def test_one_customer_who_must_wait_holds_back_no_other(engine):
    accounts = Accounts(engine.worker)

    with pytest.raises(RecipientBusyError):
        await call(accounts, RecipientBusyError("too fast", retry_after_s=6))

    await accounts.admit(NUMBER)


async def test_the_api_reads_holds_and_no_breaker(engine):
    async with engine.api.driver() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM provider_account")
