"""Leads and people as their pages show them: in the reader's language and the business's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from server.domains import contacts
from server.web.rows import told_time
from server.web.schedule_rows import zone_of

if TYPE_CHECKING:
    from server.web.context import MemberVisit

View: TypeAlias = dict[str, Any]
MEMBER = "member "
ACTORS = frozenset(
    {"system", "assistant", "proof", "form", "import", "message", "provider", "refusal", "member"}
)
SOURCES = frozenset({"whatsapp", "form", "import", "call", "assistant", "member"})


class LeadShape:
    """Gives each row its words."""

    def __init__(self, visit: MemberVisit, names: Mapping[UUID, str] | None = None) -> None:
        self._words = visit.words
        self._user_id = visit.login.user_id
        self._zone = zone_of(visit.login.time_zone)
        self._names = names or {}

    def line(self, row: contacts.LeadRow) -> View:
        """Return one line of the list, or one card of the board."""
        return {
            "id": row.contact_id,
            "name": row.name or row.phone or row.told_phone or row.email or self._words("leads.nameless"),
            "phone": row.phone or row.told_phone,
            "email": row.email,
            "stage_id": row.stage_id,
            "stage": row.stage,
            "colour": row.colour or "grey",
            "title": row.title,
            "value": money(row.value_minor, row.currency),
            "source": self._source(row.source),
            "at": told_time(row.last_contact_at, self._zone),
        }

    def person(self, person: contacts.Person, suggested: Sequence[contacts.Suggestion]) -> View:
        """Return everything on one person's page."""
        lead = person.lead
        phone = next((value for kind, value in person.identities if kind == "phone"), None)
        return {
            "id": person.contact_id,
            "name": person.name
            or phone
            or person.told_phone
            or person.email
            or self._words("leads.nameless"),
            "own_name": person.name or "",
            "email": person.email or "",
            "told_phone": person.told_phone or "",
            "city": person.city or "",
            "stage_id": lead.stage_id if lead else None,
            "lead": self.line(lead) if lead else None,
            "amount": amount(lead.value_minor) if lead else "",
            "currency": (lead.currency if lead else None) or "ILS",
            "owner": self._names.get(lead.owner_id, "") if lead and lead.owner_id else "",
            "is_mine": lead is not None and lead.owner_id == self._user_id,
            "identities": [(self._words(f"leads.kind.{kind}"), value) for kind, value in person.identities],
            "activities": [self._activity(row) for row in person.activities],
            "consents": [self._consent(row) for row in person.consents],
            "merges": [self._merge(row) for row in person.merges],
            "conversations": [
                {"id": row["id"], "at": told_time(row["last_message_at"], self._zone)}
                for row in person.conversations
            ],
            "suggestions": [
                {
                    "id": one.id,
                    "name": one.name or one.phone or self._words("leads.nameless"),
                    "why": self._words(f"leads.why.{one.why}"),
                }
                for one in suggested
            ],
        }

    def _activity(self, row: Mapping[str, Any]) -> View:
        data = {key: str(value) for key, value in row["data"].items()}
        told = self._words(f"leads.activity.{row['kind']}")
        if row["kind"] == "stage":
            told = self._words("leads.activity.moved", old=data.get("from", ""), new=data.get("to", ""))
        if row["kind"] == "created":
            told = self._words("leads.activity.came", source=self._source(data.get("source", "")))
        return {
            "told": told,
            "text": row["text"] or "",
            "fields": [f"{key}: {value}" for key, value in data.items()] if row["kind"] == "form" else [],
            "who": self._who(row["actor"]),
            "at": told_time(row["at"], self._zone),
        }

    def _consent(self, row: Mapping[str, Any]) -> View:
        return {
            "value": self._words(f"leads.consent.{row['value']}"),
            "is_granted": row["value"] == contacts.GRANTED,
            "wording": row["wording"],
            "source": self._words(f"leads.consent.by.{row['source']}"),
            "at": told_time(row["at"], self._zone),
        }

    def _merge(self, row: Mapping[str, Any]) -> View:
        return {
            "id": row["id"],
            "name": row["name"] or self._words("leads.nameless"),
            "who": self._who(row["made_by"]),
            "at": told_time(row["made_at"], self._zone),
            "is_undone": row["undone_at"] is not None,
        }

    def _source(self, source: str) -> str:
        return self._words(f"leads.source.{source}") if source in SOURCES else source

    def _who(self, actor: str) -> str:
        if actor.startswith(MEMBER):
            return self._names.get(UUID(actor.removeprefix(MEMBER)), self._words("leads.actor.member"))
        return self._words(f"leads.actor.{actor}") if actor in ACTORS else actor


def people_in(person: contacts.Person) -> set[UUID]:
    """Return whose names a person's page shows."""
    actors = [row["actor"] for row in person.activities] + [row["made_by"] for row in person.merges]
    found = {UUID(one.removeprefix(MEMBER)) for one in actors if one.startswith(MEMBER)}
    owner = person.lead.owner_id if person.lead else None
    return found | ({owner} if owner else set())


def amount(value_minor: int | None) -> str:
    """Return an amount as it is typed."""
    return "" if value_minor is None else f"{value_minor / 100:.2f}".removesuffix(".00")


def money(value_minor: int | None, currency: str | None) -> str:
    """Return an amount as it is read."""
    return (
        "" if value_minor is None else f"{value_minor / 100:,.2f}".removesuffix(".00") + f" {currency or ''}"
    )
