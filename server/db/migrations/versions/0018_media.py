"""Files of messages.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0018_media.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0018 is not taken back")
