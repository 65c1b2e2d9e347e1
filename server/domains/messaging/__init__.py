"""Conversations with customers: the inbox, what was said, and the assistant's answers."""

from server.domains.messaging.aftermath import call_if_in_doubt, give_up_event, show_settled
from server.domains.messaging.connecting import connect_bridge, find_account
from server.domains.messaging.models import (
    Channel,
    Conversation,
    ConversationSession,
    InboxConflict,
    InboxEvent,
    Message,
)
from server.domains.messaging.receiving import Delivery, Receiver, UnknownBusinessError, WrongSecretError
from server.domains.messaging.rules import GIVEN_UP, NOBODY_KNOWS, NOT_GONE_OUT
from server.domains.messaging.service import call_person, process_event
from server.domains.messaging.sessions import close_stale_sessions, forget_old_events

__all__ = [
    "GIVEN_UP",
    "NOBODY_KNOWS",
    "NOT_GONE_OUT",
    "Channel",
    "Conversation",
    "ConversationSession",
    "Delivery",
    "InboxConflict",
    "InboxEvent",
    "Message",
    "Receiver",
    "UnknownBusinessError",
    "WrongSecretError",
    "call_if_in_doubt",
    "call_person",
    "close_stale_sessions",
    "connect_bridge",
    "find_account",
    "forget_old_events",
    "give_up_event",
    "process_event",
    "show_settled",
]
