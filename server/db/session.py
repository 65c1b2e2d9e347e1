"""The unit of work: the only place that commits.

A transaction is opened for named businesses, and what should happen once it commits (jobs to
dispatch, pages to refresh) is kept in its outbox and announced afterwards. An announcement
that fails loses nothing: the rows are there and the sweeper finds them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import Executable, TextClause, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    AsyncSessionTransaction,
    create_async_engine,
)

from server.db import tenancy
from server.db.plain import plain_of, run_plain
from server.errors import StartRefusedError, StoreUnavailableError

Announce: TypeAlias = Callable[[Sequence[object]], Awaitable[None]]

UNAVAILABLE = (
    OSError,
    TimeoutError,
    NoConnectionFreeError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    # What the driver says when the server ended the session while nothing was asked of it.
    asyncpg.InternalClientError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.DiskFullError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
)

# The server ended the session while nothing was asked of it, and the driver learns it from its next question.
ENDED = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,
)

# What is asked again and again has an index for all that it reads. A plan that was made while a table was
# empty would go through it from end to end, or gather all that fits before it takes the first few in order,
# and be kept when a burst has filled it.
BY_INDEX = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
PLANS_ONCE = {"plan_cache_mode": "force_generic_plan"}
# More than the code holds: a statement is planned once a connection, and not again for want of room.
MOST_STATEMENTS = 1000


class Session(AsyncSession):
    """An ORM session of one transaction, with what to announce once it commits.

    `driver` is the driver's connection that carries it; what is written as text goes to it directly.
    """

    outbox: list[object]
    driver: asyncpg.Connection

    if not TYPE_CHECKING:
        # As the library declares them.
        async def execute(self, statement: Executable, params: Any = None, **options: Any) -> Any:
            """Run a statement; text whose values need no types of the library's is run by the driver."""
            plain = plain_of(statement) if isinstance(statement, TextClause) and not options else None
            if plain is not None:
                return await run_plain(self.driver, plain, params or {})
            return await super().execute(statement, params, **options)

        async def scalar(self, statement: Executable, params: Any = None, **options: Any) -> Any:
            """Return the first value of the first row, None where there is none."""
            return (await self.execute(statement, params, **options)).scalar()

        async def scalars(self, statement: Executable, params: Any = None, **options: Any) -> Any:
            """Return the first value of every row."""
            return (await self.execute(statement, params, **options)).scalars()

        @asynccontextmanager
        async def begin_nested(self) -> AsyncIterator[AsyncSessionTransaction]:
            """Set a savepoint at once: the library sets it when it is next asked for its connection."""
            async with super().begin_nested() as nested:
                await self.connection()
                yield nested


