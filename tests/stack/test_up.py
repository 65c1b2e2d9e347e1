"""What `prosaas up` says when it cannot start, and what it keeps between starts."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys

import pytest

from server.errors import StartRefusedError
from server.stack.data_dir import DataDir
from server.stack.postgres import Postgres, PostgresOptions
from server.stack.settings import load_stack_settings
from server.stack.sockets import first_free


def up(**environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if name not in {"SERVICE_ROLE", "DATABASE_URL"}
    }
    return subprocess.run(
        [sys.executable, "-m", "server.stack.cli", "up"],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_taken_port_gets_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = up(DATA_DIR=str(tmp_path), PORT=str(port))

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"prosaas: Port {port} is taken by another program")
    assert refused.stderr.count("\n") == 1


def test_a_second_start_on_the_same_data_names_the_first(tmp_path, free_port):
    with DataDir(tmp_path).locked("http://127.0.0.1:4321"):
        refused = up(DATA_DIR=str(tmp_path), PORT=str(free_port))

    assert refused.returncode == 1
    assert f"process {os.getpid()}, http://127.0.0.1:4321" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_folder_knows_where_the_stack_that_runs_on_it_listens(tmp_path):
    data = DataDir(tmp_path)
    assert data.address_in_use() is None

    with data.locked("http://127.0.0.1:4321"):
        assert DataDir(tmp_path).address_in_use() == "http://127.0.0.1:4321"

    assert data.address_in_use() is None


def test_the_lock_ends_with_its_holder(tmp_path):
    data = DataDir(tmp_path)
    with data.locked("http://127.0.0.1:1"):
        pass

    with data.locked("http://127.0.0.1:2"):
        assert json.loads((tmp_path / "lock").read_text(encoding="utf-8"))["url"] == "http://127.0.0.1:2"


def test_too_little_room_gets_a_sentence(tmp_path):
    with pytest.raises(StartRefusedError, match=r"is full: \d+ MB are free and \d+ MB are needed"):
        DataDir(tmp_path).require_room(least_bytes=2**60)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MB: enough to begin on, too small for a cluster."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_gets_one_sentence(small_disk, free_port):
    refused = up(DATA_DIR=str(small_disk), PORT=str(free_port))

    assert refused.returncode == 1
    assert "is full" in refused.stderr
    assert refused.stderr.count("\n") == 1


async def test_a_disk_that_fills_up_under_a_new_database_gets_a_sentence(small_disk, free_port):
    options = PostgresOptions(data=small_disk / "pg", password="secret", port=free_port, durable=False)

    with pytest.raises(StartRefusedError, match="The disk is full"):
        await Postgres(options).start()

    assert not (small_disk / "pg").exists()
    assert not (small_disk / "pg.init").exists()


@pytest.mark.parametrize("role", ["api", "worker", "nonsense"])
def test_a_role_of_its_own_is_refused(tmp_path, role):
    refused = up(DATA_DIR=str(tmp_path), SERVICE_ROLE=role)

    assert refused.returncode == 1
    assert f"SERVICE_ROLE={role}" in refused.stderr


@pytest.mark.parametrize("port", ["0", "http", "65536", "-1"])
def test_a_port_that_is_none_gets_a_sentence(port):
    with pytest.raises(StartRefusedError, match="is not a port"):
        load_stack_settings({"PORT": port})


def test_secrets_are_generated_once_and_for_their_owner_only(tmp_path):
    first, again = DataDir(tmp_path).secrets(), DataDir(tmp_path).secrets()

    assert first == again
    assert len(first.secret_key) >= 32
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_unreadable_secrets_are_never_replaced(tmp_path):
    (tmp_path / "secrets.json").write_text("{half", encoding="utf-8")

    with pytest.raises(StartRefusedError, match="cannot be read"):
        DataDir(tmp_path).secrets()

    assert (tmp_path / "secrets.json").read_text(encoding="utf-8") == "{half"


def test_a_preferred_port_gives_way_when_it_is_taken(free_port):
    with contextlib.closing(socket.create_server(("127.0.0.1", free_port))):
        taken = {1}
        chosen = first_free(free_port, taken=taken)

    assert chosen != free_port
    assert taken == {1, chosen}
