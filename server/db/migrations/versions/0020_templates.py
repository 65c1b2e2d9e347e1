"""What fills a template.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0020_templates.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0020 is not taken back")
