"""The folder that a stack keeps between starts: its lock, its secrets and the room left on its disk."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from server.errors import StartRefusedError

LEAST_FREE_BYTES = 200 * 1024 * 1024
_SECRETS = "secrets.json"


@dataclass(frozen=True, kw_only=True)
class KeptSecrets:
    """What is generated once and kept; ports too, so that an address noted down yesterday works today."""

    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(36))
    internal_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    postgres_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    redis_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    postgres_port: int = 0
    redis_port: int = 0


class DataDir:
    """One folder, used by one stack at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self, url: str) -> Iterator[None]:
        """Hold the folder for ourselves; raise StartRefusedError naming who has it.

        The lock is the kernel's: it ends with the process, however that dies.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.path / "lock").open("a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as refused:
                if refused.errno not in {errno.EAGAIN, errno.EACCES}:
                    raise
                lock.seek(0)
                raise StartRefusedError(_who_has(lock.read(), self.path)) from None
            lock.truncate(0)
            lock.write(json.dumps({"pid": os.getpid(), "url": url}))
            lock.flush()
            yield

    def address_in_use(self) -> str | None:
        """Return the address of the stack that runs on this folder; None while none does."""
        if not (self.path / "lock").exists():
            return None
        with (self.path / "lock").open(encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return str(json.loads(lock.read())["url"])
        return None

    def require_room(self, least_bytes: int = LEAST_FREE_BYTES) -> None:
        """Raise StartRefusedError when the disk is too full to start on."""
        free = shutil.disk_usage(self.path).free
        if free < least_bytes:
            raise StartRefusedError(
                f"The disk of {self.path} is full: {free // 2**20} MB are free and "
                f"{least_bytes // 2**20} MB are needed. Free some space, or set DATA_DIR to another disk."
            )

    def secrets(self) -> KeptSecrets:
        """Read the kept secrets, and generate and keep those that are missing."""
        file = self.path / _SECRETS
        try:
            known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
            kept = KeptSecrets(**known)
        except (ValueError, TypeError):
            raise StartRefusedError(
                f"{file} cannot be read: restore it, or start with another DATA_DIR."
            ) from None
        if asdict(kept) != known:
            self.keep(kept)
        return kept

    def keep(self, kept: KeptSecrets) -> None:
        """Write the secrets whole or not at all, for our eyes only."""
        unfinished = self.path / f"{_SECRETS}.new"
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(asdict(kept), indent=1), encoding="utf-8")
        unfinished.rename(self.path / _SECRETS)


def _who_has(noted: str, path: Path) -> str:
    try:
        owner = json.loads(noted)
        who = f"process {owner['pid']}, {owner['url']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return (
        f"ProSaaS already runs on the data in {path} ({who}): "
        "stop it first, or set another DATA_DIR and PORT."
    )
