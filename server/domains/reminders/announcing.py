"""What people notice of a reminder: each raised offset passes here once, in the transaction that logs it."""

from __future__ import annotations

from collections.abc import Sequence

from server.db import Session
from server.domains import messaging
from server.domains.reminders.queries import Logged
from server.domains.reminders.rules import Raise


async def announce(session: Session, raised: Sequence[Logged]) -> None:
    """Call a person to each conversation that something is due in; what comes before is only logged.

    Whoever notifies devices asks for that here: a job for each of `raised` that commits with its row of the
    log is asked for once.
    """
    # Conversations in one order, whoever else raises at this moment: no two wait for each other.
    due = {
        one.reminder.conversation_id: one.reminder.business_id
        for one in raised
        if one.reminder.conversation_id is not None and _is_due(one)
    }
    for conversation_id in sorted(due):
        await messaging.call_person(session, due[conversation_id], conversation_id)


def _is_due(one: Logged) -> bool:
    match one.offset.state:
        case Raise.RAISED:
            return one.offset.offset_min == 0
        case Raise.OVERDUE:
            return True
        case Raise.SKIPPED:
            return False
