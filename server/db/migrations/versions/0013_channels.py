"""Channels of several kinds.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0013_channels.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0013 is not taken back")
