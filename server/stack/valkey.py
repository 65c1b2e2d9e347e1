"""Our own launcher of Valkey or Redis: append-only file, never evicting, on a port or a private socket."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from server.errors import StartRefusedError
from server.stack.binaries import find_valkey
from server.stack.child import Child, Program
from server.stack.waiting import poll, until_ready

_CONFIG = "valkey.conf"
_DATABASES = 256
_START_WITHIN_S = 20.0
_ANSWER_WITHIN_S = 2.0


@dataclass(frozen=True, kw_only=True)
class ValkeyOptions:
    """Where the server keeps its data and how it is reached: a port of 127.0.0.1, or a private socket."""

    data: Path
    password: str = ""
    port: int | None = None
    socket: Path | None = None


class Valkey:
    """One data folder and its server."""

    def __init__(self, options: ValkeyOptions) -> None:
        self._options = options
        self._child: Child | None = None

    def url(self, database: int = 0) -> str:
        """Return the address for redis-py, rq and redis-cli."""
        password = f":{quote(self._options.password, safe='')}@" if self._options.password else ""
        if self._options.port is not None:
            return f"redis://{password}127.0.0.1:{self._options.port}/{database}"
        return f"unix://{password}{self._options.socket}?db={database}"

    def prepare(self) -> Program:
        """Write the configuration, which holds the password, and return the program that serves it."""
        data = self._options.data
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        config = data / _CONFIG
        config.touch(mode=0o600)
        config.write_text(self._configuration(), encoding="utf-8")
        return Program(
            name="redis",
            argv=(find_valkey(), _CONFIG),
            env=os.environ,
            cwd=data,
            before=self._let_the_last_one_end,
            ready=self.answers,
        )

    def _configuration(self) -> str:
        options = self._options
        lines = [
            *("maxmemory-policy noeviction", "appendonly yes", "appendfsync everysec"),
            # The append-only file is the copy; a second one would only fill the disk.
            'save ""',
            *(f"databases {_DATABASES}", "daemonize no", "loglevel warning", "always-show-logo no"),
            f"port {options.port or 0}",
            *(["bind 127.0.0.1"] if options.port else []),
            *([f"unixsocket {_quoted(str(options.socket))}", "unixsocketperm 700"] if options.socket else []),
            *([f"requirepass {_quoted(options.password)}"] if options.password else []),
        ]
        return "\n".join(lines) + "\n"

    async def _let_the_last_one_end(self) -> None:
        async def silent() -> bool:
            return not await self._listens()

        if not await poll(silent, within_s=_ANSWER_WITHIN_S):
            raise StartRefusedError(f"Another Redis already serves {self._options.data}: stop it first.")

    async def _listens(self) -> bool:
        try:
            _, writer = await self._connect()
        except OSError:
            return False
        writer.close()
        return True

    async def answers(self) -> bool:
        """Say whether the server takes commands, which it does once its file is loaded."""
        password = self._options.password
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                reader, writer = await self._connect()
                try:
                    writer.write((f"AUTH {_quoted(password)}\r\n" if password else "").encode() + b"PING\r\n")
                    expected = b"+OK\r\n+PONG\r\n" if password else b"+PONG\r\n"
                    return await reader.readexactly(len(expected)) == expected
                finally:
                    writer.close()
        except (OSError, EOFError, TimeoutError):
            return False

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._options.port is not None:
            return await asyncio.open_connection("127.0.0.1", self._options.port)
        return await asyncio.open_unix_connection(self._options.socket)

    async def start(self, *, output: int = subprocess.DEVNULL) -> Child:
        """Start the server by itself, as tests do, and wait until it answers."""
        program = self.prepare()
        await program.before()
        self._child = Child.spawn(program, output=output)
        await until_ready(self._child, within_s=_START_WITHIN_S)
        return self._child

    async def stop(self) -> int:
        """Stop a server started by `start`; returns its exit code."""
        return await self._child.stop(within_s=10) if self._child else 0


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
