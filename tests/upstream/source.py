"""RQ's tests, from its source distribution in the package index: the locked version, by the locked hash."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from rq.version import VERSION

ROOT = Path(__file__).parents[2]
# Fetched once for each environment, which has this version of RQ installed.
CACHE = ROOT / ".venv" / "upstream"
ARCHIVE = CACHE / f"rq-{VERSION}.tar.gz"


class UntrustedError(Exception):
    """What was fetched, or is installed, is not what the lock names."""


def unpack_tests(folder: Path) -> list[str]:
    """Put RQ's tests into `folder/tests`; return the names of their modules."""
    if not ARCHIVE.exists():
        _fetch()
    if hashlib.sha256(ARCHIVE.read_bytes()).hexdigest() not in locked_hashes():
        raise UntrustedError(f"{ARCHIVE}: its hash is not in locks/dev.txt; remove it")
    with tarfile.open(ARCHIVE) as archive:
        inside = f"rq-{VERSION}/"
        members = [one for one in archive.getmembers() if one.name.startswith(f"{inside}tests/")]
        for member in members:
            member.name = member.name.removeprefix(inside)
        archive.extractall(folder, members, filter="data")
    return sorted(path.stem for path in (folder / "tests").glob("test_*.py"))


def locked_hashes() -> set[str]:
    """Return the hashes that the lock allows for the installed version of RQ."""
    return set(re.findall(r"sha256:([0-9a-f]{64})", _locked()))


def _locked() -> str:
    lock = (ROOT / "locks" / "dev.txt").read_text(encoding="utf-8")
    found = re.search(rf"^rq=={re.escape(VERSION)} \\\n(?:    --hash=.*\n)+", lock, re.MULTILINE)
    if found is None:
        raise UntrustedError(f"rq {VERSION} is installed, and locks/dev.txt names another version")
    return found.group()


def _fetch() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = CACHE / "wanted.txt"
    wanted.write_text(_locked(), encoding="utf-8")
    fetch = (sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps")
    # Without isolation the build backend that reads its name and version is the locked one, too.
    only_source = ("--no-binary", "rq", "--no-build-isolation", "--require-hashes")
    done = subprocess.run([*fetch, *only_source, "--dest", str(CACHE), "-r", str(wanted)], check=False)
    if done.returncode != 0:
        raise SystemExit(
            f"RQ {VERSION}'s source could not be fetched: is the network there? (the lines above say more)"
        )
