"""Text that strangers wrote, made safe to look at."""

from __future__ import annotations

import re
from collections.abc import Callable

# Control characters other than tab and newline, and the marks that turn the direction of what
# follows: either can make one text look like another.
_TRICKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]")

TENTHS_UNTIL_S = 100
KILO = 1024
# Below so many of a unit a tenth of it is worth telling.
SMALL = 10


def inert(text: str) -> str:
    """Return the text with every such character shown as a replacement mark."""
    return _TRICKS.sub("\ufffd", text.replace("\r\n", "\n"))


def told_size(size_bytes: int, words: Callable[[str], str]) -> str:
    """Say how large a file is, in the unit that reads best."""
    size, units = float(size_bytes), ["size.bytes", "size.kilobytes", "size.megabytes", "size.gigabytes"]
    while size >= KILO and len(units) > 1:
        size, units = size / KILO, units[1:]
    is_whole = size >= SMALL or size_bytes < KILO
    return f"{size:.0f} {words(units[0])}" if is_whole else f"{size:.1f} {words(units[0])}"


def duration(seconds: float, *, milliseconds_word: str, seconds_word: str) -> str:
    """Say a duration in the unit that reads best."""
    if seconds < 1:
        return milliseconds_word.format(n=max(0, round(seconds * 1000)))
    return seconds_word.format(n=f"{seconds:.1f}" if seconds < TENTHS_UNTIL_S else f"{seconds:.0f}")
