"""People who write or call, by any of their names, what they agreed to, and their leads."""

from server.domains.contacts.consenting import (
    GRANTED,
    WITHDRAWN,
    may_market,
    note_consent,
    was_noted,
)
from server.domains.contacts.intents import confirmation, consent_in
from server.domains.contacts.lead_models import (
    Lead,
    LeadActivity,
    LeadDelivery,
    LeadForm,
    LeadImport,
    LeadImportRow,
    LeadStage,
)
from server.domains.contacts.leads import (
    LeadKept,
    add_note,
    bring_lead,
    move_lead,
    save_details,
    set_deal,
    touch_lead,
)
from server.domains.contacts.models import (
    Consent,
    Contact,
    ContactDistinct,
    ContactIdentity,
    ContactMerge,
    ContactMergePart,
    ConversationMoved,
)
from server.domains.contacts.parting import part, say_distinct
from server.domains.contacts.pipeline import (
    COLOURS,
    SORTS,
    Stage,
    add_stage,
    all_stages,
    archive_stage,
    change_stage,
    find_stage,
    open_stages,
    shift_stage,
)
from server.domains.contacts.rules import normalise_email, normalise_phone
from server.domains.contacts.service import NamelessSenderError, recognise

__all__ = [
    "COLOURS",
    "GRANTED",
    "SORTS",
    "WITHDRAWN",
    "Consent",
    "Contact",
    "ContactDistinct",
    "ContactIdentity",
    "ContactMerge",
    "ContactMergePart",
    "ConversationMoved",
    "Lead",
    "LeadActivity",
    "LeadDelivery",
    "LeadForm",
    "LeadImport",
    "LeadImportRow",
    "LeadKept",
    "LeadStage",
    "NamelessSenderError",
    "Stage",
    "add_note",
    "add_stage",
    "all_stages",
    "archive_stage",
    "bring_lead",
    "change_stage",
    "confirmation",
    "consent_in",
    "find_stage",
    "may_market",
    "move_lead",
    "normalise_email",
    "normalise_phone",
    "note_consent",
    "open_stages",
    "part",
    "recognise",
    "save_details",
    "say_distinct",
    "set_deal",
    "shift_stage",
    "touch_lead",
    "was_noted",
]
