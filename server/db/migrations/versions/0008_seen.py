"""What people and metrics see of work: failed jobs counted in a step, pauses, and bars that never fall.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index, a column with a default and a function; the code of before uses none of them."""
    run_script("0008_seen.sql")


def downgrade() -> None:
    """Refuse: workers that write the column would fail."""
    raise NotImplementedError("the eighth migration is not taken back")
