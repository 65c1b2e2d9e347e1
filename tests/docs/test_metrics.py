"""docs/metrics.md names exactly what running processes show: nothing is undocumented, nothing is made up."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.generate import DOCS
from tests.processes import Installation, installation, text_message

PAGE = DOCS / "metrics.md"
OURS = "prosaas_"
# A histogram's own label.
OF_THE_FORMAT = {"le"}


@dataclass(frozen=True)
class Figure:
    """One line of the page, or one family that a process shows."""

    name: str
    sort: str
    labels: frozenset[str]


def documented() -> dict[str, set[Figure]]:
    """Return what the page says that each process shows."""
    found: dict[str, set[Figure]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith(f"| `{OURS}"):
            continue
        name, processes, sort, labels = cells[:4]
        figure = Figure(name.strip("`"), sort, frozenset(filter(None, labels.split(", "))))
        for process in processes.split(", "):
            found.setdefault(process, set()).add(figure)
    return found


def shown(text: str) -> set[Figure]:
    """Return the families of ours that have a value on a process's page."""
    return {
        Figure(
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels) - OF_THE_FORMAT,
        )
        for family in text_string_to_metric_families(text)
        if family.name.startswith(OURS) and not family.name.endswith("_created") and family.samples
    }


@pytest.fixture
async def house(socket_folder: Path, tmp_path: Path) -> AsyncIterator[Installation]:
    async with installation(socket_folder, tmp_path) as house:
        await house.start("simulator")
        await house.start_all("api", "worker", "scheduler")
        yield house


async def test_the_page_names_what_running_processes_show_and_nothing_else(house: Installation) -> None:
    assert (await house.post(text_message("How much is a haircut?"))).status_code == 200
    assert (await house.post(text_message("Who am I?"), secret="wrong")).status_code == 401
    await house.until_sent(1)
    await house.until_quiet()
    await house.value(
        "INSERT INTO effect (key, business_id, provider, state, sending_at)"
        " SELECT 'in doubt', min(id), 'whatsapp_bridge', 'unknown', now() FROM business"
    )
    for process, figures in documented().items():
        async with httpx.AsyncClient() as client:
            page = await client.get(f"http://127.0.0.1:{house.ports[process][0]}/metrics")
        told = shown(page.text)
        others = {figure for one, said in documented().items() if one != process for figure in said}
        # What a process imports and never counts stands at zero there; it is another's line.
        assert told - figures <= others, process
        assert figures <= told, process


def test_every_alarm_names_figures_that_there_are() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## Worth an alarm")[2]
    known = {figure.name for figures in documented().values() for figure in figures}

    named = set(re.findall(rf"{OURS}\w+", text))
    assert len(named) > 8
    assert named <= known
