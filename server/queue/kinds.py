"""What a job kind is, and the two registers that meet in a dotted name.

`catalog` fills the register of kinds, `server.jobs` that of handlers. A payload is the only
thing that crosses between roles.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError

from server.errors import BadInputError

if TYPE_CHECKING:
    from server.db.session import Session
    from server.queue.aftermath import GivenUp
    from server.queue.run import Run

Handler: TypeAlias = "Callable[[Run, Any], Awaitable[None]]"
Aftermath: TypeAlias = "Callable[[Run, Session, Any, GivenUp], Awaitable[None]]"
PayloadT = TypeVar("PayloadT", bound=type)
HandlerT = TypeVar("HandlerT", bound="Handler")
AftermathT = TypeVar("AftermathT", bound="Aftermath")


class Urgency(IntEnum):
    """Strict classes of work, most urgent first."""

    REPLY = 0
    FOLLOW_UP = 1
    PUSH = 2
    BROADCAST = 3
    UPKEEP = 4


@dataclass(frozen=True)
class JobKind:
    """One line of the catalogue. `retry_after_s` holds the waits between tries, one a retry.

    An `isolated` kind runs in a process of its own: it may block, eat memory or crash.
    """

    name: str
    payload_type: type
    adapter: TypeAdapter[Any]
    queue: str
    urgency: Urgency
    timeout_s: float
    retry_after_s: tuple[float, ...]
    version: int
    expires_after_s: float | None
    isolated: bool

    @property
    def dotted_name(self) -> str:
        """Return what RQ's tools show: where the handler is."""
        return dotted_name(self.name)

    def encode(self, payload: object) -> str:
        """Return the payload as JSON text."""
        return self.adapter.dump_json(payload).decode()

    def decode(self, payload: str, version: int) -> Any:
        """Return the payload from the ledger; raise BadInputError when it is not one of this kind."""
        if version > self.version:
            raise BadInputError("newer_version", f"{self.name} version {version} is newer than this worker")
        try:
            return self.adapter.validate_json(payload)
        except ValidationError as error:
            raise BadInputError("bad_payload", f"{self.name}: its payload cannot be read") from error


def dotted_name(kind: str) -> str:
    """Return where a kind's handler is, known here or not."""
    return f"server.jobs.{kind}.{kind}"


KINDS: dict[str, JobKind] = {}
KIND_OF: dict[type, JobKind] = {}
HANDLERS: dict[str, Handler] = {}
AFTERMATHS: dict[str, Aftermath] = {}


def job(
    *,
    queue: str,
    urgency: Urgency,
    timeout_s: float,
    retry_after_s: tuple[float, ...] = (10, 30, 60),
    version: int = 1,
    expires_after_s: float | None = None,
    isolated: bool = False,
) -> Callable[[PayloadT], PayloadT]:
    """Enter a payload's class in the catalogue; WebhookProcess becomes webhook_process_job."""

    def enter(payload_type: PayloadT) -> PayloadT:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", payload_type.__name__).lower() + "_job"
        adapter: TypeAdapter[Any] = TypeAdapter(payload_type)
        kind = JobKind(
            name,
            payload_type,
            adapter,
            queue,
            urgency,
            timeout_s,
            retry_after_s,
            version,
            expires_after_s,
            isolated,
        )
        KINDS[name] = KIND_OF[payload_type] = kind
        return payload_type

    return enter


def handles(payload_type: type) -> Callable[[HandlerT], HandlerT]:
    """Enter a function as the handler of a payload's kind; module and function share the kind's name."""

    def enter(handler: HandlerT) -> HandlerT:
        HANDLERS[KIND_OF[payload_type].name] = handler
        return handler

    return enter


def gives_up(payload_type: type) -> Callable[[AftermathT], AftermathT]:
    """Enter a function as what follows where a job of a kind ended without its handler's last word.

    It is called within the last transaction of another run, in which nobody can run the job again.
    """

    def enter(aftermath: AftermathT) -> AftermathT:
        AFTERMATHS[KIND_OF[payload_type].name] = aftermath
        return aftermath

    return enter


# Of the operations handbook, whether or not a kind uses them yet.
QUEUES = ("default", "low", "maintenance")


def queues() -> Mapping[str, list[str]]:
    """Return queue → names of the kinds that use it."""
    found: dict[str, list[str]] = {}
    for kind in KINDS.values():
        found.setdefault(kind.queue, []).append(kind.name)
    return found
