"""Every setting of a role's process; the only place that reads its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.errors import StartRefusedError
from server.roles import Role, parse_role


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{name} is not a time zone: use a name such as Asia/Jerusalem") from None
    return name


class Settings(BaseSettings):
    """What an operator can set; `docs/settings.md` explains each, and a test keeps the two alike."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    service_role: Role = Field(description="Which of the five roles this process plays.")
    database_url: SecretStr = Field(
        description="PostgreSQL 17 or newer, as postgresql://user:password@host/name."
    )
    redis_url: SecretStr = Field(description="Redis or Valkey 6.2 or newer, with the noeviction policy.")
    secret_key: SecretStr = Field(
        min_length=32, description="At least 32 characters; encrypts channel secrets and signs."
    )

    host: str = Field(default="127.0.0.1", description="Address that api and calls listen on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port that api and calls listen on.")
    health_port: int = Field(
        default=8010, ge=1, le=65535, description="Port of the worker's and the scheduler's health page."
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000", description="Address under which people and providers reach the api."
    )
    simulator_url: str = Field(
        default="", description="Address of the simulated outside world; the demo page exists only with it."
    )

    log_format: str = Field(default="console", pattern="^(console|json)$", description="console or json.")
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error."
    )

    scheduler_timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC", description="Time zone of the daily entries of the timetable."
    )
    scheduler_cycle_s: float = Field(
        default=0.5, ge=0.1, le=60, description="Most seconds between two looks at what is due."
    )
    scheduler_lock_ttl_s: int = Field(
        default=12, ge=3, le=90, description="Seconds after which an abandoned scheduler lock frees itself."
    )

    worker_queues: str = Field(
        default="default,low,maintenance", description="Queues this worker listens to, most urgent first."
    )
    worker_concurrency: int = Field(
        default=300, ge=1, le=2000, description="Waiting jobs that one worker process runs at once."
    )
    worker_processes: int = Field(
        default=2, ge=1, le=64, description="Processes that one worker keeps running side by side."
    )
    worker_isolated: int = Field(
        default=2, ge=1, le=64, description="Isolated jobs that each of them has running alone at once."
    )
    worker_memory_mb: int = Field(
        default=1024, ge=128, description="MiB at which a worker process drains and is replaced."
    )
    worker_recycle_s: float = Field(
        default=21600.0, ge=1, description="Seconds after which a worker process drains and is replaced."
    )
    job_lease_s: float = Field(
        default=15.0, ge=1, le=600, description="Seconds after which a dead worker's job may be taken over."
    )
    drain_grace_s: float = Field(
        default=20.0, ge=0, le=600, description="Seconds a worker gives its jobs to end after SIGTERM."
    )

    openai_base_url: str = Field(
        default="", description="Any OpenAI-compatible server; without it the knowledge responder answers."
    )
    openai_api_key: SecretStr = Field(default=SecretStr(""), description="Key for that server.")
    openai_model: str = Field(default="gpt-4o-mini", description="Model asked of that server.")
    openai_timeout_s: float = Field(
        default=20.0, ge=1, le=300, description="Seconds the model may take before the responder answers."
    )
    openai_input_price: float = Field(
        default=0.15, ge=0, le=10_000, description="US dollars that a million tokens told to the model cost."
    )
    openai_output_price: float = Field(
        default=0.60, ge=0, le=10_000, description="US dollars that a million tokens it answers cost."
    )

    whatsapp_bridge_urls: str = Field(
        default="",
        description="Where owners may connect a bridge: http://host:port, comma separated; * for anywhere.",
    )
    whatsapp_cloud_url: str = Field(
        default="https://graph.facebook.com",
        pattern="^https?://",
        description="Address of Meta's Graph API, without its version.",
    )
    whatsapp_api_version: str = Field(
        default="v23.0",
        pattern=r"^v[0-9]{1,3}\.[0-9]{1,3}$",
        description="Version of Meta's Graph API that WhatsApp numbers are spoken to in.",
    )

    webhooks_allowed_hosts: str = Field(
        default="",
        description="Private hosts, host:port or networks that addresses of webhooks and files may lead to.",
    )

    data_dir: str = Field(
        default=".data",
        description="Folder of files, shared by api and workers: `recordings` of calls, `media` of messages.",
    )
    recordings_keep_days: int = Field(
        default=90, ge=1, le=36500, description="Days after which the file of a recorded call is removed."
    )

    media_keep_days: int = Field(
        default=365, ge=1, le=36500, description="Days after which the file of a message is removed."
    )
    media_max_image_mb: int = Field(
        default=5,
        ge=1,
        le=1024,
        description="Largest picture that is kept, in MiB; WhatsApp's own limit is 5.",
    )
    media_max_video_mb: int = Field(
        default=16, ge=1, le=1024, description="Largest video or recording that is kept, in MiB."
    )
    media_max_document_mb: int = Field(
        default=100, ge=1, le=2048, description="Largest document that is kept or sent, in MiB."
    )
    media_max_sticker_kb: int = Field(
        default=500, ge=1, le=10240, description="Largest sticker that is kept, in KiB."
    )
    media_s3_bucket: str = Field(
        default="",
        description="Bucket for files of messages; without one they are in the folder `media` of DATA_DIR.",
    )
    media_s3_endpoint: str = Field(
        default="https://s3.amazonaws.com", description="Address of the S3-compatible storage."
    )
    media_s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    media_s3_key: str = Field(default="", description="Access key of the bucket.")
    media_s3_secret: SecretStr = Field(default=SecretStr(""), description="Secret of that key.")
    media_s3_style: str = Field(
        default="path",
        pattern="^(path|host)$",
        description="Where the bucket's name stands in an address: path or host.",
    )

    enable_schedulers: str = Field(
        default="", description="Deprecated: the scheduler service keeps time. Has no effect."
    )

    @property
    def bridge_urls(self) -> tuple[str, ...]:
        """Return the addresses that owners may connect a bridge at."""
        told = (url.strip().rstrip("/") for url in self.whatsapp_bridge_urls.split(","))
        return tuple(url for url in told if url)


def load_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings; raise StartRefusedError with one sentence a wrong or missing value."""
    source = os.environ if environ is None else environ
    parse_role(overrides.get("service_role", source.get("SERVICE_ROLE")))
    given = {name: source[name.upper()] for name in Settings.model_fields if source.get(name.upper())}
    try:
        return Settings(**(given | overrides))
    except ValidationError as wrong:
        raise StartRefusedError("\n".join(_sentence(error) for error in wrong.errors())) from None


def deprecated_settings(settings: Settings) -> list[str]:
    """Return a sentence for each setting that an operator still relies on and that does nothing any more."""
    if settings.enable_schedulers.strip().lower() in {"", "0", "false", "no", "off"}:
        return []
    return ["ENABLE_SCHEDULERS has no effect: the scheduler service (SERVICE_ROLE=scheduler) keeps time."]


def _sentence(error: Any) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else "A setting"
    if error["type"] == "missing":
        return f"{name} is not set: {Settings.model_fields[name.lower()].description}"
    return f"{name} is not valid: {error['msg']}."
