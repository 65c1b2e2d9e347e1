"""Messages that people send, and when the assistant answers.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0017_sending.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0017 is not taken back")
