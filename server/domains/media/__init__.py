"""The files of messages: fetched, kept, given out, and removed when their time has come."""

from server.domains.media.keeping import clean_up
from server.domains.media.models import MediaFile
from server.domains.media.queries import attach, end, find_file_of, get_file, hold
from server.domains.media.rules import (
    DELETED,
    EMPTY,
    KEPT_LONG_ENOUGH,
    NOT_FETCHED,
    TOO_LARGE,
    UNNAMED,
    WRONG_KIND,
    Facts,
    TooLargeError,
    kind_of,
)
from server.domains.media.service import (
    Ended,
    allowed_bytes,
    bring,
    expect,
    expect_link,
    fetch_again,
    forget,
    keep_upload,
    link_again,
    opened,
    sent_as,
    settle,
)
from server.domains.media.sniffing import served_as, shown_as

__all__ = [
    "DELETED",
    "EMPTY",
    "KEPT_LONG_ENOUGH",
    "NOT_FETCHED",
    "TOO_LARGE",
    "UNNAMED",
    "WRONG_KIND",
    "Ended",
    "Facts",
    "MediaFile",
    "TooLargeError",
    "allowed_bytes",
    "attach",
    "bring",
    "clean_up",
    "end",
    "expect",
    "expect_link",
    "fetch_again",
    "find_file_of",
    "forget",
    "get_file",
    "hold",
    "keep_upload",
    "kind_of",
    "link_again",
    "opened",
    "sent_as",
    "served_as",
    "settle",
    "shown_as",
]
