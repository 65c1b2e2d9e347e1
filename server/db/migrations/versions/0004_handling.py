"""Handling: how far a run came, and the accounts at providers that all workers share.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add three columns, a table and a function; the code of before goes on beside them."""
    run_script("0004_handling.sql")


def downgrade() -> None:
    """Refuse: checkpoints of unfinished work would be lost."""
    raise NotImplementedError("the fourth migration is not taken back")
