"""Operating: cancel what runs, pause a kind, a queue or a business.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column, a table and two indexes; the code of before goes on beside them."""
    run_script("0003_operating.sql")


def downgrade() -> None:
    """Refuse: who paused what, and when, would be lost."""
    raise NotImplementedError("the third migration is not taken back")
