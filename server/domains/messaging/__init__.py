"""Conversations with customers: the inbox, what was said, and the assistant's answers."""

from server.domains.messaging.aftermath import call_if_in_doubt, give_up_event, show_settled
from server.domains.messaging.connecting import (
    BRIDGE,
    CLOUD,
    CloudNumber,
    connect_bridge,
    connect_cloud,
    find_account,
    list_channels,
)
from server.domains.messaging.connections import Away, Connection, Reason, list_away, note_connection
from server.domains.messaging.doors import Door, Doors, UnknownChannelError, WrongTokenError
from server.domains.messaging.files import ask_for_file_again, fetch_file, give_up_file
from server.domains.messaging.filling import Button, Filling, Template
from server.domains.messaging.letters import Letter, Link, TemplateUse, ask_to_send, mark_sent, send_again
from server.domains.messaging.linking import NOT_HAD, fetch_link, give_up_link
from server.domains.messaging.marking import choose_reading, shows_reading
from server.domains.messaging.models import (
    Channel,
    Conversation,
    ConversationSession,
    InboxConflict,
    InboxEvent,
    Message,
)
from server.domains.messaging.programs import Order, Placed, place_order, read_message
from server.domains.messaging.receiving import Delivery, Receiver, UnknownBusinessError, WrongSecretError
from server.domains.messaging.reopening import ask_to_reopen, find_hold, list_holds, reopen_channel
from server.domains.messaging.rules import GIVEN_UP, NOBODY_KNOWS, NOT_GONE_OUT
from server.domains.messaging.sending import UNWANTED, give_up_letter, send_letter
from server.domains.messaging.service import call_person, process_event
from server.domains.messaging.sessions import close_stale_sessions, forget_old_events
from server.domains.messaging.suggesting import Decider, approve, discard
from server.domains.messaging.syncing import ask_for_stale_templates, ask_for_templates, sync_templates
from server.domains.messaging.takeover import choose_approval, keep_takeover, pause, read_takeover, resume
from server.domains.messaging.templates import (
    add_quick_reply,
    fill_template,
    list_templates,
    remove_quick_reply,
)
from server.domains.messaging.windows import CLOSED as WINDOW_CLOSED

__all__ = [
    "BRIDGE",
    "CLOUD",
    "GIVEN_UP",
    "NOBODY_KNOWS",
    "NOT_GONE_OUT",
    "NOT_HAD",
    "UNWANTED",
    "WINDOW_CLOSED",
    "Away",
    "Button",
    "Channel",
    "CloudNumber",
    "Connection",
    "Conversation",
    "ConversationSession",
    "Decider",
    "Delivery",
    "Door",
    "Doors",
    "Filling",
    "InboxConflict",
    "InboxEvent",
    "Letter",
    "Link",
    "Message",
    "Order",
    "Placed",
    "Reason",
    "Receiver",
    "Template",
    "TemplateUse",
    "UnknownBusinessError",
    "UnknownChannelError",
    "WrongSecretError",
    "WrongTokenError",
    "add_quick_reply",
    "approve",
    "ask_for_file_again",
    "ask_for_stale_templates",
    "ask_for_templates",
    "ask_to_reopen",
    "ask_to_send",
    "call_if_in_doubt",
    "call_person",
    "choose_approval",
    "choose_reading",
    "close_stale_sessions",
    "connect_bridge",
    "connect_cloud",
    "discard",
    "fetch_file",
    "fetch_link",
    "fill_template",
    "find_account",
    "find_hold",
    "forget_old_events",
    "give_up_event",
    "give_up_file",
    "give_up_letter",
    "give_up_link",
    "keep_takeover",
    "list_away",
    "list_channels",
    "list_holds",
    "list_templates",
    "mark_sent",
    "note_connection",
    "pause",
    "place_order",
    "process_event",
    "read_message",
    "read_takeover",
    "remove_quick_reply",
    "reopen_channel",
    "resume",
    "send_again",
    "send_letter",
    "show_settled",
    "shows_reading",
    "sync_templates",
]
