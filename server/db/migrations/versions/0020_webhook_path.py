"""The webhook path, at less cost.

Revision ID: 0020
Revises: 0021
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0020"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0020_webhook_path.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0020 is not taken back")
