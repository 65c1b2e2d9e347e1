"""How large a picture is, by its header; so that a page keeps its place free before it is there.

Read without decoding: the pixels of a stranger's picture are the browser's business. A header that cannot
be read gives None, never an error.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TypeAlias

Size: TypeAlias = tuple[int, int]

LARGEST_SIDE = 65_535
# Start of frame, of any coding; C4, C8 and CC are none (ITU-T T.81, table B.1).
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
EXIF = 0xE1
SCAN = 0xDA
MARKER = 0xFF
# A segment counts the two bytes that say its length.
LENGTH_BYTES = 2
ORIENTATION = 0x0112
# Exif's orientations that lay a picture on its side.
ON_ITS_SIDE = frozenset({5, 6, 7, 8})


def size_of(mimetype: str, head: bytes) -> Size | None:
    """Return width and height as a browser shows it, Exif's turning included."""
    reader = READERS.get(mimetype)
    try:
        size = reader(head) if reader else None
    except (struct.error, IndexError):
        return None
    return size if size and 0 < min(size) <= max(size) <= LARGEST_SIDE else None


def _png(head: bytes) -> Size:
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _gif(head: bytes) -> Size:
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def _webp(head: bytes) -> Size | None:
    match head[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case _:
            return None


def _jpeg(head: bytes) -> Size | None:
    is_turned = False
    for marker, place, length in _segments(head):
        if marker == EXIF and head[place : place + 6] == b"Exif\0\0":
            is_turned = _orientation(head[place + 6 : place + length]) in ON_ITS_SIDE
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", head, place + 1)
            return (height, width) if is_turned else (width, height)
    return None


def _segments(head: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each segment's marker, where its content begins and how long that is."""
    place = 2
    while place + 4 <= len(head) and head[place] == MARKER:
        marker, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4], "big")
        if marker == SCAN or length < LENGTH_BYTES:
            return
        yield marker, place + 4, length - LENGTH_BYTES
        place += 2 + length


def _orientation(tiff: bytes) -> int | None:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for number in range(min(count, 200)):
        tag, _kind, _count, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * number)
        if tag == ORIENTATION:
            return int(value)
    return None


READERS: dict[str, Callable[[bytes], Size | None]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/jpeg": _jpeg,
}
