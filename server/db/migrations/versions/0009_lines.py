"""Lines of waiting work: a business's own, by queue and kind, so that what is paused or full is stepped over.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Trade one index of what waits for another; the code of before only becomes slower."""
    run_script("0009_lines.sql")


def downgrade() -> None:
    """Refuse: the code that steps from line to line would read all that waits for each step."""
    raise NotImplementedError("the ninth migration is not taken back")
