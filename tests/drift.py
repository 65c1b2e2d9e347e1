"""`./run check`'s migration drift: migrate an empty PostgreSQL, then compare it with the models."""

from __future__ import annotations

import sys

from server.db.migrate import drift
from tests.servers import TEMPLATE, RunningServers, run


def main() -> int:
    """Return 1, and say what differs, when the models and the migrations have drifted apart."""
    running = RunningServers()
    try:
        running.start()
        differences = run(drift(running.servers.postgres.url(TEMPLATE)))
    finally:
        running.stop()
    for difference in differences:
        sys.stderr.write(f"the models and the migrations differ: {difference}\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
