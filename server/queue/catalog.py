"""Every job kind on one page: what may be asked, on which queue, how long, how often retried.

A payload holds ids and small facts, never a message's text or a phone number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.queue.kinds import Urgency, job


# Never expires: however late, a message is kept and its customer is seen.
@job(queue="default", urgency=Urgency.REPLY, timeout_s=90)
@dataclass(frozen=True)
class WebhookProcess:
    """Take one WhatsApp event from the inbox: keep the message and the lead, and answer."""

    event_id: UUID


# In the lane of its conversation, so that what a person writes keeps its place among the answers. A hundred
# megabytes are handed over within the provider's two minutes, or not at all.
@job(queue="default", urgency=Urgency.REPLY, timeout_s=180)
@dataclass(frozen=True)
class MessageSend:
    """Send one message that a person, or a program of theirs, asked for; `tries` counts their asking."""

    message_id: UUID
    tries: int = 1


@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=60)
@dataclass(frozen=True)
class LeadWebhook:
    """Make a lead of what a form of a web site, or an automation, posted."""

    delivery_id: UUID


# Alone: reading a large file keeps a loop from everything else.
@job(queue="low", urgency=Urgency.FOLLOW_UP, timeout_s=1800, isolated=True)
@dataclass(frozen=True)
class LeadImportRows:
    """Make leads of the rows of a file, a slice at a time."""

    import_id: UUID


@job(queue="low", urgency=Urgency.FOLLOW_UP, timeout_s=600)
@dataclass(frozen=True)
class LeadsMoved:
    """Tell endpoints of the leads that moved when their stage was archived, by their places in the log."""

    first: int
    last: int


# These two are asked for by the database alone (0007), which knows their names, queue and urgency. Without
# a lane: they must neither wait behind a conversation nor hold one up.
@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=60)
@dataclass(frozen=True)
class JobGivenUp:
    """Conclude a job that failed for good, expired, was cancelled or quarantined: call off, and tell."""

    job_id: str
    ended_at: datetime


@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=60)
@dataclass(frozen=True)
class EffectSettled:
    """Show what became of a sending whose outcome was settled after its run: by hand, or by late evidence."""

    key: str
    tries: int
    state: str


@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=60)
@dataclass(frozen=True)
class ReplyDoubted:
    """Call a person to an answer of which nobody knows, minutes after its sending, whether it went out."""

    key: str
    tries: int


# Without a lane: words and answers go on while a file of their conversation is on its way. The address that
# a provider gives for a file lives for minutes, so each try asks for it anew; the file lives for days.
@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=300, retry_after_s=(10, 30, 60, 600, 3600))
@dataclass(frozen=True)
class MediaFetch:
    """Fetch the file of a message; `tries` counts how often a person asked for it again."""

    media_id: UUID
    tries: int = 0


# Without a lane: what is written meanwhile goes out before it. Nobody wants to be sent hours late what its
# address did not give, so it is not tried for long.
@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=180)
@dataclass(frozen=True)
class LinkFetch:
    """Fetch the file of a message that is to be sent; `tries` counts how often a person asked again."""

    media_id: UUID
    tries: int = 0


# Somebody sits before the page and waits for it.
@job(queue="default", urgency=Urgency.REPLY, timeout_s=90)
@dataclass(frozen=True)
class AssistantTry:
    """Find out what the assistant would answer to a question that its owner tries; nothing is sent."""

    trial_id: UUID


@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=60)
@dataclass(frozen=True)
class ChannelReconnected:
    """Use a channel's new credentials at once: open its account, and make due what waited for it."""

    channel_id: UUID
    at: datetime


# A page of a hundred takes seconds, and an account has 6,000 templates at most.
@job(queue="low", urgency=Urgency.FOLLOW_UP, timeout_s=300)
@dataclass(frozen=True)
class TemplatesSync:
    """Keep the templates of a channel as its provider lists them, with what may not be sent and why."""

    channel_id: UUID
    at: datetime


@job(queue="maintenance", urgency=Urgency.UPKEEP, timeout_s=240)
@dataclass(frozen=True)
class TemplatesRefresh:
    """Ask for the templates of every channel that was not looked at within the hour."""

    slot: datetime


@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=60)
@dataclass(frozen=True)
class RemindersTick:
    """Raise what came of reminders: 30 and 15 minutes before they are due, and when they are."""

    slot: datetime


@job(queue="default", urgency=Urgency.FOLLOW_UP, timeout_s=60)
@dataclass(frozen=True)
class ReminderRecurs:
    """Make the reminder of one slot of a series that comes again and again, and the one after it."""

    series_id: UUID
    slot: datetime


@job(queue="low", urgency=Urgency.PUSH, timeout_s=60)
@dataclass(frozen=True)
class WebhookDeliver:
    """Make one try at telling an event to one of a business's webhook endpoints."""

    delivery_id: UUID
    number: int


@job(queue="maintenance", urgency=Urgency.UPKEEP, timeout_s=240)
@dataclass(frozen=True)
class WebhooksCleanup:
    """Forget events that were told to others a month ago, and answers that programs had then."""

    slot: datetime


@job(queue="maintenance", urgency=Urgency.UPKEEP, timeout_s=240)
@dataclass(frozen=True)
class WhatsappSessionsCleanup:
    """Close stale WhatsApp sessions with a summary, 50 at a time."""

    slot: datetime


@job(queue="maintenance", urgency=Urgency.UPKEEP, timeout_s=240)
@dataclass(frozen=True)
class InboxCleanup:
    """Forget inbox events and finished jobs that are older than any sender's retries."""

    slot: datetime


@job(queue="maintenance", urgency=Urgency.UPKEEP, timeout_s=120)
@dataclass(frozen=True)
class LoginCleanup:
    """Delete expired log-in sessions and one-time links."""

    slot: datetime


@job(queue="maintenance", urgency=Urgency.UPKEEP, timeout_s=240)
@dataclass(frozen=True)
class RemindersCleanup:
    """Forget reminders that were done or cancelled 90 days ago or more, with what was logged of them."""

    slot: datetime


@job(queue="maintenance", urgency=Urgency.UPKEEP, timeout_s=240)
@dataclass(frozen=True)
class MediaCleanup:
    """Remove files of messages that were kept long enough, never sent, or left over by a dead process."""

    slot: datetime


# Alone: a storage may block for as long as it likes.
@job(queue="maintenance", urgency=Urgency.UPKEEP, timeout_s=240, isolated=True)
@dataclass(frozen=True)
class CleanupOldRecordings:
    """Remove the files of recordings that were kept long enough, and note that they are gone."""

    slot: datetime
