"""What a test tells the simulated language model to answer next."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from simulator.errors import BadInputError
from simulator.jsontypes import Json

MOST_LINES = 1_000
MOST_CALLS = 20


@dataclass(frozen=True)
class Call:
    """A tool that the model asks for."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Line:
    """One answer; `when` is a part of the customer's last message, without which it is not given yet."""

    text: str | None
    calls: Sequence[Call] = ()
    when: str = ""

    def message(self) -> Json:
        """Return it as a message of a completion."""
        calls = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for number, call in enumerate(self.calls)
        ]
        return {"role": "assistant", "content": self.text, "tool_calls": calls}


class Script:
    """Answers in the order in which they were given; whoever finds none makes up one of their own."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()

    def add(self, lines: Sequence[Line]) -> None:
        """Take in more answers."""
        if len(self._lines) + len(lines) > MOST_LINES:
            raise BadInputError(f"At most {MOST_LINES} lines may wait.")
        self._lines.extend(lines)

    def take(self, messages: Sequence[Json]) -> Line | None:
        """Return the first answer that fits the conversation, and forget it."""
        if not self._lines:
            return None
        said = next((one.get("content") for one in reversed(messages) if one.get("role") == "user"), "")
        found = next((line for line in self._lines if line.when in str(said)), None)
        if found is not None:
            self._lines.remove(found)
        return found

    def clear(self) -> None:
        """Forget what was not given."""
        self._lines.clear()


def parse_script(body: Json) -> list[Line]:
    """Read `{"lines": [{"text"?, "calls"?: [{"name", "arguments": {…}}], "when"?}]}`."""
    lines = body.get("lines")
    if not isinstance(lines, list) or not lines:
        raise BadInputError("lines must be a list of at least one line.")
    return [_line(line) for line in lines]


def _line(body: object) -> Line:
    if not isinstance(body, dict):
        raise BadInputError("A line must be an object.")
    text, calls, when = body.get("text"), body.get("calls", []), body.get("when", "")
    if not (text is None or isinstance(text, str)) or not isinstance(when, str):
        raise BadInputError("text and when must be strings.")
    if not isinstance(calls, list) or len(calls) > MOST_CALLS or not (text or calls):
        raise BadInputError(f"A line needs a text, or 1 to {MOST_CALLS} calls.")
    return Line(text, [_call(call) for call in calls], when)


def _call(body: object) -> Call:
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(name, str) or not name:
        raise BadInputError("A call needs a name.")
    arguments = body.get("arguments", {})
    # A string is given as it is: a model may write what is no JSON.
    return Call(name, arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode())
