"""A run holds its lease and commits in one round trip.

Revision ID: 0022
Revises: 0021
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0022_lease.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0022 is not taken back")
