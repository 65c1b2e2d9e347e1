"""One step of a start, as a process of its own: migrate, fill the demo business, make its admin link.

On its own so that the ORM and the migrations leave memory with it, and the supervisor stays small.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from server.db.migrate import upgrade
from server.errors import ProsaasError
from server.stack.demo import Demo, connect_simulated_number, seed, tell_simulated_n8n


async def prepare(demo: Demo) -> dict[str, object]:
    """Bring the database to where the roles can start; returns the admin link and the simulated number."""
    await upgrade(demo.database_url)
    admin_link = await seed(demo)
    await tell_simulated_n8n(demo)
    return {"admin_link": admin_link, "number": await connect_simulated_number(demo)}


def main() -> int:
    """Run with the environment of a role, INTERNAL_SECRET and PREPARE_RESULT; returns the exit code."""
    try:
        prepared = asyncio.run(prepare(Demo.from_environment(os.environ)))
    except ProsaasError as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    Path(os.environ["PREPARE_RESULT"]).write_text(json.dumps(prepared), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
