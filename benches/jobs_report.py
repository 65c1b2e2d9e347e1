"""How the job benches tell what they found: figures beside their targets, and the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("rq", "redis", "dramatiq", "celery", "saq", "taskiq", "huey", "arq")


@dataclass(frozen=True)
class Target:
    """A figure, and what it must at least or at most be; None where it is only shown."""

    what: str
    found: float
    unit: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Tell whether the figure keeps its bounds."""
        return (self.least is None or self.found >= self.least) and (
            self.most is None or self.found <= self.most
        )

    @property
    def bound(self) -> str:
        """Return the bound in words."""
        if self.least is not None:
            return f"≥ {self.least:,g} {self.unit}".strip()
        return "" if self.most is None else f"≤ {self.most:,g} {self.unit}".strip()

    @property
    def verdict(self) -> str:
        """Return whether it holds, in a word."""
        return "" if not self.bound else "holds" if self.holds else "**missed**"


class Report:
    """What a run found, in Markdown: printed as it comes, and kept for the page."""

    def __init__(self) -> None:
        self.text = ""

    def say(self, text: str) -> None:
        """Print a paragraph or a table, and keep it."""
        print(f"\n{text}", flush=True)
        self.text += f"\n{text}\n"

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table, and keep it."""
        lines = [heads, ["---"] * len(heads), *rows]
        self.say("\n".join("| " + " | ".join(line) + " |" for line in lines))

    def targets(self, targets: Sequence[Target]) -> bool:
        """Tell what was found beside what was promised; return whether all of it holds."""
        self.table(
            ["what", "measured", "target", ""],
            [
                [one.what, f"{figure(one.found)} {one.unit}".strip(), one.bound, one.verdict]
                for one in targets
            ],
        )
        return all(one.holds for one in targets)


def figure(number: float) -> str:
    """Return a number with three digits that mean something."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def times(medians: Mapping[str, Mapping[str, float]], ours: str, peer: str, load: str) -> str:
    """Return how many times as fast as a peer ours is."""
    if ours not in medians:
        return ""
    return f"{figure(medians[ours][load] / medians[peer][load])} ×"


def machine() -> str:
    """Return what all this ran on, and what it ran."""
    model = next(
        (line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "model: unknown"
    )
    memory = next((line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "MemTotal: 0 kB")
    gigabytes = int(memory.split()[1]) / 1024**2
    processors = f"{os.cpu_count()} × {model.partition(':')[2].strip()}, {gigabytes:.0f} GiB"
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    peers = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"Machine: {processors}, {system}; load before the run {os.getloadavg()[0]:.1f}. {peers}."


def _lines(file: str) -> list[str]:
    return Path(file).read_text(encoding="utf-8").splitlines() if Path(file).exists() else []
