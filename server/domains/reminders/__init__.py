"""What people want to be reminded of: once, or again and again, and never twice of the same."""

from server.domains.reminders.models import Reminder, ReminderPushLog, ReminderSeries
from server.domains.reminders.repeating import make_occurrence, repeat, stop_repeating
from server.domains.reminders.service import (
    cancel,
    complete,
    forget_ended,
    raise_due,
    reschedule,
    set_reminder,
)

__all__ = [
    "Reminder",
    "ReminderPushLog",
    "ReminderSeries",
    "cancel",
    "complete",
    "forget_ended",
    "make_occurrence",
    "raise_due",
    "repeat",
    "reschedule",
    "set_reminder",
    "stop_repeating",
]
