"""What pages stand on, built once a process, and what is known of one visit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import jinja2

from server.db import Database
from server.domains.accounts import Attempts, Login
from server.ports import Outside
from server.secrets import Cipher
from server.web.assets import Assets, load_assets
from server.web.feed import LiveFeed, StreamLimit
from server.web.keeper import Timekeeper
from server.web.rendering import load_templates
from server.web.words import Language, Words, load_words


@dataclass(frozen=True)
class WebContext:
    """What every page may use; `stopping` is set when the server begins to stop.

    `bridge_urls` are where owners may connect a bridge.
    """

    database: Database
    live: LiveFeed
    timekeeper: Timekeeper
    public_url: str
    simulator_url: str
    cipher: Cipher
    stopping: asyncio.Event
    assets: Assets
    templates: jinja2.Environment
    words: Mapping[Language, Words]
    bridge_urls: tuple[str, ...] = ()
    attempts: Attempts = field(default_factory=Attempts)
    streams: StreamLimit = field(default_factory=StreamLimit)
    outside: Outside = field(default_factory=lambda: Outside(channels={}))

    @property
    def is_secure(self) -> bool:
        """Tell whether people reach us over HTTPS."""
        return self.public_url.startswith("https://")


def open_web(  # noqa: PLR0913 -- one of each thing that pages stand on
    *,
    database: Database,
    live: LiveFeed,
    timekeeper: Timekeeper,
    public_url: str,
    simulator_url: str,
    cipher: Cipher,
    stopping: asyncio.Event,
    bridge_urls: tuple[str, ...] = (),
    outside: Outside | None = None,
) -> WebContext:
    """Read templates, translations and static files, so that no request waits for a disk."""
    assets, templates = _load_look()
    return WebContext(
        database=database,
        live=live,
        timekeeper=timekeeper,
        public_url=public_url.rstrip("/"),
        simulator_url=simulator_url.rstrip("/"),
        cipher=cipher,
        stopping=stopping,
        outside=outside or Outside(channels={}),
        assets=assets,
        templates=templates,
        words=load_words(),
        bridge_urls=bridge_urls,
    )


@cache
def _load_look() -> tuple[Assets, jinja2.Environment]:
    # Compiling the templates takes longer than all else of a start; a process that opens several apps, as
    # tests do, needs them once.
    assets = load_assets()
    return assets, load_templates(assets)


@dataclass(frozen=True)
class Visit:
    """One request of a person: who they are, what they read, and the form they sent."""

    context: WebContext
    words: Words
    form_token: str
    login: Login | None = None
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MemberVisit(Visit):
    """A visit of someone who is logged in."""

    login: Login

    @property
    def is_owner(self) -> bool:
        """Tell whether they may act for the business, and not only look."""
        return self.login.role == "owner"
