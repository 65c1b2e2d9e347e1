"""What can be said on WhatsApp, in no channel's words: by a customer, or by the owner on their own phone."""

from dataclasses import dataclass, field
from enum import StrEnum

from simulator.jsontypes import Json


class Kind(StrEnum):
    """What somebody can do to a chat with one press."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    DOCUMENT = "document"
    AUDIO = "audio"
    VOICE = "voice"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACT = "contact"
    CHOICE = "choice"
    REACTION = "reaction"
    EDIT = "edit"
    DELETE = "delete"
    # Kinds that only Meta has.
    ORDER = "order"
    WELCOME = "welcome"
    NUMBER_CHANGE = "number_change"
    # What no reader knows yet.
    UNKNOWN = "unknown"


FILES = frozenset({Kind.IMAGE, Kind.VIDEO, Kind.DOCUMENT, Kind.AUDIO, Kind.VOICE, Kind.STICKER})
# What changes a bubble instead of adding one.
CHANGES = frozenset({Kind.REACTION, Kind.EDIT, Kind.DELETE})
META_ALONE = frozenset({Kind.ORDER, Kind.WELCOME, Kind.NUMBER_CHANGE})
NEEDS_WORDS = frozenset({Kind.TEXT, Kind.EDIT})


class Place(StrEnum):
    """Where it is said; only `person` is a talk with the business."""

    PERSON = "person"
    GROUP = "group"
    STATUS = "status"
    NEWSLETTER = "newsletter"


class How(StrEnum):
    """What a customer pressed to choose."""

    BUTTON = "button"
    LIST = "list"
    TEMPLATE = "template"
    INTERACTIVE = "interactive"


@dataclass(frozen=True)
class Choice:
    """A button or a row that was pressed."""

    how: How
    id: str
    title: str


@dataclass(frozen=True)
class File:
    """A file on the simulator's own media address; `id` and `sha256` are what Meta tells of it."""

    id: str
    url: str
    mimetype: str
    size_bytes: int
    sha256: str
    file_name: str = ""
    seconds: int = 0


@dataclass(frozen=True)
class Quoted:
    """The message that is answered, changed or reacted to; `by_business` says who wrote it."""

    id: str
    by_business: bool
    text: str = ""


@dataclass(frozen=True)
class Said:
    """One thing said. `details` are the fields of a location, a contact card, an order or a referral."""

    kind: Kind
    text: str = ""
    file: File | None = None
    choice: Choice | None = None
    quoted: Quoted | None = None
    target: Quoted | None = None
    details: Json = field(default_factory=dict)
    is_view_once: bool = False
    is_ephemeral: bool = False
