"""What a business's assistant knows, how it is to behave, and what it would answer."""

from server.domains.assistant.behaviour import QUIET_S, Behaviour
from server.domains.assistant.drafting import Briefing, brief, draft_reply
from server.domains.assistant.guards import TOOLS as TOOL_NAMES
from server.domains.assistant.hours import DAYS, written_exceptions, written_times
from server.domains.assistant.knowledge import (
    Written,
    find_entry,
    import_entries,
    list_entries,
    remove_entry,
    save_entry,
)
from server.domains.assistant.models import (
    AssistantNotice,
    AssistantToolCall,
    AssistantTrial,
    AssistantUse,
    BusinessAssistant,
    KnowledgeEntry,
)
from server.domains.assistant.pages import Entry
from server.domains.assistant.queries import Found
from server.domains.assistant.rules import Draft, Trouble
from server.domains.assistant.service import (
    Summary,
    add_knowledge,
    capped_businesses,
    find_knowledge,
    note_draft,
    note_use,
    recent_deeds,
    summarise,
)
from server.domains.assistant.settings import (
    MICRO,
    Notice,
    Spending,
    Wanted,
    list_notices,
    put_notices_away,
    read_settings,
    read_spending,
    save_settings,
)
from server.domains.assistant.spent import Spent
from server.domains.assistant.toolbox import Deed, Facts, Occasion, Toolbox, Toolboxes
from server.domains.assistant.trying import answer_trial, ask_trial, find_trial

__all__ = [
    "DAYS",
    "MICRO",
    "QUIET_S",
    "TOOL_NAMES",
    "AssistantNotice",
    "AssistantToolCall",
    "AssistantTrial",
    "AssistantUse",
    "Behaviour",
    "Briefing",
    "BusinessAssistant",
    "Deed",
    "Draft",
    "Entry",
    "Facts",
    "Found",
    "KnowledgeEntry",
    "Notice",
    "Occasion",
    "Spending",
    "Spent",
    "Summary",
    "Toolbox",
    "Toolboxes",
    "Trouble",
    "Wanted",
    "Written",
    "add_knowledge",
    "answer_trial",
    "ask_trial",
    "brief",
    "capped_businesses",
    "draft_reply",
    "find_entry",
    "find_knowledge",
    "find_trial",
    "import_entries",
    "list_entries",
    "list_notices",
    "note_draft",
    "note_use",
    "put_notices_away",
    "read_settings",
    "read_spending",
    "recent_deeds",
    "remove_entry",
    "save_entry",
    "save_settings",
    "summarise",
    "written_exceptions",
    "written_times",
]
