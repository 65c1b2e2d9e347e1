"""What the papers name is there, and they speak of the product alone."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"\./run(?: ([a-z-]+))?")
PATH = re.compile(r"`((?:server|simulator|tests|docs|benches|locks)/[\w./-]*)`")
# A repository that names an index or a folder of one machine works only there.
FORBIDDEN = re.compile(r"py[p]i\.org|python[h]osted|npm[j]s\.|deb\.[d]ebian|/wor[k]/|/roo[t]/")


def papers() -> list[Path]:
    return sorted(ROOT / name for name in tracked() if name.endswith(".md"))


def tracked() -> Iterator[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    yield from (name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


def heading_ids(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere():
    broken = []
    for paper in papers():
        for link in LINK.findall(paper.read_text(encoding="utf-8")):
            if link.startswith("https://"):
                continue
            name, _, place = link.partition("#")
            target = (paper.parent / name) if name else paper
            if not target.exists() or (
                place and place not in heading_ids(target.read_text(encoding="utf-8"))
            ):
                broken.append(f"{paper.relative_to(ROOT)}: {link}")

    assert broken == []


def test_every_file_that_is_named_is_there():
    missing = [
        f"{paper.relative_to(ROOT)}: {name}"
        for paper in papers()
        for name in PATH.findall(paper.read_text(encoding="utf-8"))
        if not (ROOT / name).exists() and not is_an_example(name)
    ]

    assert missing == []


def test_the_commands_of_the_papers_are_verbs_of_run():
    told = subprocess.run([ROOT / "run", "help"], capture_output=True, text=True, check=True).stdout
    verbs = {verb for verb in COMMAND.findall(told) if verb}

    unknown = [
        f"{paper.relative_to(ROOT)}: ./run {verb}"
        for paper in papers()
        for verb in in_code(paper)
        if verb and verb not in verbs
    ]

    assert unknown == []
    assert verbs <= set(in_code(ROOT / "README.md"))


def test_nothing_names_a_package_index_or_a_folder_of_one_machine():
    named = [
        f"{name}:{number}"
        for name in tracked()
        if (text := readable(ROOT / name))
        for number, line in enumerate(text.splitlines(), 1)
        if FORBIDDEN.search(line)
    ]

    assert named == []


def in_code(paper: Path) -> list[str]:
    """Return the verbs in a paper's code, where `./run` is a command and not prose."""
    text = paper.read_text(encoding="utf-8")
    code = re.findall(r"```(?:\w*)\n(.*?)```|`([^`\n]+)`", text, flags=re.DOTALL)
    return [verb for block in code for part in block for verb in COMMAND.findall(part)]


def is_an_example(name: str) -> bool:
    """Tell whether a path stands for one that a contributor would make."""
    return name == "server/jobs/push_send_job.py"


def readable(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_every_dependency_has_its_sentence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    told = (ROOT / "docs/decisions/0011-dependencies.md").read_text(encoding="utf-8")
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    names = {re.split(r"[\[<>=~! ;]", line)[0] for group in lists for line in group}

    assert sorted(name for name in names if f"`{name}`" not in told) == []
    listed = set(re.findall(r"^\| `([\w-]+)` \|", told, flags=re.MULTILINE))
    assert sorted(listed - names) == []
