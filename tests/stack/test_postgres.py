"""Our launcher of PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import asyncpg
import pytest

from server.errors import StartRefusedError
from server.stack.binaries import find_postgres
from server.stack.child import AsUser
from server.stack.cluster import servers_of
from server.stack.identity import copy_of
from server.stack.postgres import Postgres, PostgresOptions
from tests.servers import throwaway_postgres
from tests.stack.dummies import eventually

ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
KEEPS_A_SERVER = """
import asyncio, sys
from pathlib import Path
from tests.servers import throwaway_postgres

async def main():
    child = await throwaway_postgres(Path(sys.argv[1])).start()
    print(child.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_committed_rows_survive_a_killed_server(socket_folder):
    server = Postgres(PostgresOptions(data=socket_folder / "pg", sockets=socket_folder))
    child = await server.start()
    await fetch(server.url(), "CREATE TABLE kept AS SELECT 7 AS number")

    child.send(signal.SIGKILL)
    await child.wait()
    await server.start()

    assert await fetch(server.url(), "SELECT number FROM kept") == 7
    assert await server.stop() == 0
    assert servers_of(socket_folder / "pg") == []


async def test_a_second_server_on_the_same_data_is_refused(own_postgres, socket_folder, monkeypatch):
    monkeypatch.setattr("server.stack.cluster._DYING_SERVER_S", 0.1)

    with pytest.raises(StartRefusedError, match="Another PostgreSQL already serves"):
        await throwaway_postgres(socket_folder).start()

    assert await own_postgres.answers()


async def test_a_lock_left_by_a_process_id_that_is_now_somebody_elses_is_no_obstacle(socket_folder):
    server = throwaway_postgres(socket_folder)
    await server.start()
    await server.stop()
    # As after a restart of the machine: the number in the lock belongs to a stranger, here to us.
    (socket_folder / "pg" / "postmaster.pid").write_text(f"{os.getpid()}\n", encoding="ascii")

    await server.start()

    assert await server.answers()
    await server.stop()


async def test_killing_whoever_started_the_server_ends_it_with_all_its_processes(socket_folder):
    starter = subprocess.Popen(  # noqa: ASYNC220 - it is killed below
        [sys.executable, "-c", KEEPS_A_SERVER, str(socket_folder)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout
    assert int(starter.stdout.readline()) in servers_of(socket_folder / "pg")

    starter.kill()
    starter.communicate()

    await eventually(lambda: servers_of(socket_folder / "pg") == [])


async def test_a_port_asks_for_the_password(tmp_path, free_port):
    options = PostgresOptions(data=tmp_path / "pg", password="s3 cret/@", port=free_port, durable=False)
    server = Postgres(options)
    await server.start()

    assert await fetch(server.url(), "SELECT 1") == 1
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url().replace("s3", "s4"))
    await server.stop()


async def test_text_is_utf8_and_hebrew_words_are_words(own_postgres):
    query = "SELECT array_length(tsvector_to_array(to_tsvector('simple', 'פריצת דלת, 250 ש\"ח - Door')), 1)"

    assert await fetch(own_postgres.url(), "SHOW server_encoding") == "UTF8"
    assert await fetch(own_postgres.url(), query) == 6


@ONLY_ROOT
@pytest.mark.parametrize("as_user", [AsUser.NAMESPACE, AsUser.NOBODY])
async def test_root_serves_a_folder_that_only_root_may_enter(tmp_path, free_port, as_user):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    options = PostgresOptions(data=private / "pg", password="secret", port=free_port, durable=False)
    server = Postgres(options, as_user=as_user)

    await server.start()

    assert await fetch(server.url(), "SELECT 1") == 1
    assert private.stat().st_mode & 0o777 == 0o700
    assert private.stat().st_uid == 0
    await server.stop()


def test_the_binaries_work_from_a_copy_with_their_layout(tmp_path):
    copied = copy_of(find_postgres(), tmp_path / "copy")

    said = subprocess.run([copied.initdb, "--version"], capture_output=True, text=True, check=True).stdout

    assert str(copied.major) in said
    assert (
        subprocess.run([copied.folder / "psql", "--version"], capture_output=True, check=False).returncode
        == 0
    )
