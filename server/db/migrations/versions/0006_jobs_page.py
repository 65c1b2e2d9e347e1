"""The jobs page: a member may run their business's failed jobs again and cancel waiting ones.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from server.db.migrations.scripts import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index and two functions; the code of before uses neither."""
    run_script("0006_jobs_page.sql")


def downgrade() -> None:
    """Refuse: the pages that call the functions would fail."""
    raise NotImplementedError("the sixth migration is not taken back")
