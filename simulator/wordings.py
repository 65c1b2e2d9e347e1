"""What the phone's page offers in each language: its words, its customers, and lines to send."""

from dataclasses import dataclass

from simulator.cloud_envelopes import user_id_of
from simulator.words import ENGLISH, HEBREW


@dataclass(frozen=True)
class Customer:
    """Somebody to write as.

    A LID is WhatsApp's hidden id, behind which the phone may be known or not; it exists on the bridge
    alone. A username without a phone exists at Meta alone.
    """

    label: str
    name: str
    phone: str | None
    lid: str | None = None
    username: str | None = None

    @property
    def only(self) -> str:
        """The one channel this customer can be on, or an empty text for both."""
        if self.lid:
            return "bridge"
        return "cloud" if self.username else ""

    @property
    def user_id(self) -> str:
        """The business-scoped id of a customer without a phone."""
        return user_id_of(f"@{self.username}") if self.username else ""


@dataclass(frozen=True)
class Wording:
    """One language of the page."""

    lang: str
    direction: str
    words: dict[str, str]
    customers: tuple[Customer, ...]
    suggestions: tuple[str, ...]
    lines: tuple[str, ...]


_HEBREW = Wording(
    lang="he",
    direction="rtl",
    words=HEBREW,
    customers=(
        Customer("דנה לוי · 050-123-4567", "דנה", "972501234567"),
        Customer("יוסי כהן · 052-765-4321", "יוסי", "972527654321"),
        Customer("מאיה · מספר מוסתר, ידוע", "מאיה", "972521234567", "82399031480511"),
        Customer("משה · מספר מוסתר", "משה", None, "87621728518253"),
        Customer("נועה · שם משתמש בלבד", "נועה", None, username="noa.b"),
    ),
    suggestions=("שלום, כמה עולה פריצת דלת?", "עד מתי אתם פתוחים היום?", "אפשר לקבוע למחר?"),
    lines=("היי", "ננעלתי מחוץ לבית", "כמה עולה פריצת דלת?"),
)

_ENGLISH = Wording(
    lang="en",
    direction="ltr",
    words=ENGLISH,
    customers=(
        Customer("Dana Levi · 050-123-4567", "Dana", "972501234567"),
        Customer("Yossi Cohen · 052-765-4321", "Yossi", "972527654321"),
        Customer("Maya · hidden number, known", "Maya", "972521234567", "82399031480511"),
        Customer("Moshe · hidden number", "Moshe", None, "87621728518253"),
        Customer("Noa · username alone", "Noa", None, username="noa.b"),
    ),
    suggestions=(
        "Hi, how much is opening a locked door?",
        "How late are you open today?",
        "Can I book for tomorrow?",
    ),
    lines=("Hi", "I am locked out of my flat", "How much is opening a locked door?"),
)

WORDINGS = {"he": _HEBREW, "en": _ENGLISH}
