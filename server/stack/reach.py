"""How every verb reaches the servers: the operator's, or those kept in the data folder."""

from __future__ import annotations

from server.errors import StartRefusedError
from server.stack.data_dir import DataDir, KeptSecrets
from server.stack.postgres import Postgres, PostgresOptions
from server.stack.settings import StackSettings
from server.stack.valkey import Valkey, ValkeyOptions

DATABASE = "prosaas"


def embedded_postgres(settings: StackSettings, kept: KeptSecrets) -> Postgres:
    """Describe the PostgreSQL of a data folder."""
    return Postgres(
        PostgresOptions(
            data=settings.data_dir / "postgres", password=kept.postgres_password, port=kept.postgres_port
        )
    )


def embedded_valkey(settings: StackSettings, kept: KeptSecrets) -> Valkey:
    """Describe the Valkey of a data folder."""
    return Valkey(
        ValkeyOptions(data=settings.data_dir / "redis", password=kept.redis_password, port=kept.redis_port)
    )


def database_url(settings: StackSettings) -> str:
    """Return DATABASE_URL, or the address in the data folder; raise StartRefusedError without both."""
    if settings.database_url:
        return settings.database_url
    if not (settings.data_dir / "postgres").exists():
        raise StartRefusedError(
            f"DATABASE_URL is not set and there is no database in {settings.data_dir}: set one of them."
        )
    return embedded_postgres(settings, DataDir(settings.data_dir).secrets()).url(DATABASE)


def redis_url(settings: StackSettings) -> str:
    """Return REDIS_URL, or the address in the data folder, or nothing."""
    if settings.redis_url or not (settings.data_dir / "redis").exists():
        return settings.redis_url
    return embedded_valkey(settings, DataDir(settings.data_dir).secrets()).url()
