"""The house: accounts, people, messages, the inbox, the engine and schedules.

Revision ID: 0001
Revises: none
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything; safe beside running code because nothing runs before it."""
    run_script("0001_house.sql")
    run_script("0001_policies.sql")


def downgrade() -> None:
    """Refuse: the first migration is taken back by dropping the database."""
    raise NotImplementedError("the first migration is taken back by dropping the database")
