"""People, their consent and the pipeline.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the code of before does not need."""
    run_script("0014_people.sql")


def downgrade() -> None:
    """Refuse: what was kept since would be lost."""
    raise NotImplementedError("migration 0014 is not taken back")
