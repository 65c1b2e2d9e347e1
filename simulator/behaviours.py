"""How a provider answers its next calls."""

from collections import deque
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from simulator.cloud_errors import status_of
from simulator.errors import BadInputError
from simulator.jsontypes import Json

LONGEST_DELAY_MS = 600_000
MOST_TIMES = 1_000_000
FIRST_REFUSAL = 400
MOST_CODE = 9_999_999


class ProviderName(StrEnum):
    """The providers this world has."""

    BRIDGE = "whatsapp_bridge"
    CLOUD = "whatsapp_cloud"
    OPENAI = "openai"
    N8N = "n8n"


# What only some providers can do.
_ALONE = (
    (frozenset({"echo"}), (ProviderName.BRIDGE,)),
    (frozenset({"error_code", "fail_status_code"}), (ProviderName.CLOUD,)),
    (
        frozenset({"receipts", "duplicate_status", "status_first"}),
        (ProviderName.BRIDGE, ProviderName.CLOUD),
    ),
)


@dataclass(frozen=True)
class Behaviour:
    """What to do with one call.

    With a `status` of 400 or more the provider does not take the work on. In every other case it does,
    also when the answer is then delayed, dropped (connection closed without a byte) or never given.
    `error_code` refuses with this code of Meta's; `fail_status_code` takes the message and then reports
    that it failed with it; `status_first` posts the reports before the answer is given.
    """

    delay_ms: int = 0
    status: int | None = None
    drop_answer: bool = False
    hang: bool = False
    retry_after_s: int | None = None
    duplicate_status: bool = False
    error_code: int | None = None
    fail_status_code: int | None = None
    status_first: bool = False

    @property
    def refuses(self) -> bool:
        """Whether the provider turns the work down."""
        return self.status is not None and self.status >= FIRST_REFUSAL

    def as_json(self) -> Json | None:
        """Return only what differs from an ordinary answer, or None."""
        ordinary = asdict(Behaviour())
        return {key: value for key, value in asdict(self).items() if value != ordinary[key]} or None


@dataclass(frozen=True)
class BehaviourOrder:
    """A request to `POST /sim/behaviour`: a behaviour for the next calls, lasting habits, or both."""

    provider: ProviderName
    times: int
    behaviour: Behaviour
    path: str | None = None
    echo: bool | None = None
    receipts: bool | None = None


@dataclass
class _Waiting:
    behaviour: Behaviour
    path: str | None
    times: int


@dataclass
class BehaviourQueue:
    """Behaviours wait in line, per provider, and are used up in order."""

    _waiting: dict[ProviderName, deque[_Waiting]] = field(
        default_factory=lambda: {name: deque() for name in ProviderName}
    )

    def add(self, order: BehaviourOrder) -> None:
        """Put a behaviour at the end of its provider's line; a change of habits alone waits for no call."""
        if order.behaviour != Behaviour():
            line = self._waiting[order.provider]
            line.append(_Waiting(order.behaviour, order.path, order.times))

    def take(self, provider: ProviderName, path: str) -> Behaviour:
        """Use up the first behaviour that is meant for this call."""
        line = self._waiting[provider]
        for waiting in line:
            if waiting.path is None or path.endswith(waiting.path):
                waiting.times -= 1
                if waiting.times == 0:
                    line.remove(waiting)
                return waiting.behaviour
        return Behaviour()

    def clear(self) -> None:
        """Let every provider answer in the ordinary way again."""
        for line in self._waiting.values():
            line.clear()


def parse_order(body: Json) -> BehaviourOrder:
    """Read a behaviour request; raises BadInputError with a sentence that names the field."""
    known = {"provider", "times", "path", "echo", "receipts", *asdict(Behaviour())}
    unknown = sorted(set(body) - known)
    if unknown:
        raise BadInputError(f"Unknown field {unknown[0]!r}: use any of {', '.join(sorted(known))}.")
    order = BehaviourOrder(
        provider=_provider(body.get("provider")),
        times=_whole_number(body, "times", 1, most=MOST_TIMES) or 1,
        behaviour=_behaviour(body),
        path=_path(body.get("path")),
        echo=_switch(body, "echo"),
        receipts=_switch(body, "receipts"),
    )
    for names, providers in _ALONE:
        if order.provider not in providers and not names.isdisjoint(body):
            listed = ", ".join(sorted(names))
            raise BadInputError(f"{listed}: only for {' and '.join(providers)}, not {order.provider}.")
    return order


def _behaviour(body: Json) -> Behaviour:
    status = _whole_number(body, "status", 200, most=599)
    retry_after_s = _whole_number(body, "retry_after_s", 0, most=86_400)
    behaviour = Behaviour(
        delay_ms=_whole_number(body, "delay_ms", 0, most=LONGEST_DELAY_MS) or 0,
        status=status,
        drop_answer=_switch(body, "drop_answer") or False,
        hang=_switch(body, "hang") or False,
        retry_after_s=retry_after_s,
        duplicate_status=_switch(body, "duplicate_status") or False,
        error_code=_whole_number(body, "error_code", 0, most=MOST_CODE),
        fail_status_code=_whole_number(body, "fail_status_code", 0, most=MOST_CODE),
        status_first=_switch(body, "status_first") or False,
    )
    if behaviour.error_code is not None and status is None:
        return replace(behaviour, status=status_of(behaviour.error_code))
    if retry_after_s is not None and status is None:
        return replace(behaviour, status=429)
    return behaviour


def _provider(value: object) -> ProviderName:
    try:
        return ProviderName(str(value))
    except ValueError as error:
        names = ", ".join(ProviderName)
        raise BadInputError(f"Unknown provider {value!r}: use one of {names}.") from error


def _path(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.startswith("/")):
        return value
    raise BadInputError('path must be the end of a call\'s path, such as "/send".')


def _switch(body: Json, name: str) -> bool | None:
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise BadInputError(f"{name} must be true or false, not {value!r}.")


def _whole_number(body: Json, name: str, least: int, *, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadInputError(f"{name} must be a whole number from {least} to {most}, not {value!r}.")
    return value
