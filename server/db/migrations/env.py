"""Alembic's entry: it is handed an open connection by `server.db.migrate`."""

from __future__ import annotations

from alembic import context

from server.db.base import Base
from server.db.migrate import describes_domain_table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    include_object=describes_domain_table,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
