"""Whatever ends a job badly or settles an effect is followed up; members may stop and settle their own.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add functions and triggers; a worker of before leaves the two new kinds of job to a newer one."""
    run_script("0007_aftermath.sql")


def downgrade() -> None:
    """Refuse: the code that calls the functions would fail."""
    raise NotImplementedError("the seventh migration is not taken back")
