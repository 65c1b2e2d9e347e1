"""Fairness: find what waits by class and business, however much of it one business has.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Trade one index of what is ready for two; the code of before only becomes slower."""
    run_script("0005_fairness.sql")


def downgrade() -> None:
    """Refuse: the indexes of before do not find one business's work behind another's."""
    raise NotImplementedError("the fifth migration is not taken back")
