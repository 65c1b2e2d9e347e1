"""What fills a template.

Revision ID: 0021
Revises: 0023
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0021"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0021_templates.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0021 is not taken back")
