"""Recordings of calls, and how long they are kept."""

from server.domains.recordings.models import Recording
from server.domains.recordings.service import remove_old

__all__ = ["Recording", "remove_old"]
