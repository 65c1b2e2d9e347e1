"""Wait for a job that somebody holds when its owner runs it again.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give a function a new body; the code of before calls it the same way."""
    run_script("0010_run_again.sql")


def downgrade() -> None:
    """Leave it: the code of before works with either body."""
