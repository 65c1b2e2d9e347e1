"""The words on the phone's page, in both languages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Customer:
    """Somebody to write as; a LID is WhatsApp's hidden id, behind which the phone may be known or not."""

    label: str
    name: str
    phone: str | None
    lid: str | None


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
    words={
        "title": "טלפון הדגמה",
        "writing_as": "מי כותב",
        "business": "העסק שלך",
        "online": "זמין",
        "connecting": "מתחבר…",
        "typing": "מקליד…",
        "placeholder": "הודעה",
        "send": "שליחה",
        "attach": "צירוף",
        "photo": "תמונה לדוגמה",
        "file": "תמונה מהמכשיר",
        "voice": "הודעה קולית",
        "location": "מיקום",
        "twice": "אותה הודעה פעמיים",
        "reordered": "בסדר הפוך",
        "three": "שלוש שורות מהירות",
        "note_twice": "נשלחה פעמיים",
        "note_reordered": "נשלחה בסדר הפוך",
        "empty_title": "כתבו לעסק כמו לקוח",
        "empty_text": "ההודעה עוברת את כל הדרך, והתשובה תופיע כאן.",
        "state_sending": "נשלחת",
        "state_retrying": "מנסה שוב",
        "state_failed": "לא נמסרה",
        "state_delivered": "נמסרה",
        "state_read": "נקראה",
        "new_customer": "לקוח חדש",
        "today": "היום",
        "place": "תל אביב",
        "document": "מסמך",
        "failed_to_send": "הסימולטור לא ענה. נסו שוב.",
        "too_large": "התמונה גדולה מ־5 מ״ב. בחרו תמונה קטנה יותר.",
        "messages": "שיחה",
        "ways": "שליחה בדרכים מיוחדות",
        "other_language": "English",
        "hint": "ככה הלקוח רואה אתכם",
    },
    customers=(
        Customer("דנה לוי · 050-123-4567", "דנה", "972501234567", None),
        Customer("יוסי כהן · 052-765-4321", "יוסי", "972527654321", None),
        Customer("מאיה · מספר מוסתר, ידוע", "מאיה", "972521234567", "82399031480511"),
        Customer("משה · מספר מוסתר", "משה", None, "87621728518253"),
    ),
    suggestions=("שלום, כמה עולה פריצת דלת?", "עד מתי אתם פתוחים היום?", "אפשר לקבוע למחר?"),
    lines=("היי", "ננעלתי מחוץ לבית", "כמה עולה פריצת דלת?"),
)

_ENGLISH = Wording(
    lang="en",
    direction="ltr",
    words={
        "title": "Demo phone",
        "writing_as": "Writing as",
        "business": "Your business",
        "online": "online",
        "connecting": "connecting…",
        "typing": "typing…",
        "placeholder": "Message",
        "send": "Send",
        "attach": "Attach",
        "photo": "Sample photo",
        "file": "Photo from device",
        "voice": "Voice note",
        "location": "Location",
        "twice": "Same message twice",
        "reordered": "Out of order",
        "three": "Three quick lines",
        "note_twice": "sent twice",
        "note_reordered": "sent out of order",
        "empty_title": "Write to the business as a customer",
        "empty_text": "Your message goes the whole way, and the answer appears here.",
        "state_sending": "sending",
        "state_retrying": "trying again",
        "state_failed": "not delivered",
        "state_delivered": "delivered",
        "state_read": "read",
        "new_customer": "New customer",
        "today": "Today",
        "place": "Tel Aviv",
        "document": "Document",
        "failed_to_send": "The simulator did not answer. Try again.",
        "too_large": "The picture is over 5 MB. Choose a smaller one.",
        "messages": "Conversation",
        "ways": "Special ways to send",
        "other_language": "עברית",
        "hint": "This is how your customer sees you",
    },
    customers=(
        Customer("Dana Levi · 050-123-4567", "Dana", "972501234567", None),
        Customer("Yossi Cohen · 052-765-4321", "Yossi", "972527654321", None),
        Customer("Maya · hidden number, known", "Maya", "972521234567", "82399031480511"),
        Customer("Moshe · hidden number", "Moshe", None, "87621728518253"),
    ),
    suggestions=(
        "Hi, how much is opening a locked door?",
        "How late are you open today?",
        "Can I book for tomorrow?",
    ),
    lines=("Hi", "I am locked out of my flat", "How much is opening a locked door?"),
)

WORDINGS = {"he": _HEBREW, "en": _ENGLISH}
