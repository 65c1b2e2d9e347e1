"""Receiving in one statement: the functions that store webhooks and ask for jobs.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the functions and loosen what they make needless; the code of before goes on beside it."""
    run_script("0002_receiving.sql")


def downgrade() -> None:
    """Refuse: events without a hash are kept by now."""
    raise NotImplementedError("the second migration is not taken back")
