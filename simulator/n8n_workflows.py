"""The workflows of a simulated n8n that are active."""

from dataclasses import dataclass, field

# Active from the start, for the demo; it starts whatever arrives, signed or not.
OPEN_PATH = "prosaas"


@dataclass
class Workflows:
    """The active workflows by the path of their webhook, with the secret that each verifies, if it does."""

    secrets: dict[str, str | None] = field(default_factory=lambda: {OPEN_PATH: None})

    def clear(self) -> None:
        """Know the open one alone again."""
        self.secrets = {OPEN_PATH: None}
