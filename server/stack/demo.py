"""The demo business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Demo:
    database_url: str
    public_url: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Demo:
        return cls(database_url=environ["DATABASE_URL"], public_url=environ["PUBLIC_URL"])


async def seed(demo: Demo) -> str:
    return f"{demo.public_url}/"


async def new_admin_link(database_url: str, secret_key: str, public_url: str) -> str:
    return public_url
