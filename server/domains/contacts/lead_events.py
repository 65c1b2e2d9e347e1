"""What others are told of leads. No I/O."""

from __future__ import annotations

from uuid import UUID

from server.domains.integrations import Happening


def created(business_id: int, lead_id: UUID, contact_id: UUID, source: str) -> Happening:
    """Return the event of a lead that is new."""
    told = _whom(business_id, lead_id, contact_id) | {"source": source}
    return Happening("lead.created", told, key=f"lead:{lead_id}", subject=str(contact_id))


def moved(
    business_id: int, lead_id: UUID, contact_id: UUID, *, activity_id: UUID | None, old: str, new: str
) -> Happening:
    """Return the event of a lead that was moved; the activity that says so names it."""
    told = _whom(business_id, lead_id, contact_id) | {"old_status": old, "new_status": new}
    key = f"lead:{lead_id}:{activity_id}"
    return Happening("lead.status_changed", told, key=key, subject=str(contact_id))


def _whom(business_id: int, lead_id: UUID, contact_id: UUID) -> dict[str, str]:
    return {"business_id": str(business_id), "lead_id": str(lead_id), "contact_id": str(contact_id)}
