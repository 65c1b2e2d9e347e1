"""How far a walk through old rows came, from the oldest on, their files to be removed: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Walk:
    """Where a walk from the oldest row on stands, and how many files it left behind."""

    after: datetime
    after_id: UUID
    failed: int

    def as_checkpoint(self) -> dict[str, Any]:
        """Return it as a job keeps it between runs."""
        return {"after": self.after.isoformat(), "after_id": str(self.after_id), "failed": self.failed}


START = Walk(datetime(1, 1, 1, tzinfo=UTC), UUID(int=0), failed=0)


def walk_of(checkpoint: Mapping[str, Any] | None) -> Walk:
    """Return where a job's walk stands; a new one begins with the oldest."""
    if not checkpoint:
        return START
    return Walk(
        datetime.fromisoformat(checkpoint["after"]), UUID(checkpoint["after_id"]), int(checkpoint["failed"])
    )
