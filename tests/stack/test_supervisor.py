"""The supervisor, with tiny children."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.errors import StartRefusedError
from server.stack.merged_log import MergedLog
from server.stack.supervisor import Supervisor
from tests.stack.dummies import dummy, eventually, is_alive, lines_of, notes_of

SUPERVISED = """
import asyncio, sys
from pathlib import Path
from server.stack.merged_log import MergedLog
from server.stack.supervisor import Supervisor
from tests.stack.dummies import dummy

async def main():
    notes = Path(sys.argv[1])
    supervisor = Supervisor(MergedLog())
    async def start():
        await supervisor.start_stage(dummy("below", notes))
        await supervisor.start_stage(dummy("left", notes), dummy("right", notes, *sys.argv[2:]))
        print("up", flush=True)
    await supervisor.run(start)

asyncio.run(main())
"""


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


@pytest.fixture
def supervised(notes):
    """Starts a supervisor in a process of its own, and waits until its children run."""
    started = []

    def start(*habits):
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISED, str(notes), *habits],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def ends(process: subprocess.Popen[str]) -> int:
    await eventually(lambda: process.poll() is not None)
    return process.wait()


async def test_a_stop_signal_ends_the_stages_in_reverse_order(supervised, notes):
    process = supervised()

    process.send_signal(signal.SIGTERM)

    assert await ends(process) == 0
    stopped = [name for name, did, _ in lines_of(notes) if did == "stopped"]
    assert set(stopped[:2]) == {"left", "right"}
    assert stopped[2:] == ["below"]


async def test_ctrl_c_in_the_terminal_reaches_the_children_only_through_the_supervisor(supervised, notes):
    supervised()
    pids = [pid for _, _, pid in lines_of(notes)]

    sessions = {os.getsid(int(pid)) for pid in pids}

    assert sessions == {int(pid) for pid in pids}


async def test_killing_the_supervisor_leaves_no_orphan_even_one_deaf_to_sigterm(supervised, notes):
    process = supervised("deaf")
    pids = [int(pid) for _, did, pid in lines_of(notes) if did == "started"]

    process.kill()

    assert len(pids) == 3
    await eventually(lambda: not any(is_alive(pid) for pid in pids))


async def test_a_second_signal_kills_at_once(supervised, notes):
    process = supervised("deaf")
    process.send_signal(signal.SIGINT)
    await eventually(lambda: bool(notes_of(notes, "left", "stopped")))
    asked_at = time.monotonic()

    process.send_signal(signal.SIGINT)

    await ends(process)
    assert time.monotonic() - asked_at < 3
    assert not any(is_alive(int(pid)) for _, _, pid in lines_of(notes))


async def run_until(supervisor: Supervisor, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a supervisor, act once it is up, then stop it as Ctrl-C does."""

    async def start() -> None:
        await act()
        os.kill(os.getpid(), signal.SIGINT)

    await supervisor.run(start)


async def test_a_child_that_dies_is_started_again(notes):
    supervisor = Supervisor(MergedLog(io.StringIO()))

    async def kill_and_wait():
        await supervisor.start_stage(dummy("api", notes))
        os.kill(supervisor.pids["api"][0], signal.SIGKILL)
        await eventually(lambda: len(notes_of(notes, "api", "started")) == 2)

    await run_until(supervisor, kill_and_wait)

    first, second = notes_of(notes, "api", "started")
    assert first != second
    assert not is_alive(second)


async def test_a_child_that_ends_while_starting_stops_the_start(notes):
    supervisor = Supervisor(MergedLog(io.StringIO()))

    async def start():
        await supervisor.start_stage(dummy("postgres", notes))
        await supervisor.start_stage(dummy("api", notes, "die"), dummy("worker", notes))

    with pytest.raises(StartRefusedError, match=r"api ended while starting \(exit code 3\)"):
        await supervisor.run(start)

    assert not any(is_alive(int(pid)) for _, _, pid in lines_of(notes))


async def test_a_child_that_will_not_end_is_killed_when_its_time_is_over(notes):
    said = io.StringIO()
    supervisor = Supervisor(MergedLog(said))

    await run_until(
        supervisor, lambda: supervisor.start_stage(dummy("worker", notes, "deaf", stop_grace_s=0.2))
    )

    assert "worker did not end within 0.2 s and was killed" in said.getvalue()
    assert not is_alive(notes_of(notes, "worker", "started")[0])


async def test_every_line_of_a_child_stands_behind_its_name(notes):
    said = io.StringIO()
    supervisor = Supervisor(MergedLog(said))

    async def hear():
        await supervisor.start_stage(dummy("api", notes, "talk"))
        await eventually(lambda: "child" in said.getvalue())

    await run_until(supervisor, hear)
    await asyncio.sleep(0)

    lines = said.getvalue().splitlines()
    assert "api       | שלום from the child" in lines
    assert "\033[" not in said.getvalue()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_names_are_coloured_on_a_terminal_unless_asked_not_to(monkeypatch, no_color, coloured):
    monkeypatch.setenv("NO_COLOR", no_color)
    said = Terminal()

    MergedLog(said).write("api", "hello")

    assert ("\033[" in said.getvalue()) is coloured
    assert said.getvalue().endswith(" hello\n")
