"""What whoever writes in a conversation sees around what they write: window, suggestion, who answers."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from server.domains.messaging import Reason
from server.domains.messaging.pages import ConversationPage, Desk, Show
from server.errors import Refusal
from server.web.rows import View, told_end
from server.web.text import inert
from server.web.words import Words

SHOWS = {
    Show.ALL: "inbox.show.all",
    Show.NEEDS_PERSON: "inbox.show.needs",
    Show.MINE: "inbox.show.mine",
    Show.UNREAD: "inbox.show.unread",
    Show.PAUSED: "inbox.show.paused",
}
HELD = {
    Refusal.CREDENTIALS: "desk.held.credentials",
    Refusal.PAYMENT: "desk.held.payment",
    Refusal.POLICY: "desk.held.policy",
}
# Why a bridge is not connected to WhatsApp.
AWAY = {
    None: "desk.away",
    Reason.LOGGED_OUT: "desk.away.logged_out",
    Reason.WAITS_FOR_CODE: "desk.away.logged_out",
    Reason.SESSION_REPLACED: "desk.away.session_replaced",
    Reason.GAVE_UP: "desk.away.gave_up",
}
# How long the assistant may be paused by hand, as the form says it.
PAUSES = {
    "30m": "desk.pause.half_hour",
    "2h": "desk.pause.two_hours",
    "morning": "desk.pause.morning",
    "off": "desk.pause.off",
}


def desk_view(words: Words, time_zone: str, page: ConversationPage) -> View:
    """Return what the composer shows; `free_text` is empty where only templates may be sent."""
    desk = page.desk
    return {
        "id": str(page.conversation.id),
        "mode": page.conversation.answering,
        "window": _window(words, ZoneInfo(time_zone), desk),
        "free_text": "yes" if desk.window_is_open else "",
        "held": words(HELD[desk.hold.meaning]) if desk.hold else "",
        "trouble": words("desk.unreachable") if desk.is_unreachable else "",
        "suggestion": inert(desk.suggestion or ""),
        "suggestion_id": str(desk.suggestion_id or ""),
        "approval": {None: "business", True: "yes", False: "no"}[desk.needs_approval],
    }


def _window(words: Words, zone: ZoneInfo, desk: Desk) -> str:
    if not desk.has_window:
        return ""
    if not desk.window_is_open:
        return words("desk.window_closed")
    return (
        words("desk.window_open", time=told_end(desk.window_closes_at, zone)) if desk.window_closes_at else ""
    )
