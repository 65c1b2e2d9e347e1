"""Schedules as data, of the installation and of businesses.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns, a table and a function; the scheduler of before goes on with names and watermarks."""
    run_script("0011_schedules.sql")


def downgrade() -> None:
    """Refuse: what businesses asked for would be lost."""
    raise NotImplementedError("the eleventh migration is not taken back")
