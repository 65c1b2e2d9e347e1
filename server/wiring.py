"""From settings to a working process: the only place that builds things."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.config import Settings, deprecated_settings
from server.db.session import Database
from server.errors import StartRefusedError, StoreUnavailableError
from server.log import get_logger
from server.ports import LanguageModel, Outside
from server.providers.connections import open_connections, open_guarded_connections
from server.providers.guarding import GuardedClient
from server.providers.linked_files import HttpLinkedFiles
from server.providers.media_folder import MediaFolder
from server.providers.media_s3 import MediaS3, S3Bucket
from server.providers.openai_chat import OpenAiChat
from server.providers.recording_folder import RecordingFolder
from server.providers.webhook_poster import HttpWebhookPoster
from server.providers.whatsapp_bridge import WhatsappBridge
from server.providers.whatsapp_cloud import WhatsappCloud
from server.queue.accounts import Account, Accounts, SharedModel
from server.queue.connection import connect_redis
from server.queue.dispatch import Dispatcher
from server.roles import ROLES
from server.secrets import Cipher
from server.storages import MediaLimits, MediaStorage

log = get_logger(__name__)


@dataclass(frozen=True)
class House:
    """What every process stands on; closed by the block that opened it."""

    settings: Settings
    database: Database
    redis: Redis
    dispatcher: Dispatcher
    outside: Outside
    cipher: Cipher

    async def ping_redis(self) -> None:
        """Raise unless Redis answers and keeps what it is given."""
        refuse_eviction(await self.redis.info("memory"))


@asynccontextmanager
async def open_house(
    settings: Settings, *, pool_size: int = 10, session_wait_s: float = 5.0, plans_once: bool = False
) -> AsyncIterator[House]:
    """Connect a process of `settings.service_role`; raise StartRefusedError when it must not start."""
    for sentence in deprecated_settings(settings):
        log.warning("setting_deprecated", what=sentence)
    role = ROLES[settings.service_role].database_role
    database = Database(
        settings.database_url.get_secret_value(),
        role=role,
        pool_size=pool_size,
        session_wait_s=session_wait_s,
        plans_once=plans_once,
    )
    redis = connect_redis(settings.redis_url.get_secret_value())
    http = open_connections()
    webhooks = open_guarded_connections(settings.webhooks_allowed_hosts)
    dispatcher = Dispatcher(database, redis)
    database.announce = dispatcher.announce
    try:
        await refuse_unsafe_database(database)
        await refuse_evicting_redis(redis)
        house = House(
            settings,
            database,
            redis,
            dispatcher,
            outside_world(settings, http, webhooks, Accounts(database)),
            Cipher(settings.secret_key.get_secret_value()),
        )
        keep_out_of_collections()
        yield house
    finally:
        await dispatcher.flushed()
        await http.aclose()
        await webhooks.aclose()
        await redis.aclose()
        await database.aclose()


def keep_out_of_collections() -> None:
    """Spare the garbage collector what lives as long as the process: modules, routes, statements.

    A full collection that walks them stops the loop for tens of milliseconds, every second under load.
    """
    gc.collect()
    gc.freeze()


def outside_world(
    settings: Settings, http: httpx.AsyncClient, webhooks: GuardedClient, accounts: Accounts
) -> Outside:
    """Build the providers; `webhooks` calls addresses that customers chose."""
    cipher = Cipher(settings.secret_key.get_secret_value())
    return Outside(
        channels={
            "whatsapp_bridge": WhatsappBridge(http),
            "whatsapp_cloud": WhatsappCloud(
                http, base_url=settings.whatsapp_cloud_url, version=settings.whatsapp_api_version
            ),
        },
        model=language_model(settings, http, accounts) if settings.openai_base_url else None,
        open_secret=cipher.decrypt,
        channel_key=cipher.key_of,
        webhooks=HttpWebhookPoster(webhooks),
        links=HttpLinkedFiles(webhooks),
        recordings=RecordingFolder(Path(settings.data_dir).absolute() / "recordings"),
        recordings_keep_days=settings.recordings_keep_days,
        media=media_storage(settings, http),
        media_limits=MediaLimits(
            image_bytes=settings.media_max_image_mb * 2**20,
            video_bytes=settings.media_max_video_mb * 2**20,
            document_bytes=settings.media_max_document_mb * 2**20,
            sticker_bytes=settings.media_max_sticker_kb * 2**10,
            keep_days=settings.media_keep_days,
        ),
    )


def media_storage(settings: Settings, http: httpx.AsyncClient) -> MediaStorage:
    """Build the storage of messages' files: the bucket that the settings name, or a folder."""
    if not settings.media_s3_bucket:
        return MediaFolder(Path(settings.data_dir).absolute() / "media")
    bucket = S3Bucket(
        endpoint=settings.media_s3_endpoint,
        region=settings.media_s3_region,
        name=settings.media_s3_bucket,
        key_id=settings.media_s3_key,
        secret=settings.media_s3_secret.get_secret_value(),
        is_in_host=settings.media_s3_style == "host",
    )
    return MediaS3(http, bucket)


def language_model(settings: Settings, http: httpx.AsyncClient, accounts: Accounts) -> LanguageModel:
    """Build the model that the settings name."""
    model = OpenAiChat(
        http,
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key.get_secret_value(),
        model=settings.openai_model,
        timeout_s=settings.openai_timeout_s,
        prices=(settings.openai_input_price, settings.openai_output_price),
    )
    return SharedModel(model, accounts, Account("openai", settings.openai_base_url))


async def refuse_unsafe_database(database: Database) -> None:
    """Raise StartRefusedError if this connection could see past row-level security."""
    try:
        async with database.driver() as connection:
            role = await connection.fetchrow(
                "SELECT rolname, rolsuper OR rolbypassrls AS bypasses"
                " FROM pg_roles WHERE rolname = current_user"
            )
    except StoreUnavailableError:
        log.warning("postgres_away_at_start")
        return
    if role["bypasses"]:
        raise StartRefusedError(
            f"The database role {role['rolname']} bypasses row-level security: use another."
        )


async def refuse_evicting_redis(redis: Redis) -> None:
    """Raise StartRefusedError if Redis may throw keys away when it is full."""
    try:
        memory = await redis.info("memory")
    except (RedisError, OSError):
        log.warning("redis_away_at_start")
        return
    refuse_eviction(memory)


def refuse_eviction(memory: Mapping[str, Any]) -> None:
    """Raise StartRefusedError for an evicting policy in what INFO says of Redis's memory."""
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StartRefusedError(
            f"Redis evicts keys when it is full (maxmemory-policy {policy}), and queued work with them: "
            "set maxmemory-policy to noeviction."
        )
