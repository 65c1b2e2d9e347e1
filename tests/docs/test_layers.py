"""The layers that people read of are the ones that are enforced."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[2]


def layer(line: str) -> set[str]:
    return {name.strip(" ()") for name in line.split("|")}


def test_the_layers_on_the_page_are_those_that_imports_are_held_to():
    enforced = ConfigParser()
    enforced.read(ROOT / ".importlinter", encoding="utf-8")
    contracts = [enforced[name] for name in enforced.sections() if "layers" in enforced[name]]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = page.partition("## Layers")[2].split("```")[1]
    # What stands after two spaces explains the layer.
    told = [layer(re.split(r" {2,}", line)[0]) for line in block.strip().splitlines()]

    [contract] = contracts
    assert told == [layer(line) for line in contract["layers"].strip().splitlines()]
