"""The files both sides send, and a generated photo and a short recording to send where none is chosen."""

import base64
import hashlib
import secrets
import struct
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from simulator.errors import BadInputError

# Ogg Opus, 16 kHz mono, three soft notes: encoded once, as the standard library has no Opus encoder.
VOICE_NOTE_FILE = Path(__file__).parent / "static" / "voice.ogg"
VOICE_NOTE_SECONDS = 3
VOICE_NOTE_TYPE = "audio/ogg; codecs=opus"

# What is kept under a name that says what it is; everything else is "bin".
EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "application/pdf": "pdf",
    "text/plain": "txt",
}
LARGEST_FILE_BYTES = 100 * 1024 * 1024
KEPT_BYTES = 256 * 1024 * 1024
_LOWEST_ID = 10**15

_WIDTH, _HEIGHT = 320, 240
_Colour = tuple[int, int, int]
_WALL: _Colour = (226, 214, 196)
_FRAME: _Colour = (70, 88, 94)
_DOOR: _Colour = (98, 122, 128)
_PANEL: _Colour = (86, 109, 115)
_BRASS: _Colour = (222, 184, 96)
_KEYHOLE: _Colour = (38, 46, 50)
# What is painted, from back to front: left, top, right, bottom.
_SHAPES: tuple[tuple[int, int, int, int, _Colour], ...] = (
    (92, 22, 228, 240, _FRAME),
    (100, 30, 220, 240, _DOOR),
    (116, 46, 204, 112, _PANEL),
    (116, 164, 204, 228, _PANEL),
    (194, 124, 210, 152, _BRASS),
    (176, 130, 204, 136, _BRASS),
    (200, 142, 204, 149, _KEYHOLE),
)


@dataclass(frozen=True)
class StoredFile:
    """One file and its kind; its id is a number, as Meta's are."""

    id: str
    mimetype: str
    data: bytes

    @property
    def name(self) -> str:
        """Return the name it is served under."""
        return f"{self.id}.{EXTENSIONS.get(bare_type(self.mimetype), 'bin')}"

    @property
    def sha256(self) -> str:
        """Return the checksum in base64, as WhatsApp writes it."""
        return base64.b64encode(hashlib.sha256(self.data).digest()).decode()


def bare_type(mimetype: str) -> str:
    """Return a kind without its parameters: "audio/ogg" of "audio/ogg; codecs=opus"."""
    return mimetype.partition(";")[0].strip().lower()


class MediaStore:
    """Files by id, 256 MB at most; the oldest make room."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._size_bytes = 0

    def add(self, data: bytes, mimetype: str) -> StoredFile:
        """Keep a file under a fresh id; raises BadInputError over 100 MB."""
        if len(data) > LARGEST_FILE_BYTES:
            raise BadInputError("The file is over 100 MB: choose a smaller one.")
        stored = StoredFile(str(_LOWEST_ID + secrets.randbelow(9 * _LOWEST_ID)), mimetype, data)
        self._files[stored.id] = stored
        self._size_bytes += len(data)
        while self._size_bytes > KEPT_BYTES:
            _, oldest = self._files.popitem(last=False)
            self._size_bytes -= len(oldest.data)
        return stored

    def get(self, name: str) -> StoredFile | None:
        """Return the file of this name or id, or None if there is none (any more)."""
        return self._files.get(name.partition(".")[0])

    def remove(self, media_id: str) -> bool:
        """Forget one file, as a provider does in time; returns whether it was there."""
        stored = self._files.pop(media_id, None)
        self._size_bytes -= len(stored.data) if stored else 0
        return stored is not None

    def clear(self) -> None:
        """Forget every file."""
        self._files.clear()
        self._size_bytes = 0


@cache
def voice_note() -> bytes:
    """Return a three-second Ogg Opus recording."""
    return VOICE_NOTE_FILE.read_bytes()


@cache
def door_photo() -> bytes:
    """Draw a closed door as a PNG of 320 × 240."""
    rows = b"".join(b"\0" + bytes(_row(y)) for y in range(_HEIGHT))
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _row(y: int) -> list[int]:
    return [part for x in range(_WIDTH) for part in _shaded(_colour(x, y), x, y)]


def _colour(x: int, y: int) -> _Colour:
    for left, top, right, bottom, colour in reversed(_SHAPES):
        if left <= x < right and top <= y < bottom:
            return colour
    return _WALL


def _shaded(colour: _Colour, x: int, y: int) -> _Colour:
    # Light falls from the upper left.
    shade = 1.06 - (x / _WIDTH + y / _HEIGHT) * 0.12
    red, green, blue = (min(255, int(part * shade)) for part in colour)
    return red, green, blue
