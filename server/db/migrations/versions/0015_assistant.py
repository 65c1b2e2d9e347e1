"""What the assistant may do and has cost.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0015_assistant.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0015 is not taken back")
