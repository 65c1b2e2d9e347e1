"""The folder of a PostgreSQL cluster: made whole or not at all, and freed of a dead server's lock."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from server.errors import StartRefusedError
from server.stack.binaries import PostgresBinaries
from server.stack.child import AsUser, Program, run_to_end
from server.stack.identity import give_to
from server.stack.waiting import poll

_BUILTIN_LOCALE_SINCE = 17
_DYING_SERVER_S = 5.0


@dataclass(frozen=True, kw_only=True)
class ClusterPlan:
    """What a new cluster is made with."""

    user: str
    password: str
    as_user: AsUser
    env: Mapping[str, str]
    # Only for data that dies with a test run.
    durable: bool = True


def major_of(data: Path) -> int | None:
    """Return the major version a cluster was made by, or None when there is none."""
    version = data / "PG_VERSION"
    return int(version.read_text(encoding="ascii").strip()) if version.exists() else None


async def make_cluster(binaries: PostgresBinaries, data: Path, plan: ClusterPlan) -> None:
    """Run initdb beside the final place, then rename: a killed first start leaves no half a cluster."""
    unfinished = data.with_name(data.name + ".init")
    code, said = 1, ""
    for locale in _locales(binaries.major):
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        give_to(plan.as_user, unfinished)
        code, said = await _initdb(binaries, unfinished, plan, locale)
        if code == 0:
            unfinished.rename(data)
            return
        if "No space left" in said:
            break
    shutil.rmtree(unfinished, ignore_errors=True)
    raise StartRefusedError(_why(data, said))


def _locales(major: int) -> tuple[tuple[str, ...], ...]:
    if major < _BUILTIN_LOCALE_SINCE:
        return (("--locale=C.UTF-8",), ("--locale=C",))
    builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    return ((*builtin, "--lc-ctype=C.UTF-8"), builtin)


async def _initdb(
    binaries: PostgresBinaries, folder: Path, plan: ClusterPlan, locale: tuple[str, ...]
) -> tuple[int, str]:
    with tempfile.NamedTemporaryFile("w", dir=folder.parent, prefix="pw-") as password:
        password.write(plan.password + "\n")
        password.flush()
        give_to(plan.as_user, Path(password.name))
        return await run_to_end(
            Program(
                name="initdb",
                argv=(
                    *(binaries.initdb, "-D", str(folder), "--username", plan.user),
                    *("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password.name}"),
                    *("--encoding=UTF8", *locale, *(() if plan.durable else ("--no-sync",))),
                ),
                env=plan.env,
                as_user=plan.as_user,
            )
        )


def _why(data: Path, said: str) -> str:
    if "No space left" in said:
        return f"The disk is full: free some space for the database in {data.parent} and start again."
    last = next((line for line in reversed(said.splitlines()) if "error" in line.lower()), said.strip())
    return f"PostgreSQL could not make a database in {data}: {last or 'initdb said nothing'}"


async def clear_stale_lock(data: Path) -> None:
    """Wait for a dying server to be gone, then remove the lock it left; refuse while one still serves.

    PostgreSQL itself trusts the process id in its lock file, which after a restart of the
    machine or the container may belong to anybody.
    """
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    if not await poll(lambda: _none_serves(data), within_s=_DYING_SERVER_S):
        raise StartRefusedError(f"Another PostgreSQL already serves {data}: stop it first.")
    lock.unlink(missing_ok=True)


async def _none_serves(data: Path) -> bool:
    return not servers_of(data)


def servers_of(data: Path) -> list[int]:
    """Return the ids of the PostgreSQL processes that work in this folder."""
    real = data.resolve()
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if _works_in(process, real)]


def _works_in(process: Path, data: Path) -> bool:
    try:
        return (process / "cwd").readlink() == data and "postgres" in (process / "comm").read_text()
    except (OSError, UnicodeDecodeError):
        return False
