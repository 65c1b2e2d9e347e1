"""The keys of the words for what the assistant's pages show."""

from __future__ import annotations

from collections.abc import Mapping

# Weeks are shown from Sunday, as the product's businesses count them.
DAYS: Mapping[str, str] = {
    "sun": "assistant.day.sun",
    "mon": "assistant.day.mon",
    "tue": "assistant.day.tue",
    "wed": "assistant.day.wed",
    "thu": "assistant.day.thu",
    "fri": "assistant.day.fri",
    "sat": "assistant.day.sat",
}
TOOLS: Mapping[str, str] = {
    "save_contact_details": "assistant.tool.save_contact_details",
    "update_lead": "assistant.tool.update_lead",
    "set_reminder": "assistant.tool.set_reminder",
    "hand_over_to_person": "assistant.tool.hand_over_to_person",
    "look_up_knowledge": "assistant.tool.look_up_knowledge",
}
# What happened, and what to do about it.
NOTICES: Mapping[str, tuple[str, str]] = {
    "model_down": ("assistant.notice.model_down", "assistant.notice.model_down.todo"),
    "model_refused": ("assistant.notice.model_refused", "assistant.notice.model_refused.todo"),
    "capped": ("assistant.notice.capped", "assistant.notice.capped.todo"),
    "false_claim": ("assistant.notice.false_claim", "assistant.notice.false_claim.todo"),
    "tool_failed": ("assistant.notice.tool_failed", "assistant.notice.tool_failed.todo"),
}
WRONG: Mapping[str, str] = {
    "bad_hours": "assistant.wrong.bad_hours",
    "bad_number": "assistant.wrong.bad_number",
    "too_long": "assistant.wrong.too_long",
    "bad_question": "assistant.wrong.bad_question",
    "bad_entry": "knowledge.wrong.bad_entry",
    "too_many_entries": "knowledge.wrong.too_many_entries",
    "entry_exists": "knowledge.wrong.entry_exists",
    "no_such_entry": "knowledge.wrong.no_such_entry",
}
KNOWLEDGE_SAID: Mapping[str, str] = {
    "saved": "knowledge.said.saved",
    "removed": "knowledge.said.removed",
    "imported": "knowledge.said.imported",
}
