"""Events told to others.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0016_integrations.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0016 is not taken back")
