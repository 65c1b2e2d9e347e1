"""What asking a model comes to."""

from __future__ import annotations

from dataclasses import dataclass

from server.ports import Completion


@dataclass(frozen=True)
class Spent:
    """What asking a model came to, over all its rounds; cost in millionths of a US dollar."""

    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro: int = 0

    def __add__(self, completion: Completion) -> Spent:
        """Return this with one more answer paid for."""
        return Spent(
            completion.model,
            self.input_tokens + completion.input_tokens,
            self.output_tokens + completion.output_tokens,
            self.cost_micro + completion.cost_micro,
        )
