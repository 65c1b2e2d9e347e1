"""The fault matrix: what is done to a running system, and what must hold afterwards besides I1–I11.

A test says `@pytest.mark.fault("F4")`. docs/faults.md is written from this list and how those tests ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One line of the matrix."""

    what: str
    must_hold: str


MATRIX: Mapping[str, Fault] = {
    "F1": Fault(
        "kill -9 of a worker's process at each crash point, and in the provider's call",
        "the job runs again; between `sending` and `sent` the effect is `unknown`, settled by evidence",
    ),
    "F2": Fault("kill -9 of a worker's supervisor alone", "its processes die within 1 s; one reply"),
    "F3": Fault("kill -9 of all workers at once", "every lease is recovered; nothing is lost"),
    "F4": Fault(
        "SIGSTOP of a worker at each crash point until its lease is long gone, then SIGCONT",
        "one call at most; the waking process writes nothing but evidence",
    ),
    "F5": Fault(
        "a job that exhausts memory, segfaults, is killed or exits, again and again",
        "quarantined after three deaths; its neighbours finish",
    ),
    "F6": Fault(
        "poison: not JSON, unreadable, unknown kind, wrong tenant", "refused or kept with its reason"
    ),
    "F7": Fault("Redis FLUSHALL: idle, with 10,000 queued, while it is refilled", "all of them run once"),
    "F8": Fault(
        "Redis long away while messages come in", "webhooks are answered 200; the backlog drains fairly"
    ),
    "F9": Fault("Redis full (`noeviction`)", "nothing is lost; an evicting policy is refused at start"),
    "F10": Fault("Redis loses its last writes", "what was lost is found and dispatched again"),
    "F11": Fault(
        "PostgreSQL restarted at once in the middle of work", "503, never 200; the sender's retry is answered"
    ),
    "F12": Fault(
        "PostgreSQL stalled: tables locked, for a minute",
        "no 200 without a commit; time-outs fire; no scheduler is stuck as leader; work goes on after it",
    ),
    "F14": Fault(
        "clocks of api, worker and scheduler that jump by two hours, or differ by ninety seconds and more",
        "no slot, lease or delayed job is lost or doubled: only the database's clock is compared",
    ),
    "F15": Fault(
        "nights in which clocks change, in five zones over ten years",
        "a time that is missing comes at the gap's end, one that is there twice comes once; n minutes are n",
    ),
    "F16": Fault("two and five schedulers, no lock, a deleted lock", "rows = slots"),
    "F17": Fault("all schedulers down for long", "the catch-up policy; skipped slots have reasons"),
    "F18": Fault(
        "network cut or silent: worker and Redis, worker and PostgreSQL, api and Redis; one way too",
        "a worker that is cut off stops sending; the others answer",
    ),
    "F19": Fault("a slow provider, then one that hangs", "its account alone is closed; others are served"),
    "F20": Fault(
        "the provider accepts and its answer is lost; a receipt comes before our own row",
        "`unknown`, then settled by evidence, or a person is called; never sent again",
    ),
    "F21": Fault(
        "a storm of 429 with Retry-After",
        "no attempt is used; no window holds more than the limit; everything is sent once",
    ),
    "F22": Fault("the same webhook 100 times at once to four api processes", "one job, one reply"),
    "F23": Fault(
        "receipts and messages out of order; a message an hour late",
        "order holds; a status never goes back; what is late is kept and not answered again",
    ),
    "F24": Fault(
        "a batch half bad; kill -9 of the api under load", "the good half is kept; retries are absorbed"
    ),
    "F25": Fault(
        "a burst of one business, and of everybody",
        "another's reply waits no longer than its bound; the less urgent waits first",
    ),
    "F26": Fault("a million jobs of a broadcast waiting, and one message", "the reply is within its bound"),
    "F28": Fault(
        "SIGTERM while each kind is handled; a second SIGTERM, then SIGKILL",
        "ends in its grace; no attempt is used; goes on from the checkpoint",
    ),
    "F32": Fault("alive but stuck: a blocked loop, a dead socket", "replaced, and not reported healthy"),
    "F33": Fault("a random soak of all the above", "I1–I11; the seed replays it"),
    "F34": Fault(
        "whole conversations told in any order, each event up to three times, to four api and three workers",
        "the same is stored, in order; one reply a burst, none after a person took over",
    ),
    "F35": Fault(
        "an account's credentials are revoked while messages come in",
        "its account is held; nothing is lost; connected again, each reply goes out once",
    ),
}
