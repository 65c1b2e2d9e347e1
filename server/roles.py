"""What each process may do: the one table behind SERVICE_ROLE.

API enqueues only. Worker processes only. Scheduler schedules only. Threads
only for realtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from server.errors import StartRefusedError


class Role(StrEnum):
    """The values of SERVICE_ROLE."""

    API = "api"
    CALLS = "calls"
    WORKER = "worker"
    SCHEDULER = "scheduler"
    ALL = "all"


class Right(StrEnum):
    """A kind of work that only some roles may start."""

    SERVE_PEOPLE = "serve HTTP to people"
    STREAM_AUDIO = "stream audio"
    RUN_JOBS = "run jobs"
    KEEP_TIME = "keep time"
    START_OTHERS = "start the other roles"


@dataclass(frozen=True)
class RoleRules:
    """One row of the table: what a role does and which database role it connects as."""

    rights: frozenset[Right]
    database_role: str | None
    command: str


ROLES: Mapping[Role, RoleRules] = {
    Role.API: RoleRules(frozenset({Right.SERVE_PEOPLE}), "prosaas_api", "python -m server"),
    Role.CALLS: RoleRules(
        frozenset({Right.SERVE_PEOPLE, Right.STREAM_AUDIO}), "prosaas_api", "python -m server"
    ),
    Role.WORKER: RoleRules(frozenset({Right.RUN_JOBS}), "prosaas_worker", "python -m server.worker"),
    Role.SCHEDULER: RoleRules(
        frozenset({Right.KEEP_TIME}), "prosaas_scheduler", "python -m server.scheduler.run_scheduler"
    ),
    Role.ALL: RoleRules(frozenset({Right.START_OTHERS}), None, "prosaas up"),
}

THE_FIVE = ", ".join(Role)


def parse_role(value: str | None) -> Role:
    """Turn SERVICE_ROLE into a role; raise StartRefusedError with a sentence that lists the five."""
    if not value:
        raise StartRefusedError(f"SERVICE_ROLE is not set: set it to one of {THE_FIVE}.")
    try:
        return Role(value)
    except ValueError:
        raise StartRefusedError(f"SERVICE_ROLE={value} is not a role: use one of {THE_FIVE}.") from None


def require(role: Role, right: Right) -> None:
    """Let a process start a kind of work, or raise StartRefusedError naming who may."""
    if right in ROLES[role].rights:
        return
    entitled = next(name for name, rules in ROLES.items() if right in rules.rights)
    raise StartRefusedError(
        f"SERVICE_ROLE={role} may not {right}: start this with SERVICE_ROLE={entitled} "
        f"({ROLES[entitled].command})."
    )
