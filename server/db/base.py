"""The declarative base that every domain's models share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

Id = Annotated[UUID, mapped_column(Uuid, primary_key=True, server_default=text("gen_random_uuid()"))]
BusinessId = Annotated[int, mapped_column(BigInteger, index=False)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]


class Base(DeclarativeBase):
    """Columns are named as their Python attributes; times are aware, texts unbounded."""

    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads it as a plain class attribute
        str: Text,
        int: BigInteger,
        datetime: DateTime(timezone=True),
        dict: JSONB,
    }
