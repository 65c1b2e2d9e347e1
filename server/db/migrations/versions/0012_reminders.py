"""Reminders, those that come again and again, and recordings with how long they are kept.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables that the code of before does not know."""
    run_script("0012_reminders.sql")


def downgrade() -> None:
    """Refuse: what people wanted to be reminded of would be lost."""
    raise NotImplementedError("the twelfth migration is not taken back")
