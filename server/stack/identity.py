"""Who an embedded PostgreSQL runs as: it refuses root, and a user whose number has no name."""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from server.errors import StartRefusedError
from server.stack.binaries import PostgresBinaries
from server.stack.child import AsUser, Program, launcher_command
from server.stack.launch import NOBODY


@functools.cache
def choose_user() -> AsUser:
    """Choose ourselves when that is allowed, else a user namespace, else nobody."""
    if os.geteuid() != 0 and _has_a_name(os.geteuid()):
        return AsUser.SAME
    if _works(AsUser.NAMESPACE, "true"):
        return AsUser.NAMESPACE
    if os.geteuid() == 0 and _works(AsUser.NOBODY, "true"):
        return AsUser.NOBODY
    raise StartRefusedError(
        "PostgreSQL cannot run as this user here: start as an ordinary user, or set DATABASE_URL."
    )


def give_to(as_user: AsUser, *paths: Path) -> None:
    """Hand our own files to the user that will serve them; never touches what stands above them."""
    if os.geteuid() != 0:
        return
    owner = NOBODY if as_user is AsUser.NOBODY else 0
    for top in paths:
        if top.stat().st_uid != owner:
            for path in (top, *top.rglob("*")):
                os.chown(path, owner, owner, follow_symlinks=False)


def reachable(binaries: PostgresBinaries, as_user: AsUser) -> PostgresBinaries:
    """Return binaries that this user can start: the same, or a copy where everybody may read."""
    if as_user is not AsUser.NOBODY or _works(as_user, binaries.postgres, "--version"):
        return binaries
    return copy_of(binaries, Path(tempfile.gettempdir()) / f"prosaas-postgres-{binaries.major}")


def copy_of(binaries: PostgresBinaries, place: Path) -> PostgresBinaries:
    """Copy an installed tree with its layout: its programs find their libraries by relative paths."""
    install = binaries.folder.parent
    package = install.parent
    there = place / package.name / install.name
    if place.exists() and place.stat().st_uid != os.geteuid():
        raise StartRefusedError(f"{place} belongs to another user: remove it, or set DATABASE_URL.")
    if not (there / "bin" / "postgres").exists():
        for name in ("lib", "share", "bin"):
            shutil.copytree(install / name, there / name, dirs_exist_ok=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, place / libraries.name, dirs_exist_ok=True)
        for path in (place, *place.rglob("*")):
            path.chmod(0o755)
    return PostgresBinaries(there / "bin", binaries.major)


def _has_a_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _works(as_user: AsUser, *command: str) -> bool:
    if sys.platform != "linux":
        return False
    program = Program(name="probe", argv=command, env=os.environ, as_user=as_user)
    probe = subprocess.run(launcher_command(program), capture_output=True, check=False)
    return probe.returncode == 0
