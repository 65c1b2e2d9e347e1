"""The settings page: where an owner finds everything that can be set up, one row a subject."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from server.web.alarms import read_alarms
from server.web.context import MemberVisit
from server.web.rendering import page

PATH = "/settings"


@dataclass(frozen=True)
class Subject:
    """One row: `name` gives its words, `settings.<name>.title` and `settings.<name>.text`."""

    name: str
    href: str


# In the order in which a new business needs them.
SUBJECTS: tuple[Subject, ...] = (
    Subject("channels", "/settings/channels"),
    Subject("assistant", "/settings/assistant"),
    Subject("knowledge", "/settings/knowledge"),
    Subject("answers", "/settings/answers"),
    Subject("stages", "/settings/stages"),
    Subject("forms", "/settings/lead-forms"),
    Subject("webhooks", "/settings/webhooks"),
    Subject("api_keys", "/settings/api-keys"),
)


async def show_settings(_: Request, visit: MemberVisit) -> Response:
    """List what can be set up, below what has to be put right."""
    async with visit.context.database.transaction(visit.login.business_id) as session:
        alarms = await read_alarms(session, visit)
    return page(visit, "settings.html", path=PATH, subjects=SUBJECTS, alarms=alarms)
