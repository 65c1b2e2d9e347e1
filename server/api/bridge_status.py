"""Where bridges say whether they are connected to WhatsApp: in two forms, as bridges in the field do."""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from server.api.answers import answer_json
from server.api.bodies import read_object
from server.api.refusals import Refusals
from server.api.webhooks import KIND, as_tenant, refuse
from server.db import Database
from server.db.tenancy import credential_digest
from server.domains.messaging import Connection, Reason, WrongSecretError, note_connection
from server.errors import BadInputError, ProsaasError

REPORTS = Counter(
    "prosaas_bridge_reports",
    "What bridges said of their connection, ignored where it says neither.",
    ["state"],
)
# Baileys' own words (`connection.update`), and those of bridges that sum it up. "connecting" is neither.
STATES = {
    "open": Connection.CONNECTED,
    "connected": Connection.CONNECTED,
    "close": Connection.DISCONNECTED,
    "closed": Connection.DISCONNECTED,
    "disconnected": Connection.DISCONNECTED,
    "logged_out": Connection.DISCONNECTED,
    "qr": Connection.DISCONNECTED,
    "waiting_qr": Connection.DISCONNECTED,
}
IGNORED = "ignored"
REASONS = {"qr": Reason.WAITS_FOR_CODE} | {reason.value: reason for reason in Reason}


class BridgeStatusWebhook:
    """`{"tenantId", "connection"}` and `{"tenant_id", "status", "reason"}`, with `X-Internal-Secret`.

    Anything else that a bridge reports here is answered as taken, and ignored.
    """

    def __init__(self, database: Database, refusals: Refusals) -> None:
        self._database = database
        self._refusals = refusals
        # At zero from the start: an alarm sees the first one as a rise.
        for state in (*Connection, IGNORED):
            REPORTS.labels(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            state = await self._note(dict(scope["headers"]), receive)
        except ClientDisconnect:
            return
        except ProsaasError as error:
            await refuse(send, error, channel=KIND, refusals=self._refusals)
        else:
            REPORTS.labels(state).inc()
            await answer_json(send, 200, {"ok": True, "state": state})

    async def _note(self, headers: dict[bytes, bytes], receive: Receive) -> str:
        secret = headers.get(b"x-internal-secret")
        if not secret:
            raise WrongSecretError("X-Internal-Secret is missing")
        body = await read_object(receive, headers.get(b"content-length", b""))
        told = body.get("tenantId") or body.get("tenant_id")
        if not told:
            raise BadInputError("missing_tenant_id", "tenantId is missing.")
        connection, reason = read_status(body)
        digest, business_id = credential_digest(secret.decode("latin-1")), as_tenant(told)
        await note_connection(
            self._database, digest=digest, business_id=business_id, connection=connection, reason=reason
        )
        return connection or IGNORED


def read_status(body: dict[str, Any]) -> tuple[Connection | None, Reason | None]:
    """Return what a report says of the connection, None where it says neither yes nor no, and why."""
    told = _word(body.get("status")) or _word(body.get("connection"))
    connection = STATES.get(told)
    if connection is not Connection.DISCONNECTED:
        return connection, None
    return connection, REASONS.get(_word(body.get("reason"))) or REASONS.get(told)


def _word(told: object) -> str:
    return told.strip().lower() if isinstance(told, str) else ""
