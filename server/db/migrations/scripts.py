"""The SQL that stands beside a migration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op

VERSIONS = Path(__file__).parent / "versions"


def run_script(name: str) -> None:
    """Run a file of SQL within the migration's transaction."""
    driver: Any = op.get_bind().connection.dbapi_connection
    script = (VERSIONS / name).read_text(encoding="utf-8")
    # A prepared statement holds one command; the driver's own execute takes a whole script.
    driver.run_async(lambda connection: connection.execute(script))
