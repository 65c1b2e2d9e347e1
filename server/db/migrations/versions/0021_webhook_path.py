"""The webhook path, at less cost.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0021_webhook_path.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0021 is not taken back")