class Database:
    """Connections to PostgreSQL as one database role; opened lazily, closed by `aclose`."""

    def __init__(
        self,
        url: str,
        *,
        role: str | None,
        pool_size: int = 10,
        statement_timeout_s: float = 10.0,
        connect_timeout_s: float = 5.0,
        session_wait_s: float = 5.0,
        plans_once: bool = False,
    ) -> None:
        """Without a role the connection keeps the rights of the address's own user.

        `session_wait_s` is how long a transaction may wait for one of the pool's connections to come free.
        `plans_once` has a session's statements planned once for all their values, not anew for the first
        few: right where the same ones are asked again and again by what their indexes hold.
        """
        self._settings = _server_settings(role, statement_timeout_s)
        self._session_settings = self._settings | (PLANS_ONCE if plans_once else {})
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._command_timeout_s = statement_timeout_s + 5
        self._pool_size = pool_size
        self._pool: asyncpg.Pool | None = None
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            pool_size=pool_size,
            # One more would be closed when it comes back, with all the statements that it had prepared.
            max_overflow=0,
            # The one that came back last goes first: few of them have to know the statements of a quiet hour.
            pool_use_lifo=True,
            pool_timeout=session_wait_s,
            # The library sends nothing of its own: a transaction and its scope are begun in one round trip,
            # and whether a connection is fit for one is known without asking.
            isolation_level="AUTOCOMMIT",
            # A statement's parameters may be a customer's words; errors reach logs.
            hide_parameters=True,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_unfit)
        self.announce: Announce = _announce_nothing

    async def aclose(self) -> None:
        """Close every connection."""
        await self._engine.dispose()
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.terminate()

    @asynccontextmanager
    async def transaction(
        self,
        *business_ids: int,
        credentials: Sequence[str] = (),
        user_id: UUID | None = None,
        last: str = "",
    ) -> AsyncIterator[Session]:
        """Open a transaction that sees these businesses, commit it, then announce its outbox.

        `credentials` are digests of secrets whose own rows may be found before a business is
        known. `last` is a statement that goes with the commit, which is not made if it raises. Raises
        StoreUnavailableError when PostgreSQL is away or does not answer in time.
        """
        session = Session(self._engine, expire_on_commit=False)
        session.outbox = []
        try:
            async with session:
                await _begin(session, tenancy.begin_statement(business_ids, credentials, user_id))
                async with _committed(session.driver, last):
                    yield session
                    if session.new or session.dirty or session.deleted:
                        await session.flush()
        except (DBAPIError, InterfaceError) as error:
            _raise_if_unavailable(error.orig)
            raise
        except UNAVAILABLE as error:
            raise StoreUnavailableError("PostgreSQL did not answer: the write was not made") from error
        await self.announce(session.outbox)

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a bare connection of the driver, outside any transaction, for single statements."""
        try:
            async with (await self._driver_pool()).acquire(timeout=self._connect_timeout_s) as connection:
                yield connection
        except UNAVAILABLE as error:
            raise StoreUnavailableError("PostgreSQL did not answer: nothing was written") from error

    @asynccontextmanager
    async def driver_transaction(
        self, *business_ids: int, credentials: Iterable[str] = ()
    ) -> AsyncIterator[asyncpg.Connection]:
        """Lend a bare connection inside a transaction with a scope, committed at the end."""
        begin = tenancy.begin_statement(business_ids, credentials)
        async with self.driver() as connection:
            await connection.execute(begin)
            async with _committed(connection):
                yield connection

    async def ping(self) -> None:
        """Raise StoreUnavailableError unless PostgreSQL answers."""
        async with self.driver() as connection:
            await connection.execute("SELECT 1")

    async def _driver_pool(self) -> asyncpg.Pool:
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._pool_size,
                server_settings=self._settings | BY_INDEX,
                timeout=self._connect_timeout_s,
                command_timeout=self._command_timeout_s,
                # Every setting of ours lasts only as long as its transaction: nothing to reset.
                reset=_keep,
            )
        if not self._pool._initialized:  # noqa: SLF001 -- the pool has no public word for it
            await self._pool
        return self._pool

    async def _connect(self) -> asyncpg.Connection:
        try:
            return await asyncpg.connect(
                self._url,
                server_settings=self._session_settings,
                timeout=self._connect_timeout_s,
                command_timeout=self._command_timeout_s,
                statement_cache_size=MOST_STATEMENTS,
            )
        except asyncpg.UndefinedObjectError as error:
            raise StartRefusedError(f"PostgreSQL 17 or newer is needed at DATABASE_URL: {error}") from error

    def raw_connection(self) -> AsyncConnection:
        """Return an unscoped connection, for migrations and their drift check; whoever asks commits."""
        return self._engine.execution_options(isolation_level="READ COMMITTED").connect()


def _server_settings(role: str | None, statement_timeout_s: float) -> dict[str, str]:
    return {
        "application_name": role or "prosaas",
        "statement_timeout": f"{int(statement_timeout_s * 1000)}",
        "lock_timeout": f"{int(statement_timeout_s * 500)}",
        # No transaction waits for anything but PostgreSQL: one that does belongs to a process that was
        # frozen, and holds rows that its successor needs.
        "idle_in_transaction_session_timeout": f"{int(statement_timeout_s * 1000)}",
        # Neither of the two ends a session whose statement was prepared and whose parameters never came:
        # the driver asks for an answer between them, and the server waits in the midst of a statement.
        "transaction_timeout": f"{int(statement_timeout_s * 2000)}",
        "timezone": "UTC",
        # Nothing here runs long enough to earn back what compiling it costs.
        "jit": "off",
    } | ({"role": role} if role else {})


async def driver_of(session: Session) -> asyncpg.Connection:
    """Return the driver's connection that carries the session's open transaction."""
    return session.driver


async def _begin(session: Session, begin: str) -> None:
    """Begin on a connection of the pool, or on another where the server had ended that one unnoticed."""
    try:
        session.driver = await _carrier_of(session)
        await session.driver.execute(begin)
    except ENDED:
        await session.invalidate()
        session.driver = await _carrier_of(session)
        await session.driver.execute(begin)


async def _carrier_of(session: Session) -> asyncpg.Connection:
    connection = await session.connection()
    return (await connection.get_raw_connection()).driver_connection


@asynccontextmanager
async def _committed(connection: asyncpg.Connection, last: str = "") -> AsyncIterator[None]:
    """Commit what the block does in the transaction of a connection, or take it back."""
    try:
        yield
    except BaseException:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    try:
        await connection.execute(f"{last}; COMMIT" if last else "COMMIT")
    except asyncpg.PostgresError:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")
        raise


def _refuse_unfit(dbapi_connection: DBAPIConnection, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that was lost, or left in the midst of a transaction."""
    connection: asyncpg.Connection = dbapi_connection.driver_connection
    if connection.is_closed() or connection.is_in_transaction():
        raise DisconnectionError


def _raise_if_unavailable(original: BaseException | None) -> None:
    cause: BaseException | None = original
    while cause is not None:
        if isinstance(cause, UNAVAILABLE):
            raise StoreUnavailableError("PostgreSQL did not answer: the write was not made") from original
        cause = cause.__cause__


async def _keep(_connection: asyncpg.Connection) -> None:
    """Hand a connection back to the pool as it is."""


async def _announce_nothing(_outbox: Sequence[object]) -> None:
    """Stand in until `wiring` says where announcements go."""
