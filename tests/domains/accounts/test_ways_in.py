"""Password, entry link and API key: who gets in, and who does not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from server.db import Database
from server.db.tenancy import credential_digest
from server.domains import accounts
from server.domains.accounts import passwords
from server.errors import BadInputError
from tests.domains.accounts.conftest import PASSWORD, People


async def _age_session(url: str, change: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"UPDATE login_session SET {change}")
    await connection.close()


async def _log_in(database: Database, email: str = "dana@example.com", password: str = PASSWORD) -> str:
    return await accounts.log_in(
        database, accounts.Attempts(), email=email, password=password, address="127.0.0.1"
    )


async def test_dana_logs_in_with_her_address_in_any_spelling(database: Database, people: People) -> None:
    token = await _log_in(database, " DANA@example.COM ")
    login = await accounts.find_session(database, token)
    assert login is not None
    assert (login.business_id, login.user_name, login.role) == (people.business_a, "Dana", "owner")


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("dana@example.com", "wrong password"),
        ("nobody@example.com", PASSWORD),
        ("eli@example.com", ""),
        ("", ""),
        ("dana@example.com", "x" * 100_000),
    ],
)
async def test_every_wrong_pair_gets_the_same_answer(
    database: Database, people: People, email: str, password: str
) -> None:
    with pytest.raises(BadInputError) as refused:
        await _log_in(database, email, password)
    assert refused.value.code == "wrong_credentials"


async def test_an_unknown_address_costs_a_hash_like_a_known_one(database: Database, people: People) -> None:
    assert not passwords.is_password(PASSWORD, None)
    assert not passwords.is_outdated(passwords.NOBODYS_HASH)


async def test_a_password_is_kept_as_argon2id_only(database: Database, people: People) -> None:
    async with database.transaction(user_id=people.dana) as session:
        user = await accounts.find_user_by_email(session, "dana@example.com")
    assert user is not None
    assert (user.password_hash or "").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_an_account_is_closed_for_a_while_after_ten_wrong_passwords(
    database: Database, people: People
) -> None:
    moment = 0.0
    attempts = accounts.Attempts(now_s=lambda: moment)

    async def attempt(password: str) -> str:
        return await accounts.log_in(
            database, attempts, email="dana@example.com", password=password, address="10.0.0.1"
        )

    for _ in range(10):
        with pytest.raises(BadInputError, match="wrong"):
            await attempt("not it, I fear")
    with pytest.raises(BadInputError, match="Too many attempts"):
        await attempt(PASSWORD)
    moment = 15 * 60 + 1
    assert await attempt(PASSWORD)


def test_one_address_cannot_try_account_after_account() -> None:
    attempts = accounts.Attempts(now_s=lambda: 0.0)
    allowed = [attempts.allow(account=f"user{n}", address="10.0.0.1") for n in range(60)]
    assert allowed.count(True) == 50


def test_right_passwords_use_up_no_attempts() -> None:
    attempts = accounts.Attempts(now_s=lambda: 0.0)
    for _ in range(200):
        assert attempts.allow(account="dana", address="10.0.0.1")
        attempts.succeeded(account="dana", address="10.0.0.1")


async def test_an_entry_link_lets_exactly_one_of_twenty_in(database: Database, people: People) -> None:
    async with database.transaction(people.business_a) as session:
        link = await accounts.issue_entry_link(session, people.business_a, people.eli)
    tokens = await asyncio.gather(*(accounts.use_entry_link(database, link) for _ in range(20)))
    winners = [token for token in tokens if token is not None]
    assert len(winners) == 1
    login = await accounts.find_session(database, winners[0])
    assert login is not None
    assert login.user_id == people.eli


async def test_an_entry_link_that_is_too_old_or_unknown_opens_nothing(
    database: Database, people: People
) -> None:
    async with database.transaction(people.business_a) as session:
        link = await accounts.issue_entry_link(
            session, people.business_a, people.eli, ttl=timedelta(seconds=-1)
        )
    assert await accounts.use_entry_link(database, link) is None
    assert await accounts.use_entry_link(database, "made up") is None


async def test_a_session_ends_at_once_when_its_user_logs_out(database: Database, people: People) -> None:
    token = await _log_in(database)
    login = await accounts.find_session(database, token)
    assert login is not None
    await accounts.log_out(database, login)
    assert await accounts.find_session(database, token) is None


@pytest.mark.parametrize(
    "change", ["expires_at = now() - interval '1 s'", "created_at = now() - interval '31 days'"]
)
async def test_a_session_ends_when_idle_too_long_or_too_old(
    database: Database, people: People, clean_database: str, change: str
) -> None:
    token = await _log_in(database)
    await _age_session(clean_database, change)
    assert await accounts.find_session(database, token) is None


async def test_use_prolongs_a_session_but_not_past_thirty_days(
    database: Database, people: People, clean_database: str
) -> None:
    token = await _log_in(database)
    await _age_session(
        clean_database,
        "created_at = now() - interval '29 days', last_seen_at = now() - interval '2 min',"
        " expires_at = now() + interval '1 h'",
    )
    assert await accounts.find_session(database, token)
    connection = await asyncpg.connect(clean_database)
    left = await connection.fetchval("SELECT expires_at - now() FROM login_session")
    await connection.close()
    assert timedelta(hours=23) < left < timedelta(hours=25)


async def test_looking_twice_in_a_minute_writes_once(
    database: Database, people: People, clean_database: str
) -> None:
    token = await _log_in(database)
    connection = await asyncpg.connect(clean_database)
    before = await connection.fetchval("SELECT xmin::text FROM login_session")
    await accounts.find_session(database, token)
    assert await connection.fetchval("SELECT xmin::text FROM login_session") == before
    await connection.close()


async def test_whoever_left_the_business_is_logged_out(
    database: Database, people: People, clean_database: str
) -> None:
    token = await _log_in(database)
    connection = await asyncpg.connect(clean_database)
    await connection.execute("DELETE FROM membership WHERE user_id = $1", people.dana)
    await connection.close()
    assert await accounts.find_session(database, token) is None


async def test_an_api_key_is_shown_once_and_found_until_revoked(database: Database, people: People) -> None:
    async with database.transaction(people.business_a) as session:
        key_id, key = await accounts.create_api_key(session, people.business_a, "n8n")
    found = await accounts.find_api_key(database, key)
    assert found is not None
    assert (found.key_id, found.business_id, found.name) == (key_id, people.business_a, "n8n")
    async with database.transaction(people.business_a) as session:
        assert await accounts.revoke_api_key(session, key_id)
    assert await accounts.find_api_key(database, key) is None


async def test_no_secret_is_stored_as_it_was_given(
    database: Database, people: People, clean_database: str
) -> None:
    session_token = await _log_in(database)
    async with database.transaction(people.business_a) as session:
        link = await accounts.issue_entry_link(session, people.business_a, people.dana)
        _, key = await accounts.create_api_key(session, people.business_a, "n8n")
    connection = await asyncpg.connect(clean_database)
    stored = str(
        [await connection.fetch(f"SELECT * FROM {t}") for t in ("login_session", "entry_link", "api_key")]
    )
    await connection.close()
    for secret in (session_token, link, key):
        assert secret not in stored
        assert credential_digest(secret) in stored


@pytest.mark.parametrize("email", ["", "dana", "@example.com", "a b@example.com", "x" * 65 + "@example.com"])
async def test_a_user_needs_an_address_mail_could_reach(
    database: Database, people: People, email: str
) -> None:
    with pytest.raises(BadInputError) as refused:
        async with database.transaction(people.business_a) as session:
            await accounts.create_user(session, email=email, name="X", business_id=people.business_a)
    assert refused.value.code == "email_invalid"


async def test_an_address_belongs_to_one_user_and_a_refusal_spares_the_rest(
    database: Database, people: People
) -> None:
    async with database.transaction(people.business_b) as session:
        with pytest.raises(BadInputError) as refused:
            await accounts.create_user(
                session, email="DANA@example.com", name="Not Dana", business_id=people.business_b
            )
        _, key = await accounts.create_api_key(session, people.business_b, "after the refusal")
    assert refused.value.code == "email_taken"
    assert await accounts.find_api_key(database, key)


async def test_a_short_password_is_refused_with_the_reason(database: Database, people: People) -> None:
    with pytest.raises(BadInputError, match="10 to 1000"):
        async with database.transaction(people.business_a) as session:
            await accounts.create_user(
                session, email="new@example.com", name="X", business_id=people.business_a, password="short"
            )


async def test_a_wished_business_id_is_kept_and_the_sequence_steps_around_it(
    database: Database, people: People
) -> None:
    wished = people.business_b + 1
    async with database.transaction() as session:
        assert await accounts.create_business(session, name="Demo", business_id=wished) == wished
        assert await accounts.create_business(session, name="Next") == wished + 1
    with pytest.raises(BadInputError, match="exists already"):
        async with database.transaction() as session:
            await accounts.create_business(session, name="Again", business_id=wished)


async def test_expired_logins_are_forgotten_and_a_second_run_finds_none(
    database: Database, people: People, clean_database: str
) -> None:
    await _log_in(database)
    kept = await _log_in(database)
    async with database.transaction(people.business_a) as session:
        await accounts.issue_entry_link(session, people.business_a, people.eli, ttl=timedelta(days=-2))
    await _age_session(
        clean_database,
        f"expires_at = now() - interval '2 days' WHERE token_digest <> '{credential_digest(kept)}'",
    )
    worker = Database(clean_database, role="prosaas_worker")
    async with worker.transaction(people.business_a, people.business_b) as session:
        assert await accounts.forget_expired_logins(session) == 2
        assert await accounts.forget_expired_logins(session) == 0
    await worker.aclose()
    assert await accounts.find_session(database, kept)
