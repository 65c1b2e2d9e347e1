"""What a business's assistant knows, and what it would answer."""

from server.domains.assistant.behaviour import QUIET_S, Behaviour
from server.domains.assistant.drafting import draft_reply
from server.domains.assistant.models import (
    AssistantNotice,
    AssistantTrial,
    AssistantUse,
    BusinessAssistant,
    KnowledgeEntry,
)
from server.domains.assistant.queries import Found
from server.domains.assistant.rules import Draft, Trouble
from server.domains.assistant.service import (
    Summary,
    add_knowledge,
    capped_businesses,
    find_knowledge,
    note_draft,
    note_use,
    summarise,
)
from server.domains.assistant.spent import Spent
from server.domains.assistant.toolbox import Deed, Facts, Toolbox

__all__ = [
    "QUIET_S",
    "AssistantNotice",
    "AssistantTrial",
    "AssistantUse",
    "Behaviour",
    "BusinessAssistant",
    "Deed",
    "Draft",
    "Facts",
    "Found",
    "KnowledgeEntry",
    "Spent",
    "Summary",
    "Toolbox",
    "Trouble",
    "add_knowledge",
    "capped_businesses",
    "draft_reply",
    "find_knowledge",
    "note_draft",
    "note_use",
    "summarise",
]
