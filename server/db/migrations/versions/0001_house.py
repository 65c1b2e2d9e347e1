"""The house: accounts, people, messages, the inbox, the engine and schedules.

Revision ID: 0001
Revises: none
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    """Create everything; safe beside running code because nothing runs before it."""
    for script in ("0001_house.sql", "0001_policies.sql"):
        op.get_bind().exec_driver_sql((HERE / script).read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: the first migration is taken back by dropping the database."""
    raise NotImplementedError("the first migration is taken back by dropping the database")
