"""What bridges say of their connection to WhatsApp.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0019_connection.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0019 is not taken back")
