"""People who write or call, by any of their names, and their leads."""

from server.domains.contacts.models import Contact, ContactIdentity, Lead
from server.domains.contacts.rules import normalise_phone
from server.domains.contacts.service import NamelessSenderError, recognise, touch_lead

__all__ = [
    "Contact",
    "ContactIdentity",
    "Lead",
    "NamelessSenderError",
    "normalise_phone",
    "recognise",
    "touch_lead",
]
