"""The house: accounts, people, messages, the inbox, the engine and schedules.

Revision ID: 0001
Revises: none
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    """Create everything; safe beside running code because nothing runs before it."""
    driver: Any = op.get_bind().connection.dbapi_connection
    for name in ("0001_house.sql", "0001_policies.sql", "0001_functions.sql"):
        script = (HERE / name).read_text(encoding="utf-8")
        # A prepared statement holds one command; the driver's own execute takes a whole script.
        driver.run_async(lambda connection, script=script: connection.execute(script))


def downgrade() -> None:
    """Refuse: the first migration is taken back by dropping the database."""
    raise NotImplementedError("the first migration is taken back by dropping the database")
