"""Statements written as text, run by the driver itself.

What is written in SQL needs nothing of the ORM: the library's way from such a statement to the driver and
back costs several times what the driver's own work does, and a reply is made of some fifty of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import asyncpg
import sqlalchemy
from sqlalchemy import BindParameter, TextClause
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.sqltypes import NullType

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
_NO_COLUMNS = ("nothing",)
# More than the code holds.
MOST_TEXTS = 4000


@dataclass(frozen=True)
class Plain:
    """A statement as the driver takes it: `$1` for the first of `names`."""

    sql: str
    names: tuple[str, ...]


@lru_cache(maxsize=MOST_TEXTS)
def text(statement: str) -> TextClause:
    """Return a statement written in SQL, with `:name` for its values; the same words are read once."""
    return sqlalchemy.text(statement)


@lru_cache(maxsize=MOST_TEXTS)
def plain_of(statement: TextClause) -> Plain | None:
    """Return a text as the driver takes it; None where a value needs a type of the library's."""
    for value in statement.get_children():
        if isinstance(value, BindParameter) and (value.expanding or not isinstance(value.type, NullType)):
            return None
    compiled = statement.compile(dialect=_DIALECT)
    return Plain(str(compiled), tuple(compiled.positiontup or ()))


async def run_plain(
    connection: asyncpg.Connection, plain: Plain, values: Mapping[str, Any]
) -> IteratorResult[Any]:
    """Run a plain statement; raise IntegrityError, as the library does, for what a constraint refuses."""
    try:
        found = await connection.fetch(plain.sql, *[values[name] for name in plain.names])
    except asyncpg.IntegrityConstraintViolationError as error:
        raise IntegrityError(plain.sql, None, error, hide_parameters=True) from error
    names = tuple(found[0].keys()) if found else _NO_COLUMNS
    return IteratorResult(_columns(names), iter([tuple(row) for row in found]))


@lru_cache(maxsize=2000)
def _columns(names: tuple[str, ...]) -> SimpleResultMetaData:
    return SimpleResultMetaData(names)
